import Graphs
import Tensors

// Softmax and its kin act on each line along one axis.

extension Shape {
  /// Refuses an axis that the shape lacks. Programs are refused earlier, where they name the axis.
  func require(axis: Int) throws(OpRejection) {
    guard (0..<rank).contains(axis) else {
      throw OpRejection("axis \(axis) is out of range for rank \(rank)", code: "bad-axis")
    }
  }
}

extension ReferenceTensor {
  /// Returns a tensor whose lines along `axis` are `body` of the lines of this one.
  func mappingLines(along axis: Int, _ body: ([Double]) -> [Double]) -> ReferenceTensor {
    mappingLines(along: axis, with: self) { line, _ in body(line) }
  }

  /// The same of two tensors of one shape.
  func mappingLines(
    along axis: Int, with other: ReferenceTensor, _ body: ([Double], [Double]) -> [Double]
  ) -> ReferenceTensor {
    var result = self
    var starts = shape
    starts[axis] = min(1, shape[axis])
    ReferenceTensor.forEachIndex(in: starts) { index in
      let places = (0..<shape[axis]).map { position in
        var place = index
        place[axis] = position
        return place
      }
      let line = body(places.map { self[$0] }, places.map { other[$0] })
      for (place, value) in zip(places, line) { result[place] = value }
    }
    return result
  }
}

extension OpTraits {
  /// Traits of ops on whole lines: computed in f32 or wider, by a kernel that wants contiguous operands.
  static let lines = OpTraits(
    precision: .f32, cost: .streaming, fusion: .alone, effect: .pure, promotion: .unifyFloating,
    operands: .contiguous, broadcasts: false, inPlace: false)
}

extension Signature.Parameter {
  /// The axis of the lines, the last unless given.
  static let lineAxis = attribute("axis", .axis, default: .int(-1))
}
