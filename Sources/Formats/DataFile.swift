import Tensors

/// What a data file turned out to hold.
package enum Loaded: Sendable {
  case tensor(Tensor)
  /// In the order of the file, with the texts that a safetensors file holds about them.
  case tensors([NamedTensor], metadata: [String: String])
  case table(Table)
  case text(String)
}

/// Files of data, each read by what its name ends in.
package enum DataFile {
  private struct Format: Sendable {
    let suffix: String
    let read: @Sendable (ByteSource) throws(FileError) -> Loaded
  }

  private static let formats: [Format] = [
    Format(suffix: ".csv") { source throws(FileError) in .table(try CSV.read(source)) },
    Format(suffix: ".tsv") { source throws(FileError) in .table(try CSV.read(source)) },
    Format(suffix: ".npy") { source throws(FileError) in .tensor(try NPY.read(source)) },
    Format(suffix: ".npz") { source throws(FileError) in .tensors(try NPZ.read(source), metadata: [:]) },
    Format(suffix: ".idx") { source throws(FileError) in .tensor(try IDX.read(source)) },
    // MNIST's own names: t10k-images-idx3-ubyte
    Format(suffix: "-ubyte") { source throws(FileError) in .tensor(try IDX.read(source)) },
    Format(suffix: ".safetensors") { source throws(FileError) in
      let contents = try Safetensors.read(source)
      return .tensors(contents.tensors, metadata: contents.metadata)
    },
    Format(suffix: ".txt") { source throws(FileError) in .text(try TextFile.read(source)) },
  ]

  /// The endings of the files that can be read, for errors and help; `.gz` may follow each.
  package static var suffixes: [String] { formats.map(\.suffix) }

  /// Reads the file at `path`; a `.gz` at the end of its name is unpacked first.
  /// - Throws: also where its contents need more than `memoryLimit` bytes, or than the machine has free.
  package static func load(path: String, memoryLimit: Int? = nil) throws(FileError) -> Loaded {
    let source = try ByteSource(opening: path, memoryLimit: memoryLimit)
    var name = path.lowercased()
    let isPacked = name.hasSuffix(".gz")
    if isPacked { name.removeLast(3) }
    guard let format = formats.first(where: { name.hasSuffix($0.suffix) }) else {
      let known = suffixes.joined(separator: ", ")
      throw source.unsupported("its name does not say what it holds: known are \(known), and .gz after each")
    }
    return try format.read(isPacked ? Gzip.decompress(source) : source)
  }
}

/// Plain text.
package enum TextFile {
  /// Reads UTF-8; a byte order mark is left out.
  package static func read(_ source: ByteSource) throws(FileError) -> String {
    var bytes = try source.allBytes()
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
    if let text = String(validating: bytes, as: UTF8.self) { return text }
    let (line, column, byte) = firstInvalidByte(in: bytes)
    throw source.damaged(
      "is not UTF-8 text: byte 0x\(String(byte, radix: 16)) fits no character", at: .line(line, column: column))
  }

  private static func firstInvalidByte(in bytes: [UInt8]) -> (line: Int, column: Int, byte: UInt8) {
    var line = 1
    var column = 1
    var position = 0
    var decoder = UTF8()
    var iterator = bytes.makeIterator()
    while case .scalarValue(let scalar) = decoder.decode(&iterator) {
      position += UTF8.width(scalar)
      column += 1
      if scalar == "\n" { (line, column) = (line + 1, 1) }
    }
    return (line, column, bytes[min(position, bytes.count - 1)])
  }
}
