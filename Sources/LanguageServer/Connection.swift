import Formats
import Glibc

/// Messages over two file descriptors, each behind a header with its length: the base protocol of language servers.
package final class Connection {
  /// What came in.
  enum Input {
    case message([UInt8])
    /// Something that is no message; what follows it may be one.
    case broken(String)
    /// Nobody is there any more.
    case end
  }

  private let input: CInt
  private let output: CInt
  private var buffer: [UInt8] = []
  private var isAtEnd = false

  /// Longer messages are passed over: no program is as long.
  private static let longestMessage = 1 << 26
  private static let longestHeader = 1 << 13

  package init(input: CInt, output: CInt) {
    self.input = input
    self.output = output
  }

  /// Whether something can be read without waiting.
  var hasInput: Bool {
    if !buffer.isEmpty || isAtEnd { return true }
    var descriptor = pollfd(fd: input, events: Int16(POLLIN), revents: 0)
    return poll(&descriptor, 1, 0) > 0
  }

  /// Waits for the next message.
  func next() -> Input {
    var length: Int?
    while true {
      guard let line = headerLine() else { return .end }
      if line.isEmpty {
        guard let length else { return .broken("a header without Content-Length") }
        return body(of: length)
      }
      if line.count > Connection.longestHeader { return .broken("a header that is too long") }
      guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return .broken("a header without a colon") }
      let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
      guard name == "content-length" else { continue }
      let value = String(decoding: line[(colon + 1)...], as: UTF8.self).filter { $0 != " " }
      guard let number = Int(value), number >= 0 else { return .broken("a Content-Length that is no number") }
      length = number
    }
  }

  /// A line up to its end, which is left out; nil at the end of the input.
  private func headerLine() -> [UInt8]? {
    var searched = 0
    while true {
      if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
        var line = Array(buffer[..<end])
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        buffer.removeFirst(end + 1)
        return line
      }
      searched = buffer.count
      if searched > Connection.longestHeader {
        // No end in sight: it is not a header.
        defer { buffer.removeAll() }
        return buffer
      }
      if !fill() { return nil }
    }
  }

  private func body(of length: Int) -> Input {
    if length > Connection.longestMessage {
      var left = length
      while left > 0 {
        let count = min(left, buffer.count)
        buffer.removeFirst(count)
        left -= count
        if left > 0, !fill() { return .end }
      }
      return .broken("a message of \(length) bytes is too long")
    }
    while buffer.count < length { if !fill() { return .end } }
    let bytes = Array(buffer[..<length])
    buffer.removeFirst(length)
    return .message(bytes)
  }

  /// Reads what there is; false at the end.
  private func fill() -> Bool {
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = read(input, &chunk, chunk.count)
      if count > 0 {
        buffer += chunk[..<count]
        return true
      }
      if count < 0, errno == EINTR { continue }
      isAtEnd = true
      return false
    }
  }

  func send(_ message: JSONValue) {
    let body = message.bytes
    var bytes = Array("Content-Length: \(body.count)\r\n\r\n".utf8) + body
    while !bytes.isEmpty {
      let count = write(output, bytes, bytes.count)
      if count > 0 {
        bytes.removeFirst(count)
      } else if errno != EINTR {
        return
      }
    }
  }
}
