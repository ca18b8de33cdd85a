@inline(__always)
func cube(_ x: Float) -> Float {
  let wide = Double(x)
  return Float(wide * wide * wide)
}

/// x^(1/2), which differs from the square root at -infinity and -0.
@inline(__always)
func rootPower(_ x: Float) -> Float {
  x < 0 && x > -.infinity ? .nan : x.magnitude.squareRoot()
}

extension VectorMath {
  /// x^y; 0.51 ulp, and products and roots rounded once for the exponents 2, 3 and 1/2.
  ///
  /// 2^(y log2 |x|) in `Double`, whose spare bits make up for the exponent's size.
  @inline(__always)
  static func power(_ x: Float, _ y: Float) -> Float {
    let size = Double(x.magnitude)
    let wide = Double(y)
    let exponent = wide * log2(size)
    // 1^y is 1 whatever y; 0 times infinity would make it NaN.
    var result = Float(size == 1 || y == 0 ? 1 : exp2(exponent))
    let whole = y.rounded(.toNearestOrEven)
    let half = y * 0.5
    let isOdd = whole == y && half.rounded(.toNearestOrEven) != half
    result = x.sign == .minus && isOdd ? -result : result
    // A negative number has only whole powers; NaN in x stays unless y is 0, NaN in y unless x is 1.
    let isUndefined = x < 0 && x > -.infinity && whole != y
    result = isUndefined ? .nan : result
    result = y == 2 ? x * x : result
    result = y == 3 ? cube(x) : result
    result = y == 0.5 ? rootPower(x) : result
    return x == 1 ? 1 : result
  }

  /// The binary logarithm of a number that is not negative, to 2^-45 of its size.
  @inline(__always)
  private static func log2(_ x: Double) -> Double {
    // x = 2^k m with m between sqrt(1/2) and sqrt(2); log m = 2 artanh((m - 1) / (m + 1)).
    let bits = Int64(bitPattern: x.bitPattern)
    let k = (bits &- 0x3FE6_A09E_667F_3BCD) &>> 52
    let m = Double(bitPattern: UInt64(bitPattern: bits &- (k &<< 52)))
    let s = (m - 1) / (m + 1)
    let z = s * s
    var p = 0.24266320245250428
    p = fma(p, z, 0.2614685367025131)
    p = fma(p, z, 0.3206154916561635)
    p = fma(p, z, 0.4121984179048989)
    p = fma(p, z, 0.5770780171105236)
    p = fma(p, z, 0.9617966939248278)
    let y = Double(k) + fma(s * z, p, s * 2.8853900817779268)
    let beyond: Double = x == 0 ? -.infinity : x
    return x > 0 && x < .infinity ? y : beyond
  }

  /// 2^x, to 2^-40 of its size; what leaves the range of `Float` becomes 0 or infinity.
  @inline(__always)
  private static func exp2(_ x: Double) -> Double {
    let raised = x < -200 ? -200 : x
    let clamped = raised > 200 ? 200 : raised
    let shifted = clamped + 0x1.8p52
    let r = clamped - (shifted - 0x1.8p52)
    var p = 1.3263521803471997e-06
    p = fma(p, r, 1.531003316234396e-05)
    p = fma(p, r, 0.00015403415357433922)
    p = fma(p, r, 0.001333345082049682)
    p = fma(p, r, 0.009618129219594084)
    p = fma(p, r, 0.05550410940790695)
    p = fma(p, r, 0.2402265069555358)
    p = fma(p, r, 0.6931471805461296)
    let k = Int64(bitPattern: shifted.bitPattern) &- 0x4338_0000_0000_0000
    let scale = Double(bitPattern: UInt64(bitPattern: (k &+ 1023) &<< 52))
    return fma(r, p, 1) * scale
  }
}

@inline(__always)
private func fma(_ a: Double, _ b: Double, _ c: Double) -> Double { c.addingProduct(a, b) }
