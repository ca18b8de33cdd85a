import Glibc
import Tensors

/// Writes a file that is, at every moment and after any crash, either the old one or the new one, whole.
///
/// `body` writes to a temporary file beside `path`. That is brought to disk and renamed over `path`, and the folder is
/// brought to disk. If anything fails the temporary file is removed; one left by a killed process is removed by the
/// next writer of the same path. A link is followed; its target is replaced.
package func writeAtomically(
  to path: String, _ body: (FileWriter) throws(FileError) -> Void
) throws(FileError) {
  let target = try resolvedTarget(path)
  let (folder, name) = split(target)
  removeLeftovers(of: name, in: folder)
  let (temporary, descriptor) = try createTemporary(for: name, in: folder, path)
  do throws(FileError) {
    defer { close(descriptor) }
    try body(FileWriter(path: path, descriptor: descriptor))
    // The lock on the descriptor must outlive the rename, or another writer could take the file for a leftover.
    try check(fsync(descriptor), path)
    try check(rename(temporary, target), path)
  } catch {
    unlink(temporary)
    throw error
  }
  let folderDescriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  if folderDescriptor >= 0 {
    // Some file systems cannot bring a folder to disk; then the rename is as durable as it gets.
    fsync(folderDescriptor)
    close(folderDescriptor)
  }
}

/// Writes bytes in one go, atomically.
package func writeAtomically(_ bytes: [UInt8], to path: String) throws(FileError) {
  try writeAtomically(to: path) { file throws(FileError) in try file.write(bytes) }
}

/// The file that the body of `writeAtomically` writes to.
package struct FileWriter {
  fileprivate let path: String
  fileprivate let descriptor: CInt

  package func write(_ bytes: [UInt8]) throws(FileError) {
    var failure: FileError?
    bytes.withUnsafeBytes { buffer in
      do throws(FileError) { try write(buffer) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// Writes the elements of a tensor in row-major order.
  package func write(elementsOf tensor: Tensor) throws(FileError) {
    let tensor = tensor.contiguous()
    let base = tensor.storage.base + tensor.layout.offset * tensor.dtype.byteCount
    try write(UnsafeRawBufferPointer(start: base, count: tensor.type.byteCount))
    withExtendedLifetime(tensor) {}
  }

  private func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
    var done = 0
    while done < bytes.count {
      let count = Glibc.write(descriptor, bytes.baseAddress! + done, bytes.count - done)
      if count >= 0 { done += count } else if errno != EINTR { try check(-1, path) }
    }
  }
}

// MARK: Names

/// Returns the path of the file to replace: `path`, or what it links to.
private func resolvedTarget(_ path: String) throws(FileError) -> String {
  if path.utf8.contains(0) { throw FileError(.unwritable, path, "a path holds no zero byte") }
  var status = stat()
  guard stat(path, &status) == 0 else {
    // A missing file is made; a missing folder is found when the temporary file is.
    if errno == ENOENT { return path }
    throw FileError(.unwritable, path, systemMessage(errno))
  }
  // A rename would replace a device by a file.
  guard status.st_mode & S_IFMT == S_IFREG else {
    throw FileError(.unwritable, path, status.st_mode & S_IFMT == S_IFDIR ? "is a folder" : "is not a plain file")
  }
  guard let resolved = realpath(path, nil) else { throw FileError(.unwritable, path, systemMessage(errno)) }
  defer { free(resolved) }
  return String(cString: resolved)
}

private func split(_ path: String) -> (folder: String, name: String) {
  guard let slash = path.lastIndex(of: "/") else { return (".", path) }
  return (String(path[...slash]), String(path[path.index(after: slash)...]))
}

/// What the names of temporary files for `name` begin with.
private func temporaryPrefix(for name: String) -> String {
  // Names end at 255 bytes; two paths with one prefix do no harm, as only dead writers' files are removed.
  "." + String(decoding: name.utf8.prefix(100), as: UTF8.self) + ".writing-"
}

/// Creates a temporary file and locks it, with the permissions of the file it will replace.
private func createTemporary(
  for name: String, in folder: String, _ path: String
) throws(FileError) -> (path: String, descriptor: CInt) {
  if name.isEmpty { throw FileError(.unwritable, path, "names no file") }
  while true {
    let temporary = folder + "/" + temporaryPrefix(for: name) + String(UInt64.random(in: 0 ... .max), radix: 36)
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    if descriptor < 0, errno == EEXIST || errno == EINTR { continue }
    try check(descriptor, path)
    // The lock says that the writer lives. Before it was taken, another writer may have swept the file away.
    // Where the file system has no locks nothing is swept, and all goes on without.
    var status = stat()
    let isBeingSwept = flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK
    if isBeingSwept || fstat(descriptor, &status) == 0 && status.st_nlink == 0 {
      close(descriptor)
      continue
    }
    if stat(folder + "/" + name, &status) == 0 { fchmod(descriptor, status.st_mode & 0o7777) }
    return (temporary, descriptor)
  }
}

/// Removes temporary files whose writers are dead: those that nobody holds a lock on.
private func removeLeftovers(of name: String, in folder: String) {
  guard let listing = opendir(folder) else { return }
  defer { closedir(listing) }
  let prefix = temporaryPrefix(for: name)
  while let entry = readdir(listing) {
    let entryName = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    guard entryName.hasPrefix(prefix) else { continue }
    let path = folder + "/" + entryName
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)
    guard descriptor >= 0 else { continue }
    if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { unlink(path) }
    close(descriptor)
  }
}

/// Throws the system's reason where a call failed.
private func check(_ result: CInt, _ path: String) throws(FileError) {
  if result < 0 { throw FileError(.unwritable, path, systemMessage(errno)) }
}
