import Formats
import Glibc

/// What was run since the kernel started: what consoles go back through with the up key.
struct History {
  private struct Entry {
    let number: Int
    let code: String
    let result: String?
  }
  private var entries: [Entry] = []
  /// Old entries are forgotten beyond this.
  private static let longest = 10_000

  mutating func add(_ number: Int, _ code: String, result: String?) {
    entries.append(Entry(number: number, code: code, result: result))
    if entries.count > History.longest { entries.removeFirst(entries.count - History.longest / 2) }
  }

  /// Returns what a `history_request` asks for: the last n, a range of one session, or what matches a pattern.
  func answer(_ request: JSONValue) -> JSONValue {
    let count = max(0, request["n"]?.number ?? .max)
    var found: [Entry]
    switch request["hist_access_type"]?.text {
    case "range":
      // Sessions before this one are not kept; 0 is this one.
      let session = request["session"]?.number ?? 0
      guard session == 0 || session == 1 else { return [] }
      let start = request["start"]?.number ?? 0
      let stop = request["stop"]?.number ?? .max
      found = entries.filter { $0.number >= start && $0.number < stop }
    case "search":
      let pattern = request["pattern"]?.text ?? "*"
      found = entries.filter { fnmatch(pattern, $0.code, 0) == 0 }
      if request["unique"]?.flag == true {
        var seen: Set<String> = []
        found = found.reversed().filter { seen.insert($0.code).inserted }.reversed()
      }
      found = found.suffix(count)
    default: found = entries.suffix(count)
    }
    let withResults = request["output"]?.flag ?? false
    return .array(
      found.map { entry in
        let code = JSONValue.string(entry.code)
        return [1, .int(entry.number), withResults ? [code, entry.result.map { .string($0) } ?? .null] : code]
      })
  }
}
