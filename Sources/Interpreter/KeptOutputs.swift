import Support
import Tensors

/// `Out`: the values that inputs of a session ended in, by the number of the input. The last few are kept, and no more
/// than so many bytes of them: a session must not grow by what was only looked at.
package final class KeptOutputs: ObjectValue {
  private struct Entry {
    let number: Int
    let value: Value
    let byteCount: Int
  }
  private var entries: [Entry] = []
  private let note: (Value) -> String

  package static let name = "Out"
  package static let countLimit = 32
  package static let byteLimit = 64 << 20

  /// - Parameter interpreter: what says of values what they are.
  package init(_ interpreter: Interpreter) { note = { [unowned interpreter] in interpreter.note(on: $0) } }

  package override var kind: String { "outputs" }
  package override var summary: String {
    if entries.isEmpty { return "no outputs yet" }
    return aligned(entries.map { ["\(KeptOutputs.name)[\($0.number)]", note($0.value)] }, gap: 2, toTheLeft: [0, 1])
      .joined(separator: "\n")
  }

  /// The values, the newest last.
  package var values: [(number: Int, value: Value)] { entries.map { ($0.number, $0.value) } }

  /// Keeps what an input echoed; of several values the last.
  package func keep(_ value: Value, number: Int) {
    // It would hold itself.
    if case .object(let object) = value, object === self { return }
    entries.removeAll { $0.number == number }
    var tally = StorageTally()
    entries.append(Entry(number: number, value: value, byteCount: tally.add(value)))
    var bytes = entries.reduce(0) { $0 + $1.byteCount }
    while let first = entries.first, entries.count > KeptOutputs.countLimit || bytes > KeptOutputs.byteLimit {
      bytes -= first.byteCount
      entries.removeFirst()
    }
  }

  func element(_ number: Int, at site: Site) throws(Failure) -> Value {
    if let entry = entries.first(where: { $0.number == number }) { return entry.value }
    let kept = entries.map { "\($0.number)" }.joined(separator: ", ")
    throw Failure(
      "not-kept", "\(KeptOutputs.name)[\(number)] is not kept", at: site,
      notes: [
        kept.isEmpty ? "no input has had a value yet" : "kept are \(kept)",
        "the last \(KeptOutputs.countLimit) values are, up to \(byteText(KeptOutputs.byteLimit)) in all; after `;` none is",
      ],
      help: "give what you need later a name")
  }
}

/// Adds up the bytes that values hold, each storage once.
package struct StorageTally {
  private var seen = Set<ObjectIdentifier>()

  package init() {}

  /// Returns the bytes that a value holds and that were not counted before: of tensors, of a model's params, of the
  /// state of an optimizer, of what a function closes over.
  package mutating func add(_ value: Value) -> Int {
    var bytes = 0
    // No recursion: values may be nested deep.
    var open = [value]
    while let value = open.popLast() {
      switch value {
      case .tensor(let tensor): if let real = tensor.tensor { bytes += add(real) }
      case .list(let list) where seen.insert(ObjectIdentifier(list)).inserted: open += list.items
      case .record(let record) where seen.insert(ObjectIdentifier(record)).inserted: open += record.items
      case .model(let model) where seen.insert(ObjectIdentifier(model)).inserted: open += model.fields
      case .object(let object as ModelParameter): bytes += add(object.tensor)
      case .object(let object as KeptOutputs): open += object.values.map(\.value)
      case .optimizer(let optimizer) where seen.insert(ObjectIdentifier(optimizer)).inserted:
        for slot in optimizer.slots.values { for state in slot.states { bytes += add(state) } }
      case .callable(let callable):
        let function = callable as? FunctionValue ?? (callable as? StepValue)?.function
        guard let function, seen.insert(ObjectIdentifier(function)).inserted else { break }
        open += function.captured.filter { seen.insert(ObjectIdentifier($0)).inserted }.map(\.value)
        if let owner = function.owner { open.append(.model(owner)) }
      default: break
      }
    }
    return bytes
  }

  private mutating func add(_ tensor: Tensor) -> Int {
    guard seen.insert(ObjectIdentifier(tensor.storage)).inserted else { return 0 }
    // A view holds all that it is a view of.
    return tensor.storage.isBorrowed ? tensor.type.byteCount : tensor.storage.byteCount
  }
}

/// A name of the session and the bytes behind it.
package struct LiveValue {
  package let name: String
  package let note: String
  /// What it holds.
  package let byteCount: Int
  /// Of that, what no name before it holds.
  package let ownByteCount: Int
}

extension Interpreter {
  /// The user's names with what they hold. Bytes that several names share belong to the first by the alphabet; to what
  /// the session keeps of itself only where no name has them.
  package func liveValues() -> [LiveValue] {
    let own = ["_", KeptOutputs.name]
    let names = main.names.filter { !own.contains($0) } + own
    var tally = StorageTally()
    return names.compactMap { name in
      guard main.ownSlot(of: name) != nil, let value = value(of: name) else { return nil }
      let own = tally.add(value)
      var alone = StorageTally()
      return LiveValue(name: name, note: note(on: value), byteCount: alone.add(value), ownByteCount: own)
    }
  }

  /// `:mem`: live tensors by name, the largest first, and what else a session holds.
  package func memoryTable() -> String {
    let live = liveValues().filter { $0.byteCount > 0 }.sorted { ($1.ownByteCount, $0.name) < ($0.ownByteCount, $1.name) }
    var rows = live.map { value in
      let isShared = value.ownByteCount < value.byteCount
      let shared = isShared ? "shares \(grouped(value.byteCount - value.ownByteCount)) B with names above" : ""
      return [grouped(value.ownByteCount) + " B", value.name, value.note, shared]
    }
    var total = live.reduce(0) { $0 + $1.ownByteCount }
    let scratch = arena.storage.byteCount
    if scratch > 0 { rows.append([grouped(scratch) + " B", "", "arena in which steps run", ""]) }
    total += scratch
    rows.append([grouped(total) + " B", "", "in all", ""])
    return aligned(rows, gap: 2, toTheLeft: [1, 2, 3]).map { "  " + $0 }.joined(separator: "\n")
  }

  /// `:vars`: names, what they hold, bytes.
  package func variableTable() -> String {
    let rows = liveValues().filter { $0.name != "_" && $0.name != KeptOutputs.name }.map { value in
      [value.name, value.note, value.byteCount > 0 ? grouped(value.byteCount) + " B" : ""]
    }
    return aligned(rows, gap: 2, toTheLeft: [0, 1]).joined(separator: "\n")
  }
}
