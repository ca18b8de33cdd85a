/// The type of a tensor's elements.
package enum DType: UInt8, Hashable, Sendable, CaseIterable {
  case f32, f64, f16, bf16, i32, i64, u8, bool
  /// 8-bit floats: 4 bits of exponent and 3 of mantissa, 5 and 2. `Float8` has their rules.
  case f8e4m3, f8e5m2
  /// Blocks of 256 numbers, a byte each and one scale: `QuantizedBlock` has the layout. The bytes are codes of a
  /// `DynamicMap`, or f8e4m3. Only whole tensors have these dtypes, never views of them.
  case q8, q8e4m3

  /// The spelling in programs and printed types.
  package var name: String {
    switch self {
    case .f32: "f32"
    case .f64: "f64"
    case .f16: "f16"
    case .bf16: "bf16"
    case .i32: "i32"
    case .i64: "i64"
    case .u8: "u8"
    case .bool: "bool"
    case .f8e4m3: "f8e4m3"
    case .f8e5m2: "f8e5m2"
    case .q8: "q8"
    case .q8e4m3: "q8e4m3"
    }
  }

  package init?(name: some StringProtocol) {
    for dtype in DType.allCases where dtype.name == name {
      self = dtype
      return
    }
    return nil
  }

  /// Bytes of one element in storage; of a block without its share of the block's scale.
  package var byteCount: Int {
    switch self {
    case .f64, .i64: 8
    case .f32, .i32: 4
    case .f16, .bf16: 2
    case .u8, .bool, .f8e4m3, .f8e5m2, .q8, .q8e4m3: 1
    }
  }

  /// Bytes of `count` elements in a row.
  package func byteCount(of count: Int) -> Int {
    isBlocked ? QuantizedBlock.byteCount(of: count) : count * byteCount
  }

  /// Where the element at a position lies, in bytes from the first.
  /// - Requires: of blocks, the position begins one.
  package func byteOffset(of position: Int) -> Int {
    isBlocked ? position / QuantizedBlock.size * QuantizedBlock.byteCount : position * byteCount
  }

  /// Whether elements lie in blocks that share a scale.
  package var isBlocked: Bool { self == .q8 || self == .q8e4m3 }

  /// Whether each element is a float by itself. Those of blocks are not: only a whole block is.
  package var isFloating: Bool {
    switch self {
    case .f32, .f64, .f16, .bf16, .f8e4m3, .f8e5m2: true
    case .i32, .i64, .u8, .bool, .q8, .q8e4m3: false
    }
  }

  /// Whether elements may have fractions, and print as such.
  package var isFractional: Bool { isFloating || isBlocked }

  /// Whether elements are whole numbers; `bool` is not counted.
  package var isInteger: Bool {
    switch self {
    case .i32, .i64, .u8: true
    case .f32, .f64, .f16, .bf16, .bool, .f8e4m3, .f8e5m2, .q8, .q8e4m3: false
    }
  }

  /// Whether a whole number is one of an integer type's; the others take every number, rounded.
  package func holds(_ number: Int) -> Bool {
    switch self {
    case .i32: Int32(exactly: number) != nil
    case .u8: UInt8(exactly: number) != nil
    case .i64, .f32, .f64, .f16, .bf16, .bool, .f8e4m3, .f8e5m2, .q8, .q8e4m3: true
    }
  }
}

extension DType: CustomStringConvertible {
  package var description: String { name }
}

/// A set of dtypes, such as those that an op accepts.
package struct DTypeSet: OptionSet, Hashable, Sendable {
  package let rawValue: UInt16
  package init(rawValue: UInt16) { self.rawValue = rawValue }
  package init(_ dtype: DType) { rawValue = 1 << UInt16(dtype.rawValue) }

  /// f32 and f64: where a kernel has none for 16 bits, those are computed in f32 and rounded once.
  package static let wideFloating: DTypeSet = [DTypeSet(.f32), DTypeSet(.f64)]
  package static let floating: DTypeSet = [.wideFloating, DTypeSet(.f16), DTypeSet(.bf16)]
  package static let integers: DTypeSet = [DTypeSet(.i32), DTypeSet(.i64), DTypeSet(.u8)]
  package static let bool = DTypeSet(.bool)
  package static let numeric: DTypeSet = [.floating, .integers]
  package static let wideNumeric: DTypeSet = [.wideFloating, .integers]
  package static let all: DTypeSet = [.numeric, .bool]
  package static let wide: DTypeSet = [.wideNumeric, .bool]
  package static let blocked: DTypeSet = [DTypeSet(.q8), DTypeSet(.q8e4m3)]
  /// What numbers are only kept in: nothing is computed in these, or looked up. They are converted back first.
  package static let storage: DTypeSet = [DTypeSet(.f8e4m3), DTypeSet(.f8e5m2), .blocked]
  /// Every dtype that a tensor can be stored in.
  package static let stored: DTypeSet = [.all, .storage]

  package func contains(_ dtype: DType) -> Bool { contains(DTypeSet(dtype)) }
  /// The members in declaration order.
  package var members: [DType] { DType.allCases.filter { contains($0) } }
}
