/// A float of 8 bits: a sign, an exponent and a mantissa.
///
/// Rounding is to nearest, ties to even, subnormals kept, as in ml_dtypes. Nothing saturates: what rounds beyond the
/// greatest number becomes an infinity where the format has one (e5m2: from 61440 on), else NaN (e4m3: above 464; it has
/// one NaN of each sign). NaN keeps its sign and becomes the format's own: 0x7F of e4m3, 0x7E of e5m2.
package struct Float8: Sendable {
  package let mantissaBits: Int
  package let exponentBias: Int
  /// The pattern of what is beyond the greatest number: an infinity, or NaN.
  package let overflow: UInt8
  package let nan: UInt8

  /// 4 bits of exponent, 3 of mantissa; no infinities. Source: OCP 8-bit floating point, 2023.
  package static let e4m3 = Float8(mantissaBits: 3, exponentBias: 7, overflow: 0x7F, nan: 0x7F)
  /// 5 bits of exponent, 2 of mantissa: the upper half of f16.
  package static let e5m2 = Float8(mantissaBits: 2, exponentBias: 15, overflow: 0x7C, nan: 0x7E)

  /// The number that a pattern stands for.
  package func value(of pattern: UInt8) -> Float {
    let size = pattern & 0x7F
    let value: Float = size < overflow ? magnitude(of: Int(size)) : size == overflow && nan != overflow ? .infinity : .nan
    return pattern & 0x80 == 0 ? value : -value
  }

  /// The number of a pattern without sign, if the format went on beyond its greatest number.
  private func magnitude(of pattern: Int) -> Float {
    let exponent = max(pattern >> mantissaBits, 1)
    let significand = pattern - (exponent - 1) << mantissaBits
    return Float(sign: .plus, exponent: exponent - exponentBias - mantissaBits, significand: Float(significand))
  }

  /// The pattern nearest to a number, by definition.
  package func pattern(of value: Float) -> UInt8 {
    let sign: UInt8 = value.sign == .minus ? 0x80 : 0
    if value.isNaN { return sign | nan }
    var pattern = 0
    while pattern < overflow && magnitude(of: pattern + 1) <= value.magnitude { pattern += 1 }
    let middle = (Double(magnitude(of: pattern)) + Double(magnitude(of: pattern + 1))) / 2
    if Double(value.magnitude) > middle || Double(value.magnitude) == middle && pattern % 2 == 1 { pattern += 1 }
    return sign | UInt8(min(pattern, Int(overflow)))
  }
}
