// Arithmetic. Whole numbers report what they cannot express: a sign bit gathered over the tile tells of
// overflow without a branch per element.

extension TileFunction {
  package static let add = TileFunction(
    single: binaryTile(inBlocks: .add) { (a: Float, b: Float) in a + b },
    double: binaryTile { (a: Double, b: Double) in a + b },
    checked: checkedTile { a, b in
      let sum = a &+ b
      return (sum, (a ^ sum) & (b ^ sum))
    })

  package static let subtract = TileFunction(
    single: binaryTile(inBlocks: .subtract) { (a: Float, b: Float) in a - b },
    double: binaryTile { (a: Double, b: Double) in a - b },
    checked: checkedTile { a, b in
      let difference = a &- b
      return (difference, (a ^ b) & (a ^ difference))
    })

  package static let multiply = TileFunction(
    single: binaryTile(inBlocks: .multiply) { (a: Float, b: Float) in a * b },
    double: binaryTile { (a: Double, b: Double) in a * b },
    checked: multiplyIntegers)

  package static let divide = TileFunction(
    single: binaryTile(inBlocks: .divide) { (a: Float, b: Float) in a / b },
    double: binaryTile { (a: Double, b: Double) in a / b })

  package static let floorDivide = TileFunction(
    single: binaryTile { (a: Float, b: Float) in floorQuotient(a, b) },
    double: binaryTile { (a: Double, b: Double) in floorQuotient(a, b) },
    checked: failingTile { a, b in
      if b == 0 { return .failure(.divisionByZero) }
      if b == -1 && a == .min { return .failure(.overflow) }
      let quotient = a / b
      return .success(a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient)
    })

  package static let modulo = TileFunction(
    single: binaryTile { (a: Float, b: Float) in floorRemainder(a, b) },
    double: binaryTile { (a: Double, b: Double) in floorRemainder(a, b) },
    checked: failingTile { a, b in
      if b == 0 { return .failure(.divisionByZero) }
      if b == -1 { return .success(0) }
      let remainder = a % b
      return .success(remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder)
    })

  package static let minimum = TileFunction(
    single: binaryTile(inBlocks: .minimum) { (a: Float, b: Float) in smaller(a, b) },
    double: binaryTile { (a: Double, b: Double) in smaller(a, b) },
    integer: binaryTile { (a: Int64, b: Int64) in a < b ? a : b })

  package static let maximum = TileFunction(
    single: binaryTile(inBlocks: .maximum) { (a: Float, b: Float) in larger(a, b) },
    double: binaryTile { (a: Double, b: Double) in larger(a, b) },
    integer: binaryTile { (a: Int64, b: Int64) in a > b ? a : b })

  package static let clamp = TileFunction(
    single: ternaryTile { (x: Float, low: Float, high: Float) in smaller(larger(x, low), high) },
    double: ternaryTile { (x: Double, low: Double, high: Double) in smaller(larger(x, low), high) },
    integer: ternaryTile { (x: Int64, low: Int64, high: Int64) in
      let raised = x < low ? low : x
      return raised > high ? high : raised
    })

  package static let negate = TileFunction(
    single: unaryTile(inBlocks: .negate) { (x: Float) in -x },
    double: unaryTile { (x: Double) in -x },
    checked: checkedTile { x in
      let negative = 0 &- x
      return (negative, x & negative)
    })

  package static let abs = TileFunction(
    single: unaryTile(inBlocks: .abs) { (x: Float) in x.magnitude },
    double: unaryTile { (x: Double) in x.magnitude },
    checked: checkedTile { x in
      let sign = x &>> 63
      let magnitude = (x ^ sign) &- sign
      return (magnitude, magnitude)
    })

  /// -1, 0 or 1; zeros and NaN are themselves.
  package static let sign = TileFunction(
    single: unaryTile(inBlocks: .sign) { (x: Float) in x > 0 ? 1 : (x < 0 ? -1 : x) },
    double: unaryTile { (x: Double) in x > 0 ? 1 : (x < 0 ? -1 : x) },
    integer: unaryTile { (x: Int64) in (x > 0 ? 1 : 0) &- (x < 0 ? 1 : 0) })

  /// x above 0, else 0; NaN is itself.
  package static let relu = TileFunction(
    single: unaryTile(inBlocks: .relu) { (x: Float) in x <= 0 ? 0 : x },
    double: unaryTile { (x: Double) in x <= 0 ? 0 : x },
    integer: unaryTile { (x: Int64) in x <= 0 ? 0 : x })

  package static let floor = TileFunction(
    single: unaryTile { (x: Float) in x.rounded(.down) },
    double: unaryTile { (x: Double) in x.rounded(.down) },
    integer: unaryTile { (x: Int64) in x })

  package static let ceil = TileFunction(
    single: unaryTile { (x: Float) in x.rounded(.up) },
    double: unaryTile { (x: Double) in x.rounded(.up) },
    integer: unaryTile { (x: Int64) in x })

  /// To the nearest whole number, halves to the even one.
  package static let round = TileFunction(
    single: unaryTile { (x: Float) in x.rounded(.toNearestOrEven) },
    double: unaryTile { (x: Double) in x.rounded(.toNearestOrEven) },
    integer: unaryTile { (x: Int64) in x })
}

// Minimum and maximum keep NaN, whichever side it is on.

@inline(__always)
private func smaller<T: BinaryFloatingPoint>(_ a: T, _ b: T) -> T { a < b || a != a ? a : b }

@inline(__always)
private func larger<T: BinaryFloatingPoint>(_ a: T, _ b: T) -> T { a > b || a != a ? a : b }

/// The quotient rounded down, exact where `floor(a / b)` is not: 1 // 0.1 is 9, since 0.1 is a bit more.
@inline(__always)
private func floorQuotient<T: BinaryFloatingPoint>(_ a: T, _ b: T) -> T {
  if b == 0 { return a / b }
  var remainder = a.truncatingRemainder(dividingBy: b)
  if remainder != 0 && (remainder < 0) != (b < 0) { remainder += b }
  return ((a - remainder) / b).rounded()
}

/// The remainder with the sign of the divisor: a - b (a // b).
@inline(__always)
private func floorRemainder<T: BinaryFloatingPoint>(_ a: T, _ b: T) -> T {
  let remainder = a.truncatingRemainder(dividingBy: b)
  return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder
}

/// A loop over whole numbers from a function that returns a value and a word whose sign bit tells of overflow.
@inline(__always)
private func checkedTile(_ function: @escaping @Sendable (Int64) -> (Int64, Int64)) -> TileBody {
  TileBody { operands, result, count in
    let x = operands[0].assumingMemoryBound(to: Int64.self)
    let y = result.assumingMemoryBound(to: Int64.self)
    var lost: Int64 = 0
    for i in 0..<count {
      let (value, overflow) = function(x[i])
      y[i] = value
      lost |= overflow
    }
    return lost < 0 ? .overflow : nil
  }
}

@inline(__always)
private func checkedTile(
  _ function: @escaping @Sendable (Int64, Int64) -> (Int64, Int64)
) -> TileBody {
  TileBody { operands, result, count in
    let a = operands[0].assumingMemoryBound(to: Int64.self)
    let b = operands[1].assumingMemoryBound(to: Int64.self)
    let y = result.assumingMemoryBound(to: Int64.self)
    var lost: Int64 = 0
    for i in 0..<count {
      let (value, overflow) = function(a[i], b[i])
      y[i] = value
      lost |= overflow
    }
    return lost < 0 ? .overflow : nil
  }
}

/// A loop over whole numbers from a function that may fail, one element at a time.
@inline(__always)
func failingTile(
  _ function: @escaping @Sendable (Int64, Int64) -> Result<Int64, ArithmeticFault>
) -> TileBody {
  TileBody { operands, result, count in
    let a = operands[0].assumingMemoryBound(to: Int64.self)
    let b = operands[1].assumingMemoryBound(to: Int64.self)
    let y = result.assumingMemoryBound(to: Int64.self)
    for i in 0..<count {
      switch function(a[i], b[i]) {
      case .success(let value): y[i] = value
      case .failure(let fault): return fault
      }
    }
    return nil
  }
}

/// Factors under 2^31 cannot overflow, and almost all are; only other tiles are multiplied with care.
private let multiplyIntegers = TileBody { operands, result, count in
  let a = operands[0].assumingMemoryBound(to: Int64.self)
  let b = operands[1].assumingMemoryBound(to: Int64.self)
  let y = result.assumingMemoryBound(to: Int64.self)
  var bits: Int64 = 0
  for i in 0..<count {
    y[i] = a[i] &* b[i]
    bits |= (a[i] ^ (a[i] &>> 63)) | (b[i] ^ (b[i] &>> 63))
  }
  if bits < 1 &<< 31 { return nil }
  for i in 0..<count where a[i].multipliedReportingOverflow(by: b[i]).overflow { return .overflow }
  return nil
}
