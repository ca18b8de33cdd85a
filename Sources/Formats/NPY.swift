import Tensors

/// NumPy's file of one array: a magic string, a Python dictionary as header, the elements.
///
/// Versions 1 to 3, either byte order, row-major or column-major. Arrays of Python objects are code, and refused.
package enum NPY {
  private static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  /// Real headers have some 100 bytes; NumPy's own bound is 10,000.
  private static let greatestHeader = 1 << 16

  package static func read(_ source: ByteSource) throws(FileError) -> Tensor {
    let start = try source.bytes(at: 0, count: 8)
    guard start.starts(with: magic) else {
      throw source.damaged("does not begin with NumPy's magic string", at: .byte(0))
    }
    let version = start[6]
    guard (1...3).contains(version), start[7] == 0 else {
      throw source.unsupported("format version \(version).\(start[7]) is not one of 1.0, 2.0 and 3.0", at: .byte(6))
    }
    let sizeBytes = try source.bytes(at: 8, count: version == 1 ? 2 : 4)
    let headerSize = sizeBytes.reversed().reduce(0) { $0 << 8 | Int($1) }
    if headerSize > greatestHeader {
      throw source.damaged("its header claims \(grouped(headerSize)) bytes", at: .byte(8))
    }
    let headerStart = 8 + sizeBytes.count
    var header = HeaderParser(
      source: source, bytes: try source.bytes(at: headerStart, count: headerSize), start: headerStart)
    let (descriptor, order, shape) = try header.parse()
    let format = try format(of: descriptor, source)
    let dataStart = headerStart + headerSize
    try source.requireDataSize(shape, elementByteCount: format.byteCount, from: dataStart)
    if order == .rowMajor { return try format.read(shape, from: source, at: dataStart) }

    // Column-major data are the row-major data of the transposed array.
    if source.readsHeaders { return .phantom(TensorType(format.dtype, shape)) }
    let transposed = try format.read(Shape(shape.sizes.reversed()), from: source, at: dataStart)
    let strides = Array(transposed.layout.strides.reversed())
    try source.requireMemory(transposed.type.byteCount)
    return Tensor(
      storage: transposed.storage, dtype: transposed.dtype, layout: Layout(shape: shape, strides: strides)
    ).contiguous()
  }

  /// Returns the bytes of a file that NumPy reads back as the same array; what NumPy lacks becomes f4.
  package static func write(_ tensor: Tensor) -> [UInt8] {
    let lacked: DTypeSet = [.storage, DTypeSet(.bf16)]
    let tensor = (lacked.contains(tensor.dtype) ? Tensor(tensor.doubles(), dtype: .f32, shape: tensor.shape) : tensor)
      .contiguous()
    let descriptor =
      switch tensor.dtype {
      case .f32, .bf16, .f8e4m3, .f8e5m2, .q8, .q8e4m3: "<f4"
      case .f64: "<f8"
      case .f16: "<f2"
      case .i32: "<i4"
      case .i64: "<i8"
      case .u8: "|u1"
      case .bool: "|b1"
      }
    let sizes = tensor.shape.sizes.map(String.init).joined(separator: ", ")
    let shape = tensor.shape.rank == 1 ? "(\(sizes),)" : "(\(sizes))"
    var header = "{'descr': '\(descriptor)', 'fortran_order': False, 'shape': \(shape), }"
    // The data begin at a multiple of 64 bytes, so that they can be mapped.
    let unpadded = magic.count + 4 + header.utf8.count + 1
    header += String(repeating: " ", count: (64 - unpadded % 64) % 64) + "\n"
    let size = UInt16(header.utf8.count)
    let data = UnsafeRawBufferPointer(
      start: tensor.storage.base + tensor.layout.offset * tensor.dtype.byteCount, count: tensor.type.byteCount)
    return magic + [1, 0, UInt8(size & 0xFF), UInt8(size >> 8)] + Array(header.utf8) + data
  }

  /// Reads a type such as `<f4`: byte order, kind, bytes an element.
  private static func format(of descriptor: String, _ source: ByteSource) throws(FileError) -> ElementFormat {
    let order: ElementFormat.ByteOrder = descriptor.first == ">" ? .big : .little
    let kinds: [Character: ElementFormat.Kind] = ["f": .float, "i": .signed, "u": .unsigned, "b": .bool]
    let parts = Array(descriptor)
    if parts.count >= 3, "<>|=".contains(parts[0]), let kind = kinds[parts[1]],
      let byteCount = Int(String(parts[2...])),
      let format = ElementFormat(kind, byteCount: byteCount, order: order)
    {
      return format
    }
    if descriptor.dropFirst().hasPrefix("O") {
      throw source.unsupported("holds Python objects, which are code and are not read")
    }
    throw source.unsupported("element type '\(descriptor)' is not read")
  }
}

/// Reads the one Python expression that a header may hold: `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
private struct HeaderParser {
  enum Order { case rowMajor, columnMajor }

  let source: ByteSource
  let bytes: [UInt8]
  let start: Int
  var position = 0

  mutating func parse() throws(FileError) -> (descriptor: String, order: Order, shape: Shape) {
    var descriptor: String?
    var order: Order?
    var shape: Shape?
    try expect("{")
    while !take("}") {
      let key = try string()
      try expect(":")
      switch key {
      case "descr" where descriptor == nil: descriptor = try self.descriptor()
      case "fortran_order" where order == nil: order = try self.order()
      case "shape" where shape == nil: shape = try tuple()
      default: throw error("key '\(key)' is unknown or occurs twice")
      }
      if !take(",") {
        try expect("}")
        break
      }
    }
    skipBlanks()
    if position < bytes.count { throw error("text follows the dictionary") }
    guard let descriptor, let order, let shape else {
      throw error("one of 'descr', 'fortran_order' and 'shape' is missing")
    }
    return (descriptor, order, shape)
  }

  private mutating func skipBlanks() {
    while position < bytes.count, bytes[position] == 0x20 || (0x09...0x0D).contains(bytes[position]) { position += 1 }
  }

  private mutating func take(_ text: StaticString) -> Bool {
    skipBlanks()
    let expected = UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
    if !bytes[position...].starts(with: expected) { return false }
    position += expected.count
    return true
  }

  private mutating func expect(_ text: StaticString) throws(FileError) {
    if !take(text) { throw error("\(text) expected") }
  }

  private mutating func string() throws(FileError) -> String {
    skipBlanks()
    guard position < bytes.count, bytes[position] == UInt8(ascii: "'") || bytes[position] == UInt8(ascii: "\"") else {
      throw error("a string expected")
    }
    let quote = bytes[position]
    let content = bytes[(position + 1)...].prefix { $0 != quote }
    guard content.endIndex < bytes.count else { throw error("a string is never closed") }
    guard content.allSatisfy({ $0 >= 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\\") }) else {
      throw error("a string with escapes or letters beyond ASCII")
    }
    position = content.endIndex + 1
    return String(decoding: content, as: UTF8.self)
  }

  private mutating func descriptor() throws(FileError) -> String {
    if take("[") { throw source.unsupported("holds records with named fields, which are not read") }
    return try string()
  }

  private mutating func order() throws(FileError) -> Order {
    if take("True") { return .columnMajor }
    try expect("False")
    return .rowMajor
  }

  /// A tuple of sizes: `()`, `(3,)`, `(3, 4)`, and `(3L, 4L)` from Python 2.
  private mutating func tuple() throws(FileError) -> Shape {
    var sizes: [Int] = []
    try expect("(")
    while !take(")") {
      skipBlanks()
      let digits = bytes[position...].prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
      guard let size = Int(String(decoding: digits, as: UTF8.self)) else {
        throw error("a size expected")
      }
      sizes.append(size)
      position = digits.endIndex
      _ = take("L")
      if !take(",") {
        try expect(")")
        break
      }
    }
    return Shape(sizes)
  }

  private func error(_ message: String) -> FileError {
    source.damaged("header: \(message)", at: .byte(start + min(position, bytes.count)))
  }
}
