import Graphs
import Kernels
import Tensors

/// `concat(xs, axis)`: tensors joined end to end.
package struct Concat: TensorOp {
  package let axis: Int

  package init(axis: Int) {
    self.axis = axis
  }

  package static let name = "concat"
  package static let documentation = """
    Joins tensors end to end along an axis.

    Shapes: [.., n1, ..], [.., n2, ..] -> [.., n1 + n2, ..]; all other sizes are equal. `stack` joins along
    a new axis.

    >>> concat([f32([1, 2]), f32([3])])
    f32[3]
    [1., 2., 3.]
    >>> concat([[[1, 2]], [[3, 4]]], axis: 1)
    f32[1, 4]
    [[1., 2., 3., 4.]]
    """
  package static let signature = Signature(
    .operands("xs"), .attribute("axis", .axis, default: .int(0)))
  package static let dtypes = DTypeSet.all
  package static let traits = OpTraits.join

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    axis = try attributes.axis("axis", rank: try joined(operands).rank)
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    let first = try joined(operands)
    try Concat.requireDTypes(of: operands)
    try Concat.requireOneDType(of: operands)
    var size = 0
    for operand in operands {
      var expected = first.shape
      if operand.rank == first.rank { expected[axis] = operand.shape[axis] }
      guard operand.shape == expected else {
        throw OpRejection(
          "\(first.shape) and \(operand.shape) differ beside axis \(axis)",
          notes: ["only the sizes along the axis that is joined may differ"])
      }
      size += operand.shape[axis]
    }
    var shape = first.shape
    shape[axis] = size
    return [TensorType(first.dtype, shape)]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    .places(
      rank: operands[0].rank, operands: operands.count, mixed: [axis], additivity: .together, attributes: self)
  }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    var shape = operands[0].shape
    shape[axis] = operands.reduce(0) { $0 + $1.shape[axis] }
    let type = TensorType(operands[0].type.dtype, shape)
    var result = ReferenceTensor(type, [Double](repeating: 0, count: type.elementCount))
    var start = 0
    for operand in operands {
      ReferenceTensor.forEachIndex(in: operand.shape) { index in
        var target = index
        target[axis] += start
        result[target] = operand[index]
      }
      start += operand.shape[axis]
    }
    return [result]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    let result = results[0]
    let stride = result.strides[axis] * result.dtype.byteCount
    var target = result.base
    for operand in operands {
      copyRegion(
        operand,
        into: TensorView(
          base: target, dtype: result.dtype, shape: operand.shape, strides: result.strides))
      target += operand.shape[axis] * stride
    }
  }

  package func arithmetic(_ operands: [TensorType], _ results: [TensorType]) -> Double { 0 }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    operands.map(copyScratchByteCount).max() ?? 0
  }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  // dx_i = its part of dy
  package var gradient: Gradient {
    .pullback { g, at in
      var start = 0
      var parts: [GraphValue?] = []
      for operand in at.operands {
        let count = operand.shape[axis]
        parts.append(try g.slice(at.cotangent, axis: axis, start: start, count: count))
        start += count
      }
      return parts
    }
  }

  package static let samples = [
    OpSample("rows", [.normal([2, 3]), .normal([1, 3])]),
    OpSample("columns", [.normal([2, 3]), .normal([2, 1]), .normal([2, 2])], [("axis", .int(1))]),
    OpSample("middle axis", [.normal([2, 1, 3]), .normal([2, 2, 3])], [("axis", .int(-2))]),
    OpSample("one", [.normal([2, 3])]),
    OpSample("with an empty one", [.normal([2]), .normal([0]), .normal([1])]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "sizes beside the axis", [TensorType(.f32, [2, 3]), TensorType(.f32, [2, 4])],
      message: "[2, 3] and [2, 4] differ beside axis 0"),
    .init(
      "ranks", [TensorType(.f32, [2, 3]), TensorType(.f32, [3])],
      message: "[2, 3] and [3] differ beside axis 0"),
    .init(
      "numbers", [TensorType(.f32, []), TensorType(.f32, [])],
      message: "a single number has no axes"),
    .init("nothing", [], message: "there is nothing to join"),
    .init(
      "dtypes", [TensorType(.f32, [2]), TensorType(.i64, [2])],
      message: "concat expects operands of one dtype, got f32 and i64"),
  ]
}

/// Returns the first of tensors to join.
func joined(_ operands: [TensorType]) throws(OpRejection) -> TensorType {
  guard let first = operands.first else {
    throw OpRejection("there is nothing to join", code: "bad-argument")
  }
  return first
}

extension OpTraits {
  /// An op that joins operands of one dtype.
  static let join = OpTraits(
    precision: .widest, cost: .memoryBound, fusion: .alone, effect: .pure, promotion: .unify,
    operands: .strided, broadcasts: false, inPlace: false)
}

extension GraphBuilder {
  /// Appends tensors joined along `axis`; returns the only one itself.
  package func concat(_ operands: [GraphValue], axis: Int) throws -> GraphValue {
    operands.count == 1 ? operands[0] : try append(Concat(axis: axis), operands)[0]
  }
}
