import CCrypto
import Formats
import Glibc

/// A request that came in whole, signed with the right key.
struct Request: Sendable {
  /// Where replies go.
  let identities: [[UInt8]]
  let type: String
  /// The header as it came: what answers the request holds it unchanged.
  let header: [UInt8]
  let content: JSONValue

  /// Reads the frames of a message.
  ///
  ///     identity … <IDS|MSG> signature header parent_header metadata content buffer …
  ///
  /// - Returns: nil for anything that is no message, or that somebody without the key wrote.
  init?(_ frames: [[UInt8]], _ signer: Signer) {
    guard let mark = frames.firstIndex(of: Message.delimiter), frames.count >= mark + 6 else { return nil }
    let signed = Array(frames[mark + 2..<mark + 6])
    guard signer.accepts(frames[mark + 1], for: signed) else { return nil }
    guard let header = JSONValue(object: signed[0]), let type = header["msg_type"]?.text,
      let content = JSONValue(object: signed[3])
    else { return nil }
    identities = Array(frames[..<mark])
    self.type = type
    self.header = signed[0]
    self.content = content
  }
}

/// What a kernel sends.
struct Message: Sendable {
  var type: String
  var content: JSONValue
  var metadata = JSONValue.nothing
  /// The header of the request that it answers; empty for none.
  var parent: [UInt8] = []

  static let delimiter = Array("<IDS|MSG>".utf8)
  static let protocolVersion = "5.5"
  static let empty = Array("{}".utf8)

  /// Its frames, signed, behind those that lead it to its receiver.
  func frames(to receiver: [[UInt8]], from session: String, _ signer: Signer) -> [[UInt8]] {
    let header: JSONValue = [
      "msg_id": .string(uniqueName()), "msg_type": .string(type), "username": "gradus",
      "session": .string(session), "date": .string(currentTime()), "version": .string(Message.protocolVersion),
    ]
    let parts = [header.bytes, parent.isEmpty ? Message.empty : parent, metadata.bytes, content.bytes]
    return receiver + [Message.delimiter, signer.signature(of: parts)] + parts
  }
}

/// Signs messages, and checks the signatures of others.
struct Signer: Sendable {
  static let scheme = "hmac-sha256"
  private let key: [UInt8]

  /// - Requires: libcrypto is loaded. An empty key signs nothing.
  init(key: String) { self.key = Array(key.utf8) }

  func signature(of parts: [[UInt8]]) -> [UInt8] {
    if key.isEmpty { return [] }
    var digest = [UInt8](repeating: 0, count: 32)
    let bytes = parts.flatMap { $0 }
    _ = ccrypto_hmac_sha256(key, key.count, bytes, bytes.count, &digest)
    let digits = Array("0123456789abcdef".utf8)
    return digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
  }

  func accepts(_ signature: [UInt8], for parts: [[UInt8]]) -> Bool {
    if key.isEmpty { return true }
    let expected = self.signature(of: parts)
    return signature.count == expected.count && ccrypto_are_equal(signature, expected, expected.count)
  }
}

/// A name that nothing else has: 32 random hexadecimal digits.
func uniqueName() -> String {
  (0..<2).map { _ in
    let digits = String(UInt64.random(in: 0...UInt64.max), radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }.joined()
}

/// `2026-01-31T12:00:00.123456Z`
private func currentTime() -> String {
  var now = timespec()
  clock_gettime(CLOCK_REALTIME, &now)
  var parts = tm()
  gmtime_r(&now.tv_sec, &parts)
  func digits(_ number: Int, _ count: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, count - text.count)) + text
  }
  let (year, month) = (digits(Int(parts.tm_year) + 1900, 4), digits(Int(parts.tm_mon) + 1, 2))
  let day = "\(year)-\(month)-\(digits(Int(parts.tm_mday), 2))"
  let time = "\(digits(Int(parts.tm_hour), 2)):\(digits(Int(parts.tm_min), 2)):\(digits(Int(parts.tm_sec), 2))"
  return "\(day)T\(time).\(digits(now.tv_nsec / 1000, 6))Z"
}
