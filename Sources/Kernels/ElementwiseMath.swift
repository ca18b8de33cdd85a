import Glibc

// Elementary functions: `Float` through vector polynomials, `Double` through the C library.

extension TileFunction {
  package static let exp = TileFunction(
    single: unaryTile(inBlocks: .exp) { (x: Float) in VectorMath.exp(x) },
    double: unaryTile { (x: Double) in Glibc.exp(x) })

  package static let expm1 = TileFunction(
    single: unaryTile { (x: Float) in VectorMath.expm1(x) },
    double: unaryTile { (x: Double) in Glibc.expm1(x) })

  package static let log = TileFunction(
    single: unaryTile(inBlocks: .log) { (x: Float) in VectorMath.log(x) },
    double: unaryTile { (x: Double) in Glibc.log(x) })

  package static let log1p = TileFunction(
    single: unaryTile { (x: Float) in VectorMath.log1p(x) },
    double: unaryTile { (x: Double) in Glibc.log1p(x) })

  package static let sqrt = TileFunction(
    single: unaryTile(inBlocks: .squareRoot) { (x: Float) in x.squareRoot() },
    double: unaryTile { (x: Double) in x.squareRoot() })

  package static let rsqrt = TileFunction(
    single: unaryTile(inBlocks: .reciprocalRoot) { (x: Float) in 1 / x.squareRoot() },
    double: unaryTile { (x: Double) in 1 / x.squareRoot() })

  package static let reciprocal = TileFunction(
    single: unaryTile(inBlocks: .reciprocal) { (x: Float) in 1 / x },
    double: unaryTile { (x: Double) in 1 / x })

  package static let tanh = TileFunction(
    single: unaryTile(inBlocks: .tanh) { (x: Float) in VectorMath.tanh(x) },
    double: unaryTile { (x: Double) in Glibc.tanh(x) })

  package static let sigmoid = TileFunction(
    single: unaryTile(inBlocks: .sigmoid) { (x: Float) in VectorMath.sigmoid(x) },
    double: unaryTile { (x: Double) in
      let e = Glibc.exp(-x.magnitude)
      return (x < 0 ? e : 1) / (1 + e)
    })

  package static let erf = TileFunction(
    single: unaryTile(inBlocks: .erf) { (x: Float) in VectorMath.erf(x) },
    double: unaryTile { (x: Double) in Glibc.erf(x) })

  package static let atan = TileFunction(
    single: unaryTile { (x: Float) in VectorMath.atan(x) },
    double: unaryTile { (x: Double) in Glibc.atan(x) })

  package static let sin = TileFunction(
    single: TileBody { operands, result, count in
      trigonometricTile(operands, result, count, VectorMath.sin, Glibc.sinf)
    },
    double: unaryTile { (x: Double) in Glibc.sin(x) })

  package static let cos = TileFunction(
    single: TileBody { operands, result, count in
      trigonometricTile(operands, result, count, VectorMath.cos, Glibc.cosf)
    },
    double: unaryTile { (x: Double) in Glibc.cos(x) })

  package static let power = TileFunction(
    single: powerTile,
    double: binaryTile { (x: Double, y: Double) in Glibc.pow(x, y) },
    checked: failingTile(integerPower))
}

/// Fast for all elements, then slow once more for those beyond the fast function's range.
@inline(__always)
private func trigonometricTile(
  _ operands: UnsafePointer<UnsafeRawPointer>, _ result: UnsafeMutableRawPointer, _ count: Int,
  _ fast: (Float) -> Float, _ slow: (Float) -> Float
) -> ArithmeticFault? {
  let x = operands[0].assumingMemoryBound(to: Float.self)
  let y = result.assumingMemoryBound(to: Float.self)
  // Sizes compare as their bits do; a largest `Float` could not be found by vector instructions.
  let limit = VectorMath.trigonometricLimit
  var largest: UInt32 = 0
  for i in 0..<count {
    largest = max(largest, x[i].magnitude.bitPattern)
    y[i] = fast(x[i])
  }
  if largest > limit.bitPattern {
    for i in 0..<count where x[i].magnitude > limit { y[i] = slow(x[i]) }
  }
  return nil
}

/// x^y. A tile with one exponent throughout, as in `x^2`, takes a shortcut with the same results.
private let powerTile = TileBody(
  { operands, result, count in
    let exponent = operands[1].assumingMemoryBound(to: Float.self)
    var differences: UInt32 = 0
    for i in 0..<count { differences |= exponent[i].bitPattern ^ exponent[0].bitPattern }
    if differences == 0 { return powerOfNumber(operands, result, count) }
    let x = operands[0].assumingMemoryBound(to: Float.self)
    let y = result.assumingMemoryBound(to: Float.self)
    for i in 0..<count { y[i] = VectorMath.power(x[i], exponent[i]) }
    return nil
  }, numberSecond: powerOfNumber, inBlocks: .power)

private let powerOfNumber: TileLoop.Function = { operands, result, count in
  let x = operands[0].assumingMemoryBound(to: Float.self)
  let exponent = operands[1].load(as: Float.self)
  let y = result.assumingMemoryBound(to: Float.self)
  switch exponent {
  case 2: for i in 0..<count { y[i] = x[i] * x[i] }
  case 3: for i in 0..<count { y[i] = cube(x[i]) }
  case 0.5: for i in 0..<count { y[i] = rootPower(x[i]) }
  default: for i in 0..<count { y[i] = VectorMath.power(x[i], exponent) }
  }
  return nil
}

/// x^y for whole numbers by repeated squaring.
private func integerPower(_ x: Int64, _ y: Int64) -> Result<Int64, ArithmeticFault> {
  if y < 0 { return .failure(.negativeExponent) }
  var result: Int64 = 1
  var square = x
  var rest = y
  while true {
    if rest & 1 == 1 {
      let (product, overflow) = result.multipliedReportingOverflow(by: square)
      if overflow { return .failure(.overflow) }
      result = product
    }
    rest &>>= 1
    if rest == 0 { return .success(result) }
    let (product, overflow) = square.multipliedReportingOverflow(by: square)
    if overflow { return .failure(.overflow) }
    square = product
  }
}
