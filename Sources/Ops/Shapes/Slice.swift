import Graphs
import Tensors

/// `slice(x, starts, counts, steps)`: every so many elements along each axis.
package struct Slice: ViewOp {
  /// The first element along each axis.
  package let starts: [Int]
  package let counts: [Int]
  /// The distance between elements taken; negative ones walk back.
  package let steps: [Int]

  package init(starts: [Int], counts: [Int], steps: [Int]) {
    self.starts = starts
    self.counts = counts
    self.steps = steps
  }

  package static let name = "slice"
  package static let documentation = """
    Takes `counts[i]` elements along axis i: the one at `starts[i]` and each `steps[i]` further.

    Steps are 1 unless given, and may be negative but not 0. Nothing is copied. `x[1:3]`, `x[:, 0]` and
    `x[::-1]` are written with it.

    >>> slice([[1, 2, 3], [4, 5, 6]], [0, 1], [2, 2])
    f32[2, 2]
    [[2., 3.],
     [5., 6.]]
    >>> slice([1, 2, 3, 4, 5], [4], [3], [-2])
    f32[3]
    [5., 3., 1.]
    """
  package static let signature = Signature(
    .operand("x"), .attribute("starts", .ints), .attribute("counts", .ints),
    .attribute("steps", .ints, default: AttributeValue.none))
  package static let dtypes = DTypeSet.all
  package static let traits = OpTraits.view

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    starts = try attributes.ints("starts")
    counts = try attributes.ints("counts")
    if case .none = attributes["steps"] {
      steps = [Int](repeating: 1, count: operands[0].rank)
    } else {
      steps = try attributes.ints("steps")
    }
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    let x = operands[0]
    try Slice.requireDTypes(of: [x])
    guard starts.count == x.rank, counts.count == x.rank, steps.count == x.rank else {
      throw OpRejection(
        "a start, a count and a step for each of \(x.rank) axes are wanted, "
          + "got \(starts.count), \(counts.count) and \(steps.count)",
        code: "bad-argument")
    }
    for axis in 0..<x.rank {
      let (start, count, step) = (starts[axis], counts[axis], steps[axis])
      if step == 0 { throw OpRejection("the step along axis \(axis) is 0", code: "bad-argument") }
      if count < 0 { throw OpRejection("a count cannot be negative, got \(count)", code: "bad-shape") }
      if count == 0 { continue }
      let (reach, overflow) = (count - 1).multipliedReportingOverflow(by: step)
      let (last, farther) = start.addingReportingOverflow(reach)
      let size = x.shape[axis]
      if overflow || farther || !(0..<size).contains(start) || !(0..<size).contains(last) {
        throw OpRejection(
          "\(count) elements from \(start) in steps of \(step) leave axis \(axis) of size \(size)",
          code: "index-out-of-range")
      }
    }
    return [TensorType(x.dtype, Shape(counts))]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    // Along an axis that is taken whole the sizes are those of the operand, whatever they are.
    let isWhole = starts.indices.map { starts[$0] == 0 && steps[$0] == 1 && counts[$0] == operands[0].shape[$0] }
    let rest = starts.indices.filter { !isWhole[$0] }.map { [$0, starts[$0], counts[$0], steps[$0]] }
    return AxisMap(
      results: isWhole.indices.map { isWhole[$0] ? [$0] : nil }, additivity: .together, attributes: rest)
  }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let x = operands[0]
    var values: [Double] = []
    ReferenceTensor.forEachIndex(in: Shape(counts)) { index in
      values.append(x[index.indices.map { starts[$0] + index[$0] * steps[$0] }])
    }
    return [ReferenceTensor(TensorType(x.type.dtype, Shape(counts)), values)]
  }

  package func layout(of operand: Layout) -> Layout? {
    var result = Layout(shape: Shape(counts), strides: operand.strides, offset: operand.offset)
    if counts.contains(0) { return result }
    for axis in counts.indices {
      result.offset += starts[axis] * operand.strides[axis]
      if counts[axis] > 1 { result.strides[axis] *= steps[axis] }
    }
    return result
  }

  // dx = dy in its places, zeros between and around
  package var gradient: Gradient {
    .pullback { g, at in
      let shape = at.operands[0].shape
      let backward = steps.indices.filter { steps[$0] < 0 }
      let forward = try g.flip(at.cotangent, axes: backward)
      var before: [Int] = []
      var after: [Int] = []
      for axis in starts.indices {
        if counts[axis] == 0 {
          // Nothing was taken: all of it is padding.
          before.append(0)
          after.append(shape[axis])
          continue
        }
        let last = starts[axis] + (counts[axis] - 1) * steps[axis]
        before.append(min(starts[axis], last))
        after.append(shape[axis] - 1 - max(starts[axis], last))
      }
      let gaps = zip(steps, counts).map { $1 > 1 ? abs($0) - 1 : 0 }
      return [try g.pad(forward, before: before, after: after, between: gaps)]
    }
  }

  package static let samples = [
    OpSample("a block", [.normal([4, 5])], [("starts", .ints([1, 2])), ("counts", .ints([2, 3]))]),
    OpSample(
      "steps", [.normal([5, 6])],
      [("starts", .ints([0, 1])), ("counts", .ints([3, 2])), ("steps", .ints([2, 3]))]),
    OpSample(
      "backwards", [.normal([5, 4])],
      [("starts", .ints([4, 3])), ("counts", .ints([3, 4])), ("steps", .ints([-2, -1]))]),
    OpSample("nothing", [.normal([3, 2])], [("starts", .ints([3, 0])), ("counts", .ints([0, 2]))]),
    OpSample(
      "one element, large step", [.normal([3])],
      [("starts", .ints([1])), ("counts", .ints([1])), ("steps", .ints([9]))]),
    OpSample("a single number", [.normal([])], [("starts", .ints([])), ("counts", .ints([]))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "beyond the end", [TensorType(.f32, [4])], [("starts", .ints([2])), ("counts", .ints([3]))],
      message: "3 elements from 2 in steps of 1 leave axis 0 of size 4"),
    .init(
      "before the start", [TensorType(.f32, [4])],
      [("starts", .ints([2])), ("counts", .ints([4])), ("steps", .ints([-1]))],
      message: "4 elements from 2 in steps of -1 leave axis 0 of size 4"),
    .init(
      "step 0", [TensorType(.f32, [4])],
      [("starts", .ints([2])), ("counts", .ints([2])), ("steps", .ints([0]))],
      message: "the step along axis 0 is 0"),
    .init(
      "axes missing", [TensorType(.f32, [4, 4])], [("starts", .ints([2])), ("counts", .ints([2]))],
      message: "each of 2 axes"),
    .init(
      "negative count", [TensorType(.f32, [4])], [("starts", .ints([2])), ("counts", .ints([-1]))],
      message: "a count cannot be negative, got -1"),
  ]
}

extension GraphBuilder {
  /// Appends every `step`-th of `count` elements of `x` along one axis.
  package func slice(
    _ x: GraphValue, axis: Int, start: Int, count: Int, step: Int = 1
  ) throws -> GraphValue {
    var starts = [Int](repeating: 0, count: x.rank)
    var counts = x.shape.sizes
    var steps = [Int](repeating: 1, count: x.rank)
    starts[axis] = start
    counts[axis] = count
    steps[axis] = step
    return try slice(x, starts: starts, counts: counts, steps: steps)
  }

  /// Appends a slice along all axes; returns `x` itself where it is all of it.
  package func slice(
    _ x: GraphValue, starts: [Int], counts: [Int], steps: [Int]
  ) throws -> GraphValue {
    if !keepsIdentities, counts == x.shape.sizes, starts.allSatisfy({ $0 == 0 }), steps.allSatisfy({ $0 == 1 }) { return x }
    return try emit(Slice(starts: starts, counts: counts, steps: steps), x)
  }
}
