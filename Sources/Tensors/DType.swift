/// The type of a tensor's elements.
package enum DType: UInt8, Hashable, Sendable, CaseIterable {
  case f32, f64, f16, bf16, i32, i64, u8, bool

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
    }
  }

  package init?(name: some StringProtocol) {
    for dtype in DType.allCases where dtype.name == name {
      self = dtype
      return
    }
    return nil
  }

  /// Bytes of one element in storage.
  package var byteCount: Int {
    switch self {
    case .f64, .i64: 8
    case .f32, .i32: 4
    case .f16, .bf16: 2
    case .u8, .bool: 1
    }
  }

  package var isFloating: Bool {
    switch self {
    case .f32, .f64, .f16, .bf16: true
    case .i32, .i64, .u8, .bool: false
    }
  }

  /// Whether elements are whole numbers; `bool` is not counted.
  package var isInteger: Bool {
    switch self {
    case .i32, .i64, .u8: true
    case .f32, .f64, .f16, .bf16, .bool: false
    }
  }

  /// Whether a whole number is one of an integer type's; the others take every number, rounded.
  package func holds(_ number: Int) -> Bool {
    switch self {
    case .i32: Int32(exactly: number) != nil
    case .u8: UInt8(exactly: number) != nil
    case .i64, .f32, .f64, .f16, .bf16, .bool: true
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
  /// Every dtype that a tensor can be stored in.
  package static let stored: DTypeSet = .all

  package func contains(_ dtype: DType) -> Bool { contains(DTypeSet(dtype)) }
  /// The members in declaration order.
  package var members: [DType] { DType.allCases.filter { contains($0) } }
}
