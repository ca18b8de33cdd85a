import Graphs
import Ops
import Tensors

extension OpCase {
  /// Operands just large enough that kernels cut their work into parts, which they do for none of the
  /// contract's samples; at least one case for each way of cutting.
  static let large: [OpCase] =
    elementwise + reductions + lines + products + images + lookups

  private static let elementwise = [
    of(Add.self, "floats", [.normal([300, 350]), .normal([300, 350])]),
    of(Add.self, "whole", [.normal([300, 350]), .normal([300, 350])], dtype: .i32),
    of(Exp.self, "floats", [.normal([300, 350])]),
    of(Cast.self, "to bf16", [.normal([300, 350])], [("dtype", .dtype(.bf16))]),
    of(Concat.self, "columns", [.normal([400, 200]), .normal([400, 200])], [("axis", .int(1))]),
    of(Concat.self, "rows", [.normal([400, 200]), .normal([1, 200])]),
    of(Normal.self, "many", [key], [("shape", .ints([20_100]))]),
    of(Normal.self, "f64", [key], [("shape", .ints([20_100])), ("dtype", .dtype(.f64))]),
    of(Uniform.self, "many", [key], [("shape", .ints([20_100]))]),
    of(StochasticRound.self, "many", [key, .normal([300, 350])]),
    of(
      RandomInteger.self, "many", [key],
      [("low", .int(0)), ("high", .int(9)), ("shape", .ints([20_100]))]),
    of(Full.self, "many", [], [("shape", .ints([70_000])), ("value", .number(1))]),
  ]

  private static let reductions = [
    of(Sum.self, "all", [.normal([400, 401])]),
    of(Sum.self, "rows", [.normal([400, 401])], [("axis", .int(1))]),
    of(Sum.self, "columns", [.normal([2003, 80])], [("axis", .int(0))]),
    of(Sum.self, "few columns", [.normal([20_000, 10])], [("axis", .int(0))]),
    of(Sum.self, "outer and inner", [.normal([40, 5, 43, 47])], [("axis", .ints([0, 2, 3]))]),
    of(Sum.self, "whole", [.normal([70_000])], dtype: .i64),
    of(Max.self, "all", [.normal([400, 401])]),
    of(Variance.self, "long lines", [.normal([3, 70_001])], [("axis", .int(1))]),
    of(LogSumExp.self, "long line", [.normal([70_001])]),
    of(LogSumExp.self, "rows", [.normal([200, 400])], [("axis", .int(1))]),
    of(Argmax.self, "rows", [.normal([200, 400])], [("axis", .int(1))]),
    of(Cumsum.self, "rows", [.normal([200, 400])], [("axis", .int(1))]),
    of(Sort.self, "rows", [.normal([100, 300])]),
    of(TopK.self, "middle axis", [.normal([10, 300, 10])], [("k", .int(7)), ("axis", .int(1))]),
  ]

  private static let lines = [
    of(Softmax.self, "rows", [.normal([100, 400])], [("axis", .int(1))]),
    of(Softmax.self, "columns", [.normal([300, 200])], [("axis", .int(0))]),
    of(SoftmaxGradient.self, "rows", [.normal([100, 400]), .normal([100, 400])], [("axis", .int(1))]),
    of(LogSoftmax.self, "rows", [.normal([100, 400])], [("axis", .int(1))]),
    of(LogSoftmax.self, "columns", [.normal([300, 200])], [("axis", .int(0))]),
    of(LogSoftmaxGradient.self, "rows", [.normal([100, 400]), .normal([100, 400])], [("axis", .int(1))]),
    of(CrossEntropy.self, "mean", [.normal([200, 300]), .integers([200], 0...299)]),
    of(
      CrossEntropy.self, "each", [.normal([200, 300]), .integers([200], 0...299)],
      [("reduction", .string("none"))]),
    of(
      CrossEntropyGradient.self, "mean",
      [.normal([200, 300]), .integers([200], 0...299), .uniform([], 1...2)]),
    of(LayerNorm.self, "rows", [.normal([300, 130]), .normal([130]), .normal([130])]),
    of(LayerNormGradient.self, "rows", [.normal([301, 130]), .normal([130]), .normal([301, 130])]),
    of(RMSNormGradient.self, "rows", [.normal([301, 130]), .normal([130]), .normal([301, 130])]),
  ]

  private static let products = [
    of(MatMul.self, "batch", [.normal([70, 16, 64]), .normal([70, 64, 64])]),
    of(MatMul.self, "batch with one matrix", [.normal([70, 16, 64]), .normal([64, 64])]),
    of(MatMul.self, "long inner axis", [.normal([8, 70_000]), .normal([70_000, 8])]),
    of(MatMul.self, "batch", [.normal([70, 16, 64]), .normal([70, 64, 64])], dtype: .bf16),
    of(MatMul.self, "batch", [.normal([70, 16, 64]), .normal([70, 64, 64])], dtype: .f16),
    of(MatMul.self, "batch with one matrix", [.normal([70, 16, 64]), .normal([64, 64])], dtype: .bf16),
    of(MatMul.self, "batch with one matrix", [.normal([70, 16, 64]), .normal([64, 64])], dtype: .f16),
    of(MatMul.self, "long inner axis", [.normal([8, 70_000]), .normal([70_000, 8])], dtype: .bf16),
    of(MatMul.self, "long inner axis", [.normal([8, 70_000]), .normal([70_000, 8])], dtype: .f16),
    of(
      Attention.self, "heads", [.normal([4, 96, 16]), .normal([4, 96, 16]), .normal([4, 96, 16])],
      [("causal", .bool(true))]),
    of(
      AttentionGradient.self, "many heads",
      [.normal([16, 40, 16]), .normal([16, 40, 16]), .normal([16, 40, 16]), .normal([16, 40, 16])],
      [("causal", .bool(true))]),
    of(
      AttentionGradient.self, "one head",
      [.normal([1, 70, 16]), .normal([1, 600, 16]), .normal([1, 600, 16]), .normal([1, 70, 16])]),
  ]

  private static let images = [
    of(Conv2D.self, "images", [.normal([9, 3, 20, 20]), .normal([8, 3, 3, 3])]),
    of(Conv2D.self, "one image", [.normal([1, 16, 60, 40]), .normal([4, 16, 3, 3])]),
    of(
      Conv2DInputGradient.self, "images", [.normal([9, 4, 18, 18]), .normal([4, 8, 3, 3])],
      [("size", .ints([20, 20]))]),
    of(
      Conv2DInputGradient.self, "one image", [.normal([1, 4, 30, 30]), .normal([4, 17, 3, 3])],
      [("size", .ints([30, 30])), ("padding", .int(1))]),
    of(
      Conv2DWeightGradient.self, "many channels", [.normal([4, 33, 12, 12]), .normal([4, 8, 10, 10])],
      [("size", .ints([3, 3]))]),
    of(
      Conv2DWeightGradient.self, "few channels", [.normal([67, 1, 14, 14]), .normal([67, 4, 12, 12])],
      [("size", .ints([3, 3]))]),
    of(MaxPool.self, "planes", [.normal([4, 20, 28, 28])], [("size", .int(2))]),
    of(
      MaxPoolGradient.self, "planes", [.normal([4, 20, 28, 28]), .normal([4, 20, 14, 14])],
      [("size", .int(2))]),
    of(
      MaxPoolSelect.self, "planes", [.normal([4, 20, 28, 28]), .normal([4, 20, 28, 28])],
      [("size", .int(2))]),
    of(AveragePool.self, "planes", [.normal([4, 20, 28, 28])], [("size", .int(2))]),
    of(
      AveragePoolGradient.self, "planes", [.normal([4, 20, 14, 14])],
      [("image", .ints([28, 28])), ("size", .int(2))]),
  ]

  private static let lookups = [
    of(Gather.self, "rows", [.normal([500, 64]), .integers([1000], -500...499)]),
    of(Gather.self, "columns", [.normal([100, 50]), .integers([100], 0...49)], [("axis", .int(1))]),
    of(ScatterAdd.self, "rows", [.integers([1000], -500...499), .normal([1000, 130])], [("size", .int(500))]),
    of(
      ScatterAdd.self, "columns", [.integers([300], 0...99), .normal([30, 300])],
      [("axis", .int(1)), ("size", .int(100))]),
    of(
      ScatterAdd.self, "whole", [.integers([1000], 0...499), .normal([1000, 130])], [("size", .int(500))],
      dtype: .i64),
    of(TakeAlong.self, "rows", [.normal([100, 200]), .integers([100, 200], 0...199)], [("axis", .int(1))]),
    of(
      ScatterAddAlong.self, "rows", [.integers([100, 200], 0...199), .normal([100, 200])],
      [("axis", .int(1)), ("size", .int(200))]),
  ]

  private static let key = OpSample.Operand.values([7, 3], [2], dtype: .i64)

  /// A case with attributes that all matter.
  static func of(
    _ op: any TensorOp.Type, _ name: String, _ operands: [OpSample.Operand],
    _ attributes: [(String, AttributeValue)] = [], dtype: DType = .f32
  ) -> OpCase {
    OpCase(op: op, sample: OpSample(name, operands, attributes), dtype: dtype)
  }
}
