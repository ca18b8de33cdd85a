import FoundationEssentials

/// Any JSON value, for the messages of notebooks and editors: what they hold is looked at piece by piece, since others
/// wrote it.
package enum JSONValue: Equatable, Sendable {
  case null
  case bool(Bool)
  case int(Int)
  case double(Double)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  package static let nothing = JSONValue.object([:])

  /// A member of an object; nil where there is none, or this is no object.
  package subscript(key: String) -> JSONValue? {
    if case .object(let members) = self { members[key] } else { nil }
  }

  package var text: String? { if case .string(let text) = self { text } else { nil } }
  package var flag: Bool? { if case .bool(let flag) = self { flag } else { nil } }
  package var number: Int? {
    switch self {
    case .int(let number): number
    case .double(let number): Int(exactly: number.rounded(.towardZero))
    default: nil
    }
  }
  package var items: [JSONValue]? { if case .array(let items) = self { items } else { nil } }
  package var members: [String: JSONValue]? { if case .object(let members) = self { members } else { nil } }
}

extension JSONValue: Codable {
  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let text = try? container.decode(String.self) {
      self = .string(text)
    } else if let flag = try? container.decode(Bool.self) {
      self = .bool(flag)
    } else if let number = try? container.decode(Int.self) {
      self = .int(number)
    } else if let number = try? container.decode(Double.self) {
      self = .double(number)
    } else if let members = try? container.decode([String: JSONValue].self) {
      self = .object(members)
    } else {
      self = .array(try container.decode([JSONValue].self))
    }
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .bool(let flag): try container.encode(flag)
    case .int(let number): try container.encode(number)
    case .double(let number): try container.encode(number)
    case .string(let text): try container.encode(text)
    case .array(let items): try container.encode(items)
    case .object(let members): try container.encode(members)
    }
  }

  /// Reads an object from bytes that may be anything; nil where they are no JSON object.
  package init?(object bytes: [UInt8]) {
    guard let value = try? JSONDecoder().decode(JSONValue.self, from: Data(bytes)), case .object = value else {
      return nil
    }
    self = value
  }

  /// Its text. An object's members are in the order of their names.
  package var bytes: [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Only numbers that are not finite cannot be written, and no message has any.
    return (try? encoder.encode(self)).map { Array($0) } ?? Array("{}".utf8)
  }
}

extension JSONValue {
  /// Its text on many lines, as notebook files have it: a column of indentation a level, members in the order of names.
  package var indented: String {
    var text = ""
    write(to: &text, indent: 0)
    return text
  }

  private func write(to text: inout String, indent: Int) {
    func list<Element>(_ open: String, _ items: [Element], _ close: String, _ write: (Element, inout String) -> Void) {
      if items.isEmpty {
        text += open + close
        return
      }
      for (index, item) in items.enumerated() {
        text += (index == 0 ? open : ",") + "\n" + String(repeating: " ", count: indent + 1)
        write(item, &text)
      }
      text += "\n" + String(repeating: " ", count: indent) + close
    }
    switch self {
    case .array(let items): list("[", items, "]") { $0.write(to: &$1, indent: indent + 1) }
    case .object(let members):
      list("{", members.sorted { $0.key < $1.key }, "}") { member, text in
        text += jsonString(member.key) + ": "
        member.value.write(to: &text, indent: indent + 1)
      }
    case .string(let string): text += jsonString(string)
    case .null, .bool, .int, .double: text += String(decoding: bytes, as: UTF8.self)
    }
  }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByStringInterpolation, ExpressibleByBooleanLiteral,
  ExpressibleByIntegerLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  package init(stringLiteral text: String) { self = .string(text) }
  package init(booleanLiteral flag: Bool) { self = .bool(flag) }
  package init(integerLiteral number: Int) { self = .int(number) }
  package init(arrayLiteral items: JSONValue...) { self = .array(items) }
  package init(dictionaryLiteral members: (String, JSONValue)...) {
    self = .object(Dictionary(members, uniquingKeysWith: { $1 }))
  }
}
