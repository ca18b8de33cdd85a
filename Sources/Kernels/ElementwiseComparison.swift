// Comparisons and logic. Truth values are bytes, 0 or 1. NaN is unequal to everything, itself included.

extension TileFunction {
  package static let equal = TileFunction(
    single: binaryTile { (a: Float, b: Float) in truth(a == b) },
    double: binaryTile { (a: Double, b: Double) in truth(a == b) },
    integer: binaryTile { (a: Int64, b: Int64) in truth(a == b) },
    truth: binaryTile { (a: UInt8, b: UInt8) in truth(a == b) })

  package static let notEqual = TileFunction(
    single: binaryTile { (a: Float, b: Float) in truth(a != b) },
    double: binaryTile { (a: Double, b: Double) in truth(a != b) },
    integer: binaryTile { (a: Int64, b: Int64) in truth(a != b) },
    truth: binaryTile { (a: UInt8, b: UInt8) in truth(a != b) })

  package static let less = TileFunction(
    single: binaryTile { (a: Float, b: Float) in truth(a < b) },
    double: binaryTile { (a: Double, b: Double) in truth(a < b) },
    integer: binaryTile { (a: Int64, b: Int64) in truth(a < b) },
    truth: binaryTile { (a: UInt8, b: UInt8) in truth(a < b) })

  package static let lessOrEqual = TileFunction(
    single: binaryTile { (a: Float, b: Float) in truth(a <= b) },
    double: binaryTile { (a: Double, b: Double) in truth(a <= b) },
    integer: binaryTile { (a: Int64, b: Int64) in truth(a <= b) },
    truth: binaryTile { (a: UInt8, b: UInt8) in truth(a <= b) })

  package static let greater = TileFunction(
    single: binaryTile { (a: Float, b: Float) in truth(a > b) },
    double: binaryTile { (a: Double, b: Double) in truth(a > b) },
    integer: binaryTile { (a: Int64, b: Int64) in truth(a > b) },
    truth: binaryTile { (a: UInt8, b: UInt8) in truth(a > b) })

  package static let greaterOrEqual = TileFunction(
    single: binaryTile { (a: Float, b: Float) in truth(a >= b) },
    double: binaryTile { (a: Double, b: Double) in truth(a >= b) },
    integer: binaryTile { (a: Int64, b: Int64) in truth(a >= b) },
    truth: binaryTile { (a: UInt8, b: UInt8) in truth(a >= b) })

  package static let isNaN = TileFunction(
    single: unaryTile { (x: Float) in truth(x != x) },
    double: unaryTile { (x: Double) in truth(x != x) })

  package static let logicalAnd = TileFunction(truth: binaryTile { (a: UInt8, b: UInt8) in a & b })
  package static let logicalOr = TileFunction(truth: binaryTile { (a: UInt8, b: UInt8) in a | b })
  package static let logicalNot = TileFunction(truth: unaryTile { (x: UInt8) in x ^ 1 })

  /// Of the second and third operand, the one that the first chooses; by the lane of the second.
  package static let select = TileFunction(
    single: ternaryTile { (c: UInt8, a: Float, b: Float) in c != 0 ? a : b },
    double: ternaryTile { (c: UInt8, a: Double, b: Double) in c != 0 ? a : b },
    integer: ternaryTile { (c: UInt8, a: Int64, b: Int64) in c != 0 ? a : b },
    truth: ternaryTile { (c: UInt8, a: UInt8, b: UInt8) in c != 0 ? a : b })
}

@inline(__always)
private func truth(_ condition: Bool) -> UInt8 { condition ? 1 : 0 }
