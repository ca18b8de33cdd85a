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
    let (format, isPacked) = try format(of: source)
    return try format.read(isPacked ? Gzip.decompress(source) : source)
  }

  /// Reads the header of the file at `path`, and no more: its tensors are phantoms. A table or a text, which have no
  /// header, are read whole if they are small.
  ///
  /// - Returns: nil where the file would have to be read further.
  /// - Throws: what `load` would throw of the header.
  package static func loadHeader(path: String) throws(FileError) -> Loaded? {
    let source = try ByteSource(opening: path, readsHeaders: true)
    let (format, isPacked) = try format(of: source)
    if [".csv", ".tsv", ".txt"].contains(format.suffix) {
      if source.byteCount > (isPacked ? largestText / 8 : largestText) { return nil }
      return try load(path: path)
    }
    if isPacked {
      // Names of several tensors stand at the end of an archive.
      guard format.suffix != ".npz" else { return nil }
      // What the end of the file says of its size may be wrong, so that nothing is held against it.
      do { return try Gzip.decompressStart(source).map(format.read) } catch { return nil }
    }
    return try format.read(source)
  }

  /// Bytes of a table or text up to which it is read for its header.
  private static let largestText = 1 << 20

  private static func format(of source: ByteSource) throws(FileError) -> (format: Format, isPacked: Bool) {
    var name = source.name.lowercased()
    let isPacked = name.hasSuffix(".gz")
    if isPacked { name.removeLast(3) }
    if let format = formats.first(where: { name.hasSuffix($0.suffix) }) { return (format, isPacked) }
    let known = suffixes.joined(separator: ", ")
    throw source.unsupported("its name does not say what it holds: known are \(known), and .gz after each")
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
