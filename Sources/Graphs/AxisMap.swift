import Tensors

/// How the results of an op hang together with its operands, axis by axis: what a batch that is cut into pieces must know.
package struct AxisMap {
  /// For each axis of the results: along which axis each operand must be cut so that the op makes a piece of its
  /// results, cut along that axis; nil where an operand is wanted whole. Nil instead of the list where no piece can be
  /// made from pieces.
  package var results: [[Int?]?]
  /// Cuts of the operands for which the results of the pieces add up to the whole result.
  package var sums: [[Int?]] = []
  /// Which sums pass through.
  package enum Additivity {
    case none
    /// Results for sums of all operands are sums of the results.
    case together
    /// The same of each of these operands, if the others are the same all along.
    case each([Int])
  }
  package var additivity = Additivity.none
  /// Whether elements only stand in other axes, in the same row-major order. `results` is not looked at then.
  package var isRegrouping = false
  /// What of the attributes must be the same for a piece as for the whole: sizes may differ.
  package var attributes: AnyHashable

  package init(
    results: [[Int?]?], sums: [[Int?]] = [], additivity: Additivity = .none, attributes: AnyHashable
  ) {
    self.results = results
    self.sums = sums
    self.additivity = additivity
    self.attributes = attributes
  }

  /// No piece of a result can be made from pieces of the operands.
  package static func mixing(_ attributes: AnyHashable) -> AxisMap {
    AxisMap(results: [], attributes: attributes)
  }

  /// Each place of the results depends on the same place of all operands, but along `mixed` axes on all of them.
  package static func places(
    rank: Int, operands: Int, mixed: [Int] = [], additivity: Additivity = .none, attributes: AnyHashable
  ) -> AxisMap {
    AxisMap(
      results: (0..<rank).map { axis in
        mixed.contains(axis) ? nil : [Int?](repeating: axis, count: operands)
      }, additivity: additivity, attributes: attributes)
  }

  /// The axes that each operand must be cut along for a piece of the results along `axis`; nil where there is none.
  package func cut(along axis: Int) -> [Int?]? { results.indices.contains(axis) ? results[axis] : nil }
}
