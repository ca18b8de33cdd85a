/// How the bits of a float are shared out: sign, exponent, mantissa, from the highest bit down.
package struct FloatFormat: Sendable {
  package let exponentBits: Int
  package let mantissaBits: Int
  /// Exponents run from 1 - bias, that of subnormal numbers too.
  package var bias: Int { (1 << (exponentBits - 1)) - 1 }
  package var bitCount: Int { 1 + exponentBits + mantissaBits }

  /// The exponent of the smallest number above 0.
  package var smallestExponent: Int { 1 - bias - mantissaBits }
  /// The largest finite number.
  package let largest: Double
  /// What rounds to 0: half of the smallest number, and less.
  package var underflow: Double { Double(sign: .plus, exponent: smallestExponent - 1, significand: 1) }
  /// What rounds beyond the largest number, and more.
  package var overflow: Double {
    let spacing = Double(sign: .plus, exponent: Int(largest.exponent) - mantissaBits, significand: 1)
    return largest + spacing / 2
  }

  /// Distance from 1 to the next number.
  package var epsilon: Double { Double(sign: .plus, exponent: -mantissaBits, significand: 1) }

  package init(exponentBits: Int, mantissaBits: Int) {
    self.exponentBits = exponentBits
    self.mantissaBits = mantissaBits
    let significand = 2 - Double(sign: .plus, exponent: -mantissaBits, significand: 1)
    largest = Double(sign: .plus, exponent: (1 << (exponentBits - 1)) - 1, significand: significand)
  }
}

extension DType {
  /// How the dtype's bits are shared out; nil where it is no float, or one of 8 bits, which `Float8` describes.
  package var format: FloatFormat? {
    switch self {
    case .f64: FloatFormat(exponentBits: 11, mantissaBits: 52)
    case .f32: FloatFormat(exponentBits: 8, mantissaBits: 23)
    case .f16: FloatFormat(exponentBits: 5, mantissaBits: 10)
    case .bf16: FloatFormat(exponentBits: 8, mantissaBits: 7)
    case .i32, .i64, .u8, .bool, .f8e4m3, .f8e5m2, .q8, .q8e4m3: nil
    }
  }
}
