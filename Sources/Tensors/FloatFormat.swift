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
  /// What rounds to 0: two to this power, half of the smallest number, and less.
  package var underflowExponent: Int { smallestExponent - 1 }
  /// The same as a number; 0 for f64.
  package var underflow: Double { Double(sign: .plus, exponent: underflowExponent, significand: 1) }
  /// What rounds beyond the largest number, and more; infinity for f64.
  package var overflow: Double {
    let spacing = Double(sign: .plus, exponent: Int(largest.exponent) - mantissaBits, significand: 1)
    return largest + spacing / 2
  }

  /// The powers of two by which a number can be multiplied so that it neither rounds to 0 nor beyond the largest number.
  package func scales(keeping number: Double) -> ClosedRange<Int> {
    // By exponent and significand, since what is between may lie outside the range of Double.
    let (exponent, significand) = (Int(number.exponent), number.significand)
    let low = underflowExponent - exponent + (significand > 1 ? 0 : 1)
    let bound = 2 - Double(sign: .plus, exponent: -mantissaBits - 1, significand: 1)
    let high = Int(largest.exponent) - exponent - (significand < bound ? 0 : 1)
    return low...high
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
