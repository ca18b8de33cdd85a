import Graphs

/// All primitive ops: the only list. Help, the language's names, the contract tests read it.
package enum OpCatalog {
  package static let all: [any TensorOp.Type] = [
    // Elementwise
    Abs.self,
    Add.self,
    Atan.self,
    Broadcast.self,
    Cast.self,
    Ceil.self,
    Choose.self,
    Clamp.self,
    Cos.self,
    Divide.self,
    Equal.self,
    Erf.self,
    Exp.self,
    Expm1.self,
    Floor.self,
    FloorDivide.self,
    Greater.self,
    GreaterOrEqual.self,
    IsNaN.self,
    Less.self,
    LessOrEqual.self,
    Log.self,
    Log1p.self,
    LogicalAnd.self,
    LogicalNot.self,
    LogicalOr.self,
    Maximum.self,
    Minimum.self,
    Modulo.self,
    Multiply.self,
    Negate.self,
    NotEqual.self,
    Power.self,
    Reciprocal.self,
    Relu.self,
    Round.self,
    Rsqrt.self,
    Select.self,
    Sigmoid.self,
    Sign.self,
    Sin.self,
    Sqrt.self,
    Subtract.self,
    Tanh.self,

    // Attention
    Attention.self,
    AttentionGradient.self,

    // Convolution
    AveragePool.self,
    AveragePoolGradient.self,
    Conv2D.self,
    Conv2DInputGradient.self,
    Conv2DWeightGradient.self,
    MaxPool.self,
    MaxPoolGradient.self,
    MaxPoolSelect.self,

    // Losses
    CrossEntropy.self,
    CrossEntropyGradient.self,

    // Normalization
    LayerNorm.self,
    LayerNormGradient.self,
    LogSoftmax.self,
    LogSoftmaxGradient.self,
    RMSNorm.self,
    RMSNormGradient.self,
    Softmax.self,
    SoftmaxGradient.self,

    // Random
    Categorical.self,
    Normal.self,
    Permutation.self,
    RandomInteger.self,
    StochasticRound.self,
    Uniform.self,

    // Reductions
    AllTrue.self,
    AnyTrue.self,
    Argmax.self,
    Argmin.self,
    Cumsum.self,
    LogSumExp.self,
    Max.self,
    Mean.self,
    Min.self,
    Product.self,
    Sort.self,
    Sum.self,
    TopK.self,
    Variance.self,

    // Shapes
    Concat.self,
    Flip.self,
    LowerTriangle.self,
    Pad.self,
    Reshape.self,
    Slice.self,
    Stack.self,
    Transpose.self,
    UpperTriangle.self,

    // Linear
    MatMul.self,

    // Indexing
    Arange.self,
    Eye.self,
    Full.self,
    Gather.self,
    Linspace.self,
    OneHot.self,
    ScatterAdd.self,
    ScatterAddAlong.self,
    TakeAlong.self,
  ]

  /// The op spelled `name` in programs, if there is one.
  package static func named(_ name: String) -> (any TensorOp.Type)? { byName[name] }

  private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
}
