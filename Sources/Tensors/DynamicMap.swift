/// The numbers that a byte stands for in q8, as fractions of the greatest magnitude in its block: many near 1, few
/// near 0, each power of ten with twice as many as the one below.
///
/// Decade i of seven, from 10^(i - 7) to 10^(i - 6), is cut into equal cells whose middles are the numbers: 2^i of
/// them with either sign, or 2^(i + 1) where there are no signs to tell; 0 and 1 make it 256. Source: Dettmers et
/// al. 2022, arXiv 2110.02861; the values are those of `create_dynamic_map` in bitsandbytes to the bit, which is
/// why the arithmetic is in f32.
package struct DynamicMap: Sendable {
  /// Ascending.
  package let values: [Float]
  /// The code of 0.
  package let zero: Int

  /// For blocks with negative numbers: -0.993 to 1.
  package static let signed = DynamicMap(isSigned: true)
  /// For blocks without: 0 to 1, twice as fine.
  package static let unsigned = DynamicMap(isSigned: false)

  private init(isSigned: Bool) {
    var values: [Float] = [0, 1]
    for (decade, scale) in ([1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1] as [Float]).enumerated() {
      let count = isSigned ? 1 << decade : 2 << decade
      let step = (1 - 0.1 as Float) / Float(count)
      let edges = (0...count).map { edge in
        edge < (count + 1) / 2
          ? (0.1 as Float).addingProduct(step, Float(edge))
          : (1 as Float).addingProduct(-step, Float(count - edge))
      }
      for cell in 0..<count {
        let value = (edges[cell] + edges[cell + 1]) / 2 * scale
        values.append(value)
        if isSigned { values.append(-value) }
      }
    }
    self.values = values.sorted()
    zero = self.values.firstIndex(of: 0)!
  }

  /// The greatest floats that are still nearer to each number from 0 up than to the next: what lies in the middle
  /// goes to the lower one.
  package var boundaries: [Float] {
    zip(values[zero...], values[(zero + 1)...]).map { low, high in
      let middle = (Double(low) + Double(high)) / 2
      let near = Float(middle)
      return Double(near) > middle ? near.nextDown : near
    }
  }

  /// The code of the number nearest to `ratio`, of two the one nearer to 0.
  package func code(of ratio: Float) -> UInt8 {
    let steps = boundaries.prefix { ratio.magnitude > $0 }.count
    return UInt8(ratio < 0 ? zero - min(steps, zero) : zero + steps)
  }
}
