import Tensors

/// Hugging Face's file of named tensors: a length, a header in JSON, the data.
///
/// The tensors must fill the data without gap or overlap. So what the header says can be held against the file before
/// anything is allocated, and no file can make the reader touch a byte twice.
package enum Safetensors {
  /// The bound of the format's own library.
  static let greatestHeader = 100_000_000

  /// What a file holds: tensors in the order of the header, and texts about them.
  package struct Contents: Sendable {
    package let tensors: [NamedTensor]
    package let metadata: [String: String]

    package init(_ tensors: [NamedTensor], metadata: [String: String] = [:]) {
      self.tensors = tensors
      self.metadata = metadata
    }
  }

  // MARK: Reading

  package static func read(_ source: ByteSource) throws(FileError) -> Contents {
    if source.byteCount < 8 { throw source.damaged("is too short for a safetensors file") }
    let headerSize = try source.bytes(at: 0, count: 8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    if headerSize > greatestHeader {
      throw source.damaged(
        "header claims \(headerSize) bytes, more than the format's \(grouped(greatestHeader))", at: .byte(0))
    }
    let dataStart = 8 + Int(headerSize)
    if dataStart > source.byteCount {
      throw source.damaged(
        "header claims \(grouped(Int(headerSize))) bytes, the file has \(grouped(source.byteCount - 8)) behind its length",
        at: .byte(0))
    }
    var reader = JSONReader(source, try source.bytes(at: 8, count: Int(headerSize)), startingAt: 8)
    let header = try Header(&reader)
    try header.check(source, dataByteCount: source.byteCount - dataStart)

    var tensors: [NamedTensor] = []
    for entry in header.entries {
      let tensor = try entry.format.read(entry.shape, from: source, at: dataStart + entry.range.lowerBound)
      tensors.append(NamedTensor(entry.name, tensor))
    }
    return Contents(tensors, metadata: header.metadata)
  }

  // MARK: Writing

  /// Writes a file, replacing what was at `path` only once all is written.
  ///
  /// A tensor of blocks becomes two, which any reader of the format takes: its codes under its name, as u8 and in its
  /// shape, and the scales of its blocks behind `.scale`; what they mean says `QuantizedBlock`.
  /// Tensors are ordered as the format's own library does: larger elements first, so that all are aligned, then by
  /// name. The same contents give the same bytes.
  package static func write(_ contents: Contents, to path: String) throws(FileError) {
    let tensors = contents.tensors.flatMap(parts).sorted {
      ($1.tensor.dtype.safetensorsRank, $0.name) < ($0.tensor.dtype.safetensorsRank, $1.name)
    }
    var names: Set<String> = ["__metadata__"]
    for tensor in tensors where !names.insert(tensor.name).inserted {
      throw FileError(.unwritable, path, "the name \"\(tensor.name)\" is used twice or reserved")
    }
    let header = headerText(tensors, contents.metadata)
    if header.utf8.count > greatestHeader {
      throw FileError(
        .unwritable, path,
        "header would have \(grouped(header.utf8.count)) bytes, more than the format's \(grouped(greatestHeader))")
    }
    try writeAtomically(to: path) { file throws(FileError) in
      try file.write((0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> (8 * $0)) })
      try file.write(Array(header.utf8))
      for named in tensors { try file.write(elementsOf: named.tensor) }
    }
  }

  private static func parts(_ named: NamedTensor) -> [NamedTensor] {
    guard named.tensor.dtype.isBlocked else { return [named] }
    let (codes, scales) = QuantizedBlock.parts(of: named.tensor)
    return [NamedTensor(named.name, codes), NamedTensor(named.name + ".scale", scales)]
  }

  private static func headerText(_ tensors: [NamedTensor], _ metadata: [String: String]) -> String {
    var members: [String] = []
    if !metadata.isEmpty {
      let pairs = metadata.sorted { $0.key < $1.key }.map { jsonString($0.key) + ":" + jsonString($0.value) }
      members.append("\"__metadata__\":{\(pairs.joined(separator: ","))}")
    }
    var start = 0
    for named in tensors {
      let tensor = named.tensor
      let end = start + tensor.type.byteCount
      let sizes = tensor.shape.sizes.map(String.init).joined(separator: ",")
      members.append(
        jsonString(named.name)
          + ":{\"dtype\":\"\(tensor.dtype.safetensorsName)\",\"shape\":[\(sizes)],\"data_offsets\":[\(start),\(end)]}")
      start = end
    }
    let text = "{\(members.joined(separator: ","))}"
    // Blanks bring the data to a multiple of 8 bytes.
    return text + String(repeating: " ", count: (8 - text.utf8.count % 8) % 8)
  }
}

/// The header, read but for its offsets not yet believed.
private struct Header {
  struct Entry {
    let name: String
    let format: ElementFormat
    let shape: Shape
    /// From the start of the data.
    let range: Range<Int>
  }

  private(set) var entries: [Entry] = []
  private(set) var metadata: [String: String] = [:]

  init(_ reader: inout JSONReader) throws(FileError) {
    var entries: [Entry] = []
    var metadata: [String: String] = [:]
    try reader.object { reader, name throws(FileError) in
      if name == "__metadata__" {
        try reader.object { reader, key throws(FileError) in metadata[key] = try reader.string() }
      } else {
        entries.append(try Header.entry(name, &reader))
      }
    }
    try reader.end()
    self.entries = entries
    self.metadata = metadata
  }

  private static func entry(_ name: String, _ reader: inout JSONReader) throws(FileError) -> Entry {
    var dtype: String?
    var sizes: [Int]?
    var offsets: [Int]?
    try reader.object { reader, key throws(FileError) in
      switch key {
      case "dtype": dtype = try reader.string()
      case "shape": sizes = try reader.naturals()
      case "data_offsets": offsets = try reader.naturals()
      default: throw reader.error("key \"\(key.prefix(80))\" of tensor \"\(name.prefix(80))\" is unknown")
      }
    }
    guard let dtype, let sizes, let offsets else {
      throw reader.error("tensor \"\(name.prefix(80))\" lacks one of dtype, shape and data_offsets")
    }
    guard offsets.count == 2, offsets[0] <= offsets[1] else {
      throw reader.error("the data_offsets of tensor \"\(name.prefix(80))\" are not a start and an end")
    }
    guard let format = ElementFormat(safetensorsName: dtype) else {
      throw reader.error("dtype \"\(dtype.prefix(40))\" of tensor \"\(name.prefix(80))\" is not read")
    }
    return Entry(name: name, format: format, shape: Shape(sizes), range: offsets[0]..<offsets[1])
  }

  /// Checks that every tensor has the bytes its shape needs and that together they fill the data.
  func check(_ source: ByteSource, dataByteCount: Int) throws(FileError) {
    let claimed = entries.map(\.range.upperBound).max() ?? 0
    if claimed != dataByteCount {
      throw source.damaged(
        "header says \(grouped(claimed)) bytes of data, the file has \(grouped(dataByteCount))")
    }
    for entry in entries {
      try source.requireRank(entry.shape.rank)
      let byteCount = entry.shape.checkedElementCount.map { $0 * entry.format.byteCount }
      if byteCount != entry.range.count {
        throw source.damaged(
          "tensor \"\(entry.name)\" has shape \(entry.shape), which does not fit its \(grouped(entry.range.count)) bytes"
        )
      }
    }
    var end = 0
    let byPlace = entries.sorted {
      ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
    }
    for entry in byPlace {
      if entry.range.lowerBound != end {
        let problem = entry.range.lowerBound < end ? "overlaps the tensor before it" : "leaves a gap before it"
        throw source.damaged("tensor \"\(entry.name)\" \(problem), at \(grouped(entry.range.lowerBound)) of the data")
      }
      end = entry.range.upperBound
    }
  }
}

extension ElementFormat {
  fileprivate init?(safetensorsName name: String) {
    switch name {
    case "F64": self.init(.float, byteCount: 8)
    case "F32": self.init(.float, byteCount: 4)
    case "F16": self.init(.float, byteCount: 2)
    case "BF16": self.init(.bfloat, byteCount: 2)
    case "I64": self.init(.signed, byteCount: 8)
    case "I32": self.init(.signed, byteCount: 4)
    case "I16": self.init(.signed, byteCount: 2)
    case "I8": self.init(.signed, byteCount: 1)
    case "U64": self.init(.unsigned, byteCount: 8)
    case "U32": self.init(.unsigned, byteCount: 4)
    case "U16": self.init(.unsigned, byteCount: 2)
    case "U8": self.init(.unsigned, byteCount: 1)
    case "BOOL": self.init(.bool, byteCount: 1)
    case "F8_E4M3": self.init(.e4m3, byteCount: 1)
    case "F8_E5M2": self.init(.e5m2, byteCount: 1)
    default: return nil
    }
  }
}

extension DType {
  fileprivate var safetensorsName: String {
    switch self {
    case .f8e4m3: "F8_E4M3"
    case .f8e5m2: "F8_E5M2"
    default: name.uppercased()
    }
  }

  /// The place of this dtype in the library's order of data, last first.
  fileprivate var safetensorsRank: Int {
    let order: [DType] = [.bool, .u8, .f8e5m2, .f8e4m3, .f16, .bf16, .i32, .f32, .f64, .i64]
    return order.firstIndex(of: self) ?? 0
  }
}
