import CZlib
import Tensors

/// A tensor with the name it has in its file.
package struct NamedTensor: Sendable {
  package let name: String
  package let tensor: Tensor

  package init(_ name: String, _ tensor: Tensor) {
    self.name = name
    self.tensor = tensor
  }
}

/// NumPy's archive of arrays: a zip file of `.npy` members, stored or deflated.
///
/// The directory at the end is believed only as far as it agrees with the file: members lie inside it, do not overlap,
/// have the sizes and checksums it says, and their names differ.
package enum NPZ {
  /// Reads all arrays in the order of the archive's directory.
  package static func read(_ source: ByteSource) throws(FileError) -> [NamedTensor] {
    var tensors: [NamedTensor] = []
    for member in try ZipDirectory(source).members {
      guard member.name.hasSuffix(".npy") else {
        throw source.unsupported("member \"\(member.name)\" is no .npy array")
      }
      let name = "\(source.name)/\(member.name)"
      let array =
        source.readsHeaders
        ? ByteSource(name: name, start: try member.start(from: source), byteCount: member.byteCount)
        : ByteSource(name: name, bytes: try member.bytes(from: source), memoryLimit: source.memoryLimit)
      tensors.append(NamedTensor(String(member.name.dropLast(4)), try NPY.read(array)))
    }
    return tensors
  }
}

/// The directory at the end of a zip archive.
private struct ZipDirectory {
  private(set) var members: [ZipMember] = []

  private static let endSize = 22
  private static let greatestComment = 0xFFFF

  init(_ source: ByteSource) throws(FileError) {
    guard source.byteCount >= ZipDirectory.endSize else { throw source.damaged("is too short for a zip archive") }
    let tailSize = min(source.byteCount, ZipDirectory.endSize + ZipDirectory.greatestComment)
    let tailStart = source.byteCount - tailSize
    let tail = Record(try source.bytes(at: tailStart, count: tailSize))
    // The last record whose comment ends with the file: a comment might itself hold the signature.
    guard
      let end = (0...tailSize - ZipDirectory.endSize).last(where: {
        tail.u32($0) == 0x0605_4B50 && $0 + ZipDirectory.endSize + tail.u16($0 + 20) == tailSize
      })
    else { throw source.damaged("has no zip directory at its end: it is cut off, or no archive") }

    let count = tail.u16(end + 10)
    let directorySize = tail.u32(end + 12)
    let directoryStart = tail.u32(end + 16)
    if count == 0xFFFF || directorySize == 0xFFFF_FFFF || directoryStart == 0xFFFF_FFFF {
      throw source.unsupported("is a zip64 archive, which is not read: save its arrays as single .npy files")
    }
    guard tail.u16(end + 4) == 0, tail.u16(end + 6) == 0, tail.u16(end + 8) == count else {
      throw source.unsupported("is one part of a split archive")
    }
    guard directoryStart + directorySize == tailStart + end else {
      throw source.damaged("its zip directory is not where it says", at: .byte(tailStart + end))
    }

    let directory = Record(try source.bytes(at: directoryStart, count: directorySize))
    var position = 0
    var names: Set<String> = []
    for _ in 0..<count {
      let place = FileError.Place.byte(directoryStart + position)
      guard directorySize - position >= 46, directory.u32(position) == 0x0201_4B50 else {
        throw source.damaged("its zip directory is damaged", at: place)
      }
      let nameSize = directory.u16(position + 28)
      let size = 46 + nameSize + directory.u16(position + 30) + directory.u16(position + 32)
      guard size <= directorySize - position,
        let name = String(validating: directory.bytes[position + 46..<position + 46 + nameSize], as: UTF8.self)
      else { throw source.damaged("its zip directory is damaged", at: place) }
      guard names.insert(name).inserted else { throw source.damaged("member \"\(name)\" occurs twice", at: place) }
      members.append(
        try ZipMember(name: name, directory: directory, at: position, dataEnd: directoryStart, source))
      position += size
    }
    guard position == directorySize else {
      throw source.damaged("its zip directory is damaged", at: .byte(directoryStart + position))
    }
    try refuseOverlaps(source)
  }

  /// Members that share bytes are how small archives unpack to huge ones.
  private func refuseOverlaps(_ source: ByteSource) throws(FileError) {
    let byPlace = members.sorted { $0.data.lowerBound < $1.data.lowerBound }
    for (member, next) in zip(byPlace, byPlace.dropFirst()) where member.data.upperBound > next.headerStart {
      throw source.damaged("members \"\(member.name)\" and \"\(next.name)\" overlap", at: .byte(next.headerStart))
    }
  }
}

private struct ZipMember {
  let name: String
  let headerStart: Int
  let data: Range<Int>
  let isDeflated: Bool
  let byteCount: Int
  let checksum: Int

  init(name: String, directory: Record, at position: Int, dataEnd: Int, _ source: ByteSource) throws(FileError) {
    self.name = name
    checksum = directory.u32(position + 16)
    byteCount = directory.u32(position + 24)
    headerStart = directory.u32(position + 42)
    let storedSize = directory.u32(position + 20)
    if [storedSize, byteCount, headerStart].contains(0xFFFF_FFFF) {
      throw source.unsupported(
        "member \"\(name)\" needs zip64, which is not read: save it as a single .npy file")
    }
    if directory.u16(position + 8) & 1 != 0 { throw source.unsupported("member \"\(name)\" is encrypted") }
    let method = directory.u16(position + 10)
    guard method == 0 || method == 8 else {
      throw source.unsupported("member \"\(name)\" is compressed by method \(method), only deflate is read")
    }
    isDeflated = method == 8

    // Sizes in the local header may be left to the directory; its name and extra field say where the data begin.
    let header = Record(try source.bytes(at: headerStart, count: 30))
    let nameSize = header.u16(26)
    guard header.u32(0) == 0x0403_4B50,
      try source.bytes(at: headerStart + 30, count: nameSize).elementsEqual(name.utf8)
    else {
      throw source.damaged("member \"\(name)\" is not where the directory says", at: .byte(headerStart))
    }
    let start = headerStart + 30 + nameSize + header.u16(28)
    guard start + storedSize <= dataEnd else {
      throw source.damaged("member \"\(name)\" reaches beyond the data of the archive", at: .byte(headerStart))
    }
    data = start..<start + storedSize
    guard isDeflated ? byteCount / Inflater.greatestRatio <= storedSize : byteCount == storedSize else {
      throw source.damaged(
        "member \"\(name)\" cannot unpack from \(grouped(storedSize)) to \(grouped(byteCount)) bytes",
        at: .byte(headerStart))
    }
  }

  /// Returns as many of the member's bytes as hold a header.
  func start(from source: ByteSource) throws(FileError) -> [UInt8] {
    if isDeflated {
      var inflater = Inflater(source, range: data, wrapper: .none)
      return try inflater.inflateStart()
    }
    return try source.bytes(at: data.lowerBound, count: min(data.count, Inflater.startSize))
  }

  /// Returns the member's bytes, its size and checksum checked.
  func bytes(from source: ByteSource) throws(FileError) -> [UInt8] {
    var bytes: [UInt8]
    if isDeflated {
      var inflater = Inflater(source, range: data, wrapper: .none)
      bytes = try inflater.inflateAll(limit: byteCount)
    } else {
      bytes = try source.bytes(at: data.lowerBound, count: data.count)
    }
    guard bytes.count == byteCount else {
      throw source.damaged(
        "member \"\(name)\" has \(grouped(bytes.count)) bytes, the directory says \(grouped(byteCount))",
        at: .byte(data.lowerBound))
    }
    let found = bytes.withUnsafeBufferPointer { crc32_z(0, $0.baseAddress, $0.count) }
    guard found == checksum else {
      throw source.damaged("the checksum of member \"\(name)\" is wrong", at: .byte(data.lowerBound))
    }
    return bytes
  }
}

/// Little-endian numbers in a run of bytes.
/// - Requires: offsets whose bytes are there.
private struct Record {
  let bytes: [UInt8]
  init(_ bytes: [UInt8]) { self.bytes = bytes }
  func u16(_ offset: Int) -> Int { Int(bytes[offset]) | Int(bytes[offset + 1]) << 8 }
  func u32(_ offset: Int) -> Int { u16(offset) | u16(offset + 2) << 16 }
}
