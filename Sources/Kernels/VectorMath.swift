/// Elementary functions of `Float` without branches, so that a loop over them becomes vector instructions.
///
/// Each is right at infinities, NaN, signed zeros and subnormals; the bounds given are the largest errors
/// found against f64 over all magnitudes, in units of the last place. Polynomials are minimax fits
/// (iteratively reweighted least squares); arguments are first reduced to the interval of the fit.
enum VectorMath {
  /// e^x; 1.0 ulp.
  ///
  /// x = k log 2 + r with |r| <= log 2 / 2, then 2^k (1 + r + r^2 q(r)). The power of two is applied in
  /// two halves, so that subnormal results and those just under the largest number come out right.
  @inline(__always)
  static func exp(_ x: Float) -> Float {
    let (k, r) = splitByLog2(clamp(x, -104, 89))
    let p = fma(expm1Tail(r), r * r, r) + 1
    let half = k &>> 1
    return p * powerOfTwo(half) * powerOfTwo(k &- half)
  }

  /// e^x - 1, accurate near 0; 1.4 ulp.
  @inline(__always)
  static func expm1(_ x: Float) -> Float {
    // Half of the power of two, since 2^128 is not a number.
    let (k, r) = splitByLog2(clamp(x, -25, 89))
    let p = fma(expm1Tail(r), r * r, r)
    let scale = powerOfTwo(k &- 1)
    let y = 2 * fma(p, scale, scale - 0.5)
    // Tiny arguments, and the sign of zero, pass through.
    return magnitude(x) < 0x1p-25 ? x : y
  }

  /// The natural logarithm; 0.8 ulp.
  @inline(__always)
  static func log(_ x: Float) -> Float {
    // x = 2^k (1 + f) with 1 + f between sqrt(1/2) and sqrt(2).
    let isSubnormal = x < 0x1p-126
    let bits = Int32(bitPattern: (isSubnormal ? x * 0x1p23 : x).bitPattern)
    let k = (bits &- 0x3F35_04F3) &>> 23
    let f = Float(bitPattern: UInt32(bitPattern: bits &- (k &<< 23))) - 1
    let exponent = Float(k) - (isSubnormal ? 23 : 0)
    var p: Float = 0x1.14579ap-4
    p = fma(p, f, -0x1.de4046p-4)
    p = fma(p, f, 0x1.e6f2aep-4)
    p = fma(p, f, -0x1.fc218ep-4)
    p = fma(p, f, 0x1.23373cp-3)
    p = fma(p, f, -0x1.555c4ep-3)
    p = fma(p, f, 0x1.99a4b8p-3)
    p = fma(p, f, -0x1.000006p-2)
    p = fma(p, f, 0x1.555548p-2)
    let square = f * f
    var y = fma(exponent, log2Low, square * f * p)
    y = fma(square, -0.5, y) + f
    y = fma(exponent, log2High, y)
    let beyond: Float = x == 0 ? -.infinity : .nan
    return x > 0 ? (x < .infinity ? y : x) : beyond
  }

  /// log(1 + x), accurate near 0; 1.5 ulp.
  @inline(__always)
  static func log1p(_ x: Float) -> Float {
    // The rounding error c of 1 + x changes the logarithm by c / (1 + x).
    let u = 1 + x
    let c = x - (u - 1)
    let correction = u > 0 && u < .infinity ? c / u : 0
    let y = log(u) + correction
    return magnitude(x) < 0x1p-25 ? x : y
  }

  /// The hyperbolic tangent; 2.5 ulp.
  ///
  /// -t / (t + 2) with t = e^(-2|x|) - 1, which loses nothing near 0.
  @inline(__always)
  static func tanh(_ x: Float) -> Float {
    let size = magnitude(x)
    let (k, r) = splitByLog2(size > 10 ? -20 : -2 * size)
    let p = fma(expm1Tail(r), r * r, r)
    let scale = powerOfTwo(k)
    let t = fma(p, scale, scale - 1)
    let y = withSign(of: x, -t / (t + 2))
    return x == x ? y : x
  }

  /// 1 / (1 + e^-x); 2.3 ulp.
  ///
  /// Through e^-|x|, which never overflows.
  @inline(__always)
  static func sigmoid(_ x: Float) -> Float {
    let e = exp(-magnitude(x))
    return (x < 0 ? e : 1) / (1 + e)
  }

  /// The error function; 1.1 ulp.
  ///
  /// Up to 0.95, x + x p(x^2); beyond, 1 - e^-q(|x|) where q fits -log erfc.
  @inline(__always)
  static func erf(_ x: Float) -> Float {
    let z = x * x
    var p: Float = 0x1.574ec6p-14
    p = fma(p, z, -0x1.a88d8ap-11)
    p = fma(p, z, 0x1.549664p-8)
    p = fma(p, z, -0x1.b80962p-6)
    p = fma(p, z, 0x1.ce2dcap-4)
    p = fma(p, z, -0x1.812742p-2)
    p = fma(p, z, 0x1.06eba8p-3)
    let near = fma(p, x, x)

    let size = magnitude(x) > 3.95 ? 3.95 : magnitude(x)
    var q: Float = 0x1.660792p-16
    q = fma(q, size, -0x1.ca8bfap-12)
    q = fma(q, size, 0x1.124284p-8)
    q = fma(q, size, -0x1.9c278cp-6)
    q = fma(q, size, 0x1.bbbf4ap-4)
    q = fma(q, size, 0x1.443f46p-1)
    q = fma(q, size, 0x1.212992p+0)
    q = fma(q, size, -0x1.799982p-13)
    let (k, r) = splitByLog2(-q)
    let tail = (fma(expm1Tail(r), r * r, r) + 1) * powerOfTwo(k)
    let far = withSign(of: x, 1 - tail)
    // NaN takes the polynomial, which keeps it.
    return magnitude(x) > 0.95 ? far : near
  }

  /// The inverse tangent; 1.4 ulp.
  @inline(__always)
  static func atan(_ x: Float) -> Float {
    // atan x = pi/2 - atan(1/x) beyond 1.
    let size = magnitude(x)
    let u = size > 1 ? 1 / size : size
    let z = u * u
    var p: Float = -0x1.d62fe8p-10
    p = fma(p, z, 0x1.65a658p-7)
    p = fma(p, z, -0x1.fed15cp-6)
    p = fma(p, z, 0x1.dac9e2p-5)
    p = fma(p, z, -0x1.583490p-4)
    p = fma(p, z, 0x1.c099fep-4)
    p = fma(p, z, -0x1.2421b6p-3)
    p = fma(p, z, 0x1.9991fep-3)
    p = fma(p, z, -0x1.55553ep-2)
    let near = fma(p * z, u, u)
    return withSign(of: x, size > 1 ? 0x1.921fb6p0 - (near - -0x1.777a5cp-25) : near)
  }

  /// Beyond this the reduction of sine and cosine loses accuracy.
  static let trigonometricLimit: Float = 0x1p16

  /// The sine; 1.6 ulp up to `trigonometricLimit`.
  @inline(__always)
  static func sin(_ x: Float) -> Float {
    let (quadrant, r) = splitByHalfPi(x)
    let y = sineOrCosine(quadrant, r)
    return x == 0 ? x : y
  }

  /// The cosine; 1.6 ulp up to `trigonometricLimit`.
  @inline(__always)
  static func cos(_ x: Float) -> Float {
    let (quadrant, r) = splitByHalfPi(x)
    return sineOrCosine(quadrant &+ 1, r)
  }
}

// Pieces of the functions above.

@inline(__always)
func fma(_ a: Float, _ b: Float, _ c: Float) -> Float { c.addingProduct(a, b) }

@inline(__always)
private func clamp(_ x: Float, _ low: Float, _ high: Float) -> Float {
  // Comparisons in this order let NaN through.
  let raised = x < low ? low : x
  return raised > high ? high : raised
}

@inline(__always)
private func magnitude(_ x: Float) -> Float { Float(bitPattern: x.bitPattern & 0x7FFF_FFFF) }

/// `size`, which is not negative, with the sign of `x`.
@inline(__always)
private func withSign(of x: Float, _ size: Float) -> Float {
  Float(bitPattern: (size.bitPattern & 0x7FFF_FFFF) | (x.bitPattern & 0x8000_0000))
}

private let log2High: Float = 0x1.62e4p-1
private let log2Low: Float = 0x1.7f7d1cp-20

/// x = k log 2 + r with |r| <= log 2 / 2. Adding 1.5 * 2^23 rounds to a whole number in the low bits.
@inline(__always)
private func splitByLog2(_ x: Float) -> (k: Int32, r: Float) {
  let shifted = fma(x, 0x1.715476p0, 0x1.8p23)
  let k = shifted - 0x1.8p23
  let r = fma(k, -log2Low, fma(k, -log2High, x))
  return (Int32(bitPattern: shifted.bitPattern) &- 0x4B40_0000, r)
}

/// q with e^r - 1 = r + r^2 q(r) for |r| <= log 2 / 2, to 2^-32.
@inline(__always)
private func expm1Tail(_ r: Float) -> Float {
  var q: Float = 0x1.a032c4p-13
  q = fma(q, r, 0x1.6d723ep-10)
  q = fma(q, r, 0x1.11118ap-7)
  q = fma(q, r, 0x1.5554b0p-5)
  q = fma(q, r, 0x1.555554p-3)
  return fma(q, r, 0.5)
}

/// 2^k for k from -126 to 127.
@inline(__always)
private func powerOfTwo(_ k: Int32) -> Float {
  Float(bitPattern: UInt32(bitPattern: (k &+ 127) &<< 23))
}

/// x = quadrant pi/2 + r with |r| <= pi/4, pi/2 in three pieces (Cody and Waite).
@inline(__always)
private func splitByHalfPi(_ x: Float) -> (quadrant: Int32, r: Float) {
  let shifted = fma(x, 0x1.45f306p-1, 0x1.8p23)
  let n = shifted - 0x1.8p23
  var r = fma(n, -0x1.921fb6p0, x)
  r = fma(n, 0x1.777a5cp-25, r)
  r = fma(n, 0x1.ee59dap-50, r)
  return (Int32(bitPattern: shifted.bitPattern), r)
}

/// The sine of quadrant pi/2 + r.
@inline(__always)
private func sineOrCosine(_ quadrant: Int32, _ r: Float) -> Float {
  let z = r * r
  var s: Float = -0x1.994e02p-13
  s = fma(s, z, 0x1.11075ep-7)
  s = fma(s, z, -0x1.555546p-3)
  let sine = fma(s * z, r, r)
  var c: Float = 0x1.9a01bap-16
  c = fma(c, z, -0x1.6c0c8ap-10)
  c = fma(c, z, 0x1.55554ap-5)
  let cosine = fma(c, z * z, fma(z, -0.5, 1))
  let y = quadrant & 1 == 0 ? sine : cosine
  let sign = UInt32(bitPattern: quadrant & 2) &<< 30
  return Float(bitPattern: y.bitPattern ^ sign)
}
