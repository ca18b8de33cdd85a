import Tensors

/// How a file stores one number, and the dtype that it becomes.
///
/// Integers without a dtype of their own go to the narrowest that holds them all: i8, i16 and u16 to i32, u32 to i64.
/// u64 goes to i64 too, each value checked.
struct ElementFormat: Hashable {
  enum Kind: Hashable { case signed, unsigned, float, bfloat, bool, e4m3, e5m2 }
  enum ByteOrder: Hashable { case little, big }

  let kind: Kind
  let byteCount: Int
  let order: ByteOrder
  let dtype: DType

  /// Names a format; nil where there is no such number, as a float of one byte.
  init?(_ kind: Kind, byteCount: Int, order: ByteOrder = .little) {
    switch (kind, byteCount) {
    case (.float, 2): dtype = .f16
    case (.float, 4): dtype = .f32
    case (.float, 8): dtype = .f64
    case (.bfloat, 2): dtype = .bf16
    case (.bool, 1): dtype = .bool
    case (.e4m3, 1): dtype = .f8e4m3
    case (.e5m2, 1): dtype = .f8e5m2
    case (.unsigned, 1): dtype = .u8
    case (.signed, 1), (.signed, 2), (.signed, 4), (.unsigned, 2): dtype = .i32
    case (.signed, 8), (.unsigned, 4), (.unsigned, 8): dtype = .i64
    default: return nil
    }
    self.kind = kind
    self.byteCount = byteCount
    self.order = order
  }

  /// Reads a tensor whose elements begin at `offset`, in row-major order.
  /// - Requires: the caller has held the count of bytes against the size of the file.
  func read(_ shape: Shape, from source: ByteSource, at offset: Int) throws(FileError) -> Tensor {
    let type = TensorType(dtype, shape)
    if source.readsHeaders { return .phantom(type) }
    try source.requireMemory(type.byteCount)
    let tensor = Tensor(uninitialized: type)
    let target = UnsafeMutableRawBufferPointer(start: tensor.storage.base, count: type.byteCount)

    // Narrow numbers are read into the end of the storage and widened from its start: the write never overtakes.
    let stored = UnsafeMutableRawBufferPointer(
      rebasing: target[(target.count - shape.elementCount * byteCount)...])
    try source.read(at: offset, into: stored)
    switch (kind, byteCount) {
    case (.signed, 1): widen(Int8.self, stored, Int32.self, target)
    case (.signed, 2): widen(Int16.self, stored, Int32.self, target)
    case (.unsigned, 2): widen(UInt16.self, stored, Int32.self, target)
    case (.unsigned, 4): widen(UInt32.self, stored, Int64.self, target)
    case (.bool, _):
      // Kernels count on 0 and 1.
      for index in target.indices where target[index] > 1 { target[index] = 1 }
    case (_, 2): widen(UInt16.self, stored, UInt16.self, target)
    case (_, 4): widen(UInt32.self, stored, UInt32.self, target)
    case (_, 8): widen(UInt64.self, stored, UInt64.self, target)
    default: break
    }
    if kind == .unsigned, byteCount == 8 {
      for index in 0..<shape.elementCount where target.load(fromByteOffset: index * 8, as: Int64.self) < 0 {
        throw source.unsupported(
          "the number \(target.load(fromByteOffset: index * 8, as: UInt64.self)) is too large for i64",
          at: .byte(offset + index * 8))
      }
    }
    return tensor
  }

  /// Brings numbers to this machine's byte order and to a wider type.
  private func widen<Narrow: FixedWidthInteger, Wide: FixedWidthInteger>(
    _: Narrow.Type, _ stored: UnsafeMutableRawBufferPointer, _: Wide.Type, _ target: UnsafeMutableRawBufferPointer
  ) {
    if Narrow.self == Wide.self, order == .little || Narrow.bitWidth == 8 { return }
    let narrowSize = MemoryLayout<Narrow>.size
    let wideSize = MemoryLayout<Wide>.size
    for index in 0..<stored.count / narrowSize {
      let raw = stored.loadUnaligned(fromByteOffset: index * narrowSize, as: Narrow.self)
      let value = order == .big ? Narrow(bigEndian: raw) : raw
      target.storeBytes(of: Wide(truncatingIfNeeded: value), toByteOffset: index * wideSize, as: Wide.self)
    }
  }
}

extension ByteSource {
  /// Checks that the elements of `shape` fill the file from `start` to its end, nothing more and nothing less.
  func requireDataSize(_ shape: Shape, elementByteCount: Int, from start: Int) throws(FileError) {
    try requireRank(shape.rank)
    guard let count = shape.checkedElementCount else {
      throw damaged("shape \(shape) is larger than any memory")
    }
    let expected = count * elementByteCount
    let actual = byteCount - start
    if actual != expected {
      throw damaged(
        "shape \(shape) needs \(grouped(expected)) bytes of data, the file has \(grouped(actual))",
        at: .byte(start))
    }
  }

  /// Checks the count of axes, which recursion over them relies on. NumPy's bound is the same.
  func requireRank(_ rank: Int) throws(FileError) {
    if rank > 64 { throw unsupported("has \(rank) axes, more than 64") }
  }
}
