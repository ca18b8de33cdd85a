import CZlib
import Tensors

/// The gzip format (RFC 1952): compressed members, one after the other, each with a checksum.
package enum Gzip {
  /// Decompresses a whole source into memory, checksums and sizes checked.
  package static func decompress(_ source: ByteSource) throws(FileError) -> ByteSource {
    if source.byteCount == 0 { throw source.damaged("is empty") }
    var inflater = Inflater(source, range: 0..<source.byteCount, wrapper: .gzip)
    return ByteSource(name: source.name, bytes: try inflater.inflateAll(), memoryLimit: source.memoryLimit)
  }

  /// Decompresses as much of a source as holds a header. Its whole size is what the end of the file says, which is right
  /// for one member of less than 4 GiB; nil where there are others behind it.
  static func decompressStart(_ source: ByteSource) throws(FileError) -> ByteSource? {
    if source.byteCount < 18 { throw source.damaged("is empty") }
    var inflater = Inflater(source, range: 0..<source.byteCount, wrapper: .gzip)
    let start = try inflater.inflateStart()
    let end = try source.bytes(at: source.byteCount - 4, count: 4)
    let size = end.reversed().reduce(0) { $0 << 8 | Int($1) }
    return size < start.count ? nil : ByteSource(name: source.name, start: start, byteCount: size)
  }

  /// Compresses bytes into one member. The same bytes give the same file: no name, no time.
  package static func compress(_ bytes: [UInt8]) -> [UInt8] {
    var stream = z_stream()
    // 16 more than the window asks zlib for the gzip wrapper.
    deflateInit2_(
      &stream, Z_BEST_COMPRESSION, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
      CInt(MemoryLayout<z_stream>.size))
    defer { deflateEnd(&stream) }
    var result: [UInt8] = []
    bytes.withUnsafeBytes { input in
      var position = 0
      var status = Z_OK
      while status == Z_OK {
        let piece = min(input.count - position, 1 << 20)
        let isLast = position + piece == input.count
        stream.next_in = UnsafeMutablePointer(
          mutating: input.baseAddress?.advanced(by: position).assumingMemoryBound(to: Bytef.self))
        stream.avail_in = uInt(piece)
        position += piece
        repeat {
          withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 1 << 16) { output in
            stream.next_out = output.baseAddress
            stream.avail_out = uInt(output.count)
            status = deflate(&stream, isLast ? Z_FINISH : Z_NO_FLUSH)
            result.append(contentsOf: output[..<(output.count - Int(stream.avail_out))])
          }
        } while stream.avail_out == 0 && status == Z_OK
      }
    }
    return result
  }
}

/// Inflates a range of a source piece by piece: memory grows with what comes out, never with what a header claims.
struct Inflater {
  enum Wrapper {
    /// Members with header and checksum, as in `.gz`.
    case gzip
    /// Bare compressed data of a known size, as in a zip archive.
    case none
  }

  /// Deflate's best ratio is 1032 to 1: more cannot come out, so a greater claim is a lie.
  static let greatestRatio = 1032

  private let source: ByteSource
  private let wrapper: Wrapper
  private var range: Range<Int>

  init(_ source: ByteSource, range: Range<Int>, wrapper: Wrapper) {
    self.source = source
    self.range = range
    self.wrapper = wrapper
  }

  /// How many bytes hold a header.
  static let startSize = 1 << 17

  /// Inflates the first bytes of the range, about `startSize` of them.
  mutating func inflateStart() throws(FileError) -> [UInt8] { try inflate(stoppingAt: Inflater.startSize) }

  /// Inflates to the end of the range.
  /// - Throws: also where more than `limit` bytes come out, or where data are left over.
  mutating func inflateAll(limit: Int = .max) throws(FileError) -> [UInt8] { try inflate(limit: limit) }

  private mutating func inflate(limit: Int = .max, stoppingAt enough: Int = .max) throws(FileError) -> [UInt8] {
    var stream = z_stream()
    inflateInit2_(
      &stream, wrapper == .gzip ? MAX_WBITS + 16 : -MAX_WBITS, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size))
    defer { inflateEnd(&stream) }

    var result: [UInt8] = []
    let input = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
    let output = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
    defer {
      input.deallocate()
      output.deallocate()
    }
    var mayHoldOutput = false
    while true {
      // A full output buffer may mean that more is to come from what was already taken in.
      if stream.avail_in == 0, !mayHoldOutput {
        if range.isEmpty {
          throw source.damaged("ends early: its compressed data are cut off", at: .byte(range.upperBound))
        }
        let piece = UnsafeMutableRawBufferPointer(rebasing: input[..<min(input.count, range.count)])
        try source.read(at: range.lowerBound, into: piece)
        range = range.lowerBound + piece.count..<range.upperBound
        stream.next_in = piece.baseAddress?.assumingMemoryBound(to: Bytef.self)
        stream.avail_in = uInt(piece.count)
      }

      stream.next_out = output.baseAddress?.assumingMemoryBound(to: Bytef.self)
      stream.avail_out = uInt(output.count)
      let status = CZlib.inflate(&stream, Z_NO_FLUSH)
      mayHoldOutput = stream.avail_out == 0
      let inflated = output[..<(output.count - Int(stream.avail_out))]
      if inflated.count > limit - result.count {
        throw source.damaged("more than the \(grouped(limit)) bytes announced come out of its compressed data")
      }
      // An array grows by doubling: for a moment old and new storage both exist.
      if result.count + inflated.count > result.capacity { try source.requireMemory(3 * result.capacity) }
      result.append(contentsOf: inflated)
      if result.count >= enough { return result }

      switch status {
      case Z_OK, Z_BUF_ERROR: continue
      case Z_STREAM_END:
        if try isAtEnd(unread: Int(stream.avail_in), next: stream.next_in) { return result }
        inflateReset(&stream)
        mayHoldOutput = false
      default:
        let offset = range.lowerBound - Int(stream.avail_in)
        let reason = stream.msg.map { String(cString: $0) } ?? "they are not in the deflate format"
        throw source.damaged("its compressed data are damaged: \(reason)", at: .byte(offset))
      }
    }
  }

  /// Tells whether the data end behind a finished member, or another member follows.
  private func isAtEnd(unread: Int, next: UnsafeMutablePointer<Bytef>?) throws(FileError) -> Bool {
    let end = range.lowerBound - unread
    let rest = range.upperBound - end
    if rest == 0 { return true }
    let start = try source.bytes(at: end, count: min(rest, 2))
    if wrapper == .gzip {
      if start == [0x1F, 0x8B] { return false }
      // Tapes and some servers fill the last block with zeros; gzip ignores them too.
      if try source.bytes(at: end, count: rest).allSatisfy({ $0 == 0 }) { return true }
    }
    throw source.damaged("\(grouped(rest)) bytes follow the end of its compressed data", at: .byte(end))
  }
}
