import Glibc
import Tensors

/// Bytes that a reader takes its data from: an open file, or memory.
///
/// Files are read with `pread`, not mapped: a file that shrinks while it is read is then an error, where a mapping
/// would end the process, and tensors are read straight into their own storage.
package final class ByteSource {
  /// The name in errors.
  package let name: String
  package let byteCount: Int
  /// The most bytes that a reader may ask for at once; nil: what the machine has free.
  package let memoryLimit: Int?
  private let backing: Backing

  /// Whether readers take the headers alone, and give tensors of which only the types are known.
  let readsHeaders: Bool

  private enum Backing {
    case file(descriptor: CInt)
    /// All bytes, or the first of them.
    case memory([UInt8])
  }

  /// Opens the file at `path`.
  package init(opening path: String, memoryLimit: Int? = nil, readsHeaders: Bool = false) throws(FileError) {
    if path.utf8.contains(0) { throw FileError(.missing, path, "a path holds no zero byte") }
    // Without O_NONBLOCK, opening a pipe would wait for its writer.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    if descriptor < 0 {
      let isMissing = errno == ENOENT || errno == ENOTDIR
      throw FileError(isMissing ? .missing : .unreadable, path, systemMessage(errno))
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      let isFolder = status.st_mode & S_IFMT == S_IFDIR
      close(descriptor)
      throw FileError(.unreadable, path, isFolder ? "is a folder" : "is not a plain file")
    }
    name = path
    byteCount = Int(status.st_size)
    self.memoryLimit = memoryLimit
    self.readsHeaders = readsHeaders
    backing = .file(descriptor: descriptor)
  }

  /// Reads from memory.
  package init(name: String, bytes: [UInt8], memoryLimit: Int? = nil) {
    self.name = name
    byteCount = bytes.count
    self.memoryLimit = memoryLimit
    readsHeaders = false
    backing = .memory(bytes)
  }

  /// The start of something that has `byteCount` bytes, for its header.
  init(name: String, start: [UInt8], byteCount: Int) {
    self.name = name
    self.byteCount = byteCount
    memoryLimit = nil
    readsHeaders = true
    backing = .memory(start)
  }

  deinit {
    if case .file(let descriptor) = backing { close(descriptor) }
  }

  // MARK: Reading

  /// Fills `target` with the bytes from `offset`.
  package func read(at offset: Int, into target: UnsafeMutableRawBufferPointer) throws(FileError) {
    guard offset >= 0, offset <= byteCount, target.count <= byteCount - offset else {
      throw damaged("ends early: \(grouped(target.count)) bytes expected here", at: .byte(min(offset, byteCount)))
    }
    switch backing {
    case .memory(let bytes):
      guard target.count <= bytes.count - offset else {
        throw unsupported("its header is longer than \(grouped(bytes.count)) bytes")
      }
      bytes.withUnsafeBytes {
        target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + target.count]))
      }
    case .file(let descriptor):
      var done = 0
      while done < target.count {
        let count = pread(descriptor, target.baseAddress! + done, target.count - done, off_t(offset + done))
        if count > 0 {
          done += count
        } else if count == 0 {
          throw damaged("became shorter while it was read", at: .byte(offset + done))
        } else if errno != EINTR {
          throw FileError(.unreadable, name, systemMessage(errno))
        }
      }
    }
  }

  /// Returns `count` bytes from `offset`.
  package func bytes(at offset: Int, count: Int) throws(FileError) -> [UInt8] {
    guard offset >= 0, count >= 0, offset <= byteCount, count <= byteCount - offset else {
      throw damaged(
        "ends early: \(grouped(max(count, 0))) bytes expected here", at: .byte(min(max(offset, 0), byteCount)))
    }
    try requireMemory(count)
    var failure: FileError?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
      do throws(FileError) {
        try read(at: offset, into: UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count))
        initializedCount = count
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return bytes
  }

  /// Returns everything.
  package func allBytes() throws(FileError) -> [UInt8] {
    if case .memory(let bytes) = backing, bytes.count == byteCount { return bytes }
    return try bytes(at: 0, count: byteCount)
  }

  // MARK: Errors

  /// Says that the bytes are not what the format asks for.
  package func damaged(_ message: String, at place: FileError.Place? = nil) -> FileError {
    FileError(.damaged, name, at: place, message)
  }

  /// Says that the file uses what Gradus does not read.
  package func unsupported(_ message: String, at place: FileError.Place? = nil) -> FileError {
    FileError(.unsupported, name, at: place, message)
  }

  /// Checks that `byteCount` bytes can be allocated for what the file holds.
  package func requireMemory(_ byteCount: Int) throws(FileError) {
    // Asking the system costs some 50 us, so small files are not asked about.
    if memoryLimit == nil, byteCount < 1 << 26 { return }
    let limit = memoryLimit ?? availableMemory()
    if byteCount > limit {
      throw FileError(
        .tooLarge, name, "needs \(grouped(byteCount)) bytes of memory, \(grouped(limit)) are free")
    }
  }
}

/// Returns a number of bytes, rows or elements as errors show it: `4,096`.
func grouped(_ count: Int) -> String { format(count, spec: ",") ?? String(count) }

/// Returns `1 row`, `2 rows`.
func counted(_ count: Int, _ noun: String) -> String { "\(grouped(count)) \(noun)\(count == 1 ? "" : "s")" }

/// Returns the system's words for an error number, in lower case: `no such file or directory`.
func systemMessage(_ number: CInt) -> String {
  let message = String(cString: strerror(number))
  return message.prefix(1).lowercased() + message.dropFirst()
}
