import Graphs
import Tensors

/// `broadcast(x, shape)`: the elements repeated to fill a larger shape.
package struct Broadcast: ViewOp {
  package let shape: Shape

  package init(to shape: Shape) { self.shape = shape }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    shape = try attributes.shape("shape")
  }

  package static let name = "broadcast"
  package static let documentation = """
    Repeats elements to fill a larger shape, without copying them.

    Shapes: aligned at their last axes, each size of x is that of the shape or 1. Operators broadcast by
    themselves; this is for the shapes that no other operand brings.

    >>> broadcast([1, 2], [2, 2])
    f32[2, 2]
    [[1., 2.],
     [1., 2.]]
    """
  package static let signature = Signature(.operand("x"), .attribute("shape", .shape))
  package static let dtypes = DTypeSet.stored.subtracting(.blocked)
  package static let traits = OpTraits(
    precision: .asIs, cost: .view, fusion: .elementwise, effect: .pure, promotion: .asIs,
    operands: .strided, broadcasts: false, inPlace: false)

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: operands)
    let from = operands[0].shape
    guard from.broadcast(with: shape) == shape else {
      throw OpRejection(
        "\(from) does not broadcast to \(shape)",
        notes: ["aligned at their last axes, each size must be equal or 1"])
    }
    return [TensorType(operands[0].dtype, shape)]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    let missing = shape.rank - operands[0].rank
    return AxisMap(
      results: shape.sizes.indices.map { axis in
        let own = axis - missing
        return [own >= 0 && operands[0].shape[own] == shape[axis] ? own : nil]
      }, additivity: .together, attributes: 0)
  }

  package func reference(_ operands: [ReferenceTensor]) -> [ReferenceTensor] {
    let x = operands[0]
    let missing = shape.rank - x.shape.rank
    var values: [Double] = []
    ReferenceTensor.forEachIndex(in: shape) { index in
      let own = x.shape.sizes.indices.map { x.shape[$0] == 1 ? 0 : index[missing + $0] }
      values.append(x[own])
    }
    return [ReferenceTensor(TensorType(x.type.dtype, shape), values)]
  }

  package func layout(of operand: Layout) -> Layout? {
    let missing = shape.rank - operand.shape.rank
    var strides = [Int](repeating: 0, count: shape.rank)
    for axis in 0..<operand.shape.rank where operand.shape[axis] != 1 {
      strides[missing + axis] = operand.strides[axis]
    }
    return Layout(shape: shape, strides: strides, offset: operand.offset)
  }

  // dx = dy, added up over the axes that were added or stretched
  package var gradient: Gradient {
    .pullback { g, at in [try g.sumTo(at.cotangent, shape: at.operands[0].shape)] }
  }

  package static let samples: [OpSample] = [
    OpSample("number", [.normal([])], [("shape", .ints([2, 3]))]),
    OpSample("row", [.normal([3])], [("shape", .ints([2, 3]))]),
    OpSample("column", [.normal([2, 1])], [("shape", .ints([2, 3]))]),
    OpSample("inner and outer axes", [.normal([1, 4, 1])], [("shape", .ints([2, 3, 4, 5]))]),
    OpSample("unchanged", [.normal([2, 3])], [("shape", .ints([2, 3]))]),
    OpSample("no elements", [.normal([1, 3])], [("shape", .ints([0, 3]))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    OpSample.Rejected(
      "other size", [TensorType(.f32, [2])], [("shape", .ints([3]))],
      message: "[2] does not broadcast to [3]"),
    OpSample.Rejected(
      "smaller", [TensorType(.f32, [2, 3])], [("shape", .ints([3]))],
      message: "[2, 3] does not broadcast to [3]"),
    OpSample.Rejected(
      "negative size", [TensorType(.f32, [2])], [("shape", .ints([-1]))],
      message: "a size cannot be negative"),
  ]
}

extension GraphBuilder {
  /// Appends a broadcast, or returns `x` itself where it has the shape already.
  package func broadcast(_ x: GraphValue, to shape: Shape) throws -> GraphValue {
    x.shape == shape && !keepsIdentities ? x : try emit(Broadcast(to: shape), x)
  }

  /// Appends an op on operands that are first broadcast to one shape.
  package func broadcasting(
    _ op: any TensorOp, _ operands: GraphValue...
  ) throws -> GraphValue {
    let shape = try broadcastShape(of: operands.map(\.shape))
    return try append(op, operands.map { try broadcast($0, to: shape) })[0]
  }

  /// The number everywhere, with the type of `x`.
  package func number(_ number: Double, like x: GraphValue) throws -> GraphValue {
    try broadcast(constant(number, x.dtype), to: x.shape)
  }

  /// Zeros with the type of `x`.
  package func zeros(like x: GraphValue) throws -> GraphValue { try number(0, like: x) }

  /// The number that `value` is made of, where it is a constant or one broadcast; else nil.
  package func knownNumber(_ value: GraphValue) -> Double? {
    switch graph.definition(of: value) {
    case .constant(let tensor): return tensor.elementCount == 1 ? tensor.scalar : nil
    case .result(let node, _):
      let node = graph.nodes[node]
      return node.op is Broadcast ? knownNumber(node.operands[0]) : nil
    case .input: return nil
    }
  }
}
