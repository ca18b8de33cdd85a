import Formats
import CStdlib
import Glibc
import Graphs
import Ops
import Support
import Tensors

var dataBuiltins: [Builtin] {
  [
  Builtin(
    "load", "path, targets…",
    """
    Reads data: `load("digits")` (8 x 8 images, ships with Gradus), or a file by its ending: .csv .tsv .npy .npz
    .idx .safetensors .txt, each also with .gz; `load("stdlib")` is the text of the standard library.
    With models, optimizers and steps after the path it restores what `save` wrote.
    """
  ) { call throws(Failure) in try load(call) },
  Builtin("exists", "path", "Whether there is a file or folder that can be read.\n\n>>> exists(\"nowhere.csv\")\nfalse") {
    call throws(Failure) in
    let path = call.interpreter.path(try call.string(0, "the path"), at: call.sites[0])
    return .bool(access(path, R_OK) == 0)
  },
  Builtin(
    "save", "path, things…",
    """
    Writes models, optimizers with their state, and the random counter as .safetensors; the file is replaced
    whole or not at all.
    """
  ) { call throws(Failure) in try saveState(call) },
  Builtin(
    "batches", "data, size, shuffle = false, drop_last = false",
    """
    Goes through data in pieces of `size` rows; the last may be smaller. Data is a tensor, or a tuple or record
    of tensors with equally many rows. `shuffle` draws a new order each time, from the seed and tick.

    >>> [len(x) for (x, y) in batches((ones([5, 2]), ones([5])), 2)]
    [2, 2, 1]
    """
  ) { call throws(Failure) in try makeBatches(call) },
  Builtin(
    "split", "data, fraction, shuffle = true",
    "Splits data into (train:, test:) by rows, `fraction` of them for training, in a random order drawn once."
  ) { call throws(Failure) in try split(call) },
  Builtin(
    "progress", "values",
    """
    Goes through values as they are, and shows how far the loop has come: in a line of the terminal, in a bar of a
    notebook: the count, the rate, the time taken and left, and the loss that the last training step gave. Short loops
    show nothing; a log gets a line of key=value a minute.

    >>> total = 0
    >>> for i in progress(1...4) { total += i }
    >>> total
    10
    """
  ) { call throws(Failure) in
    // A step is traced once: there is no time to watch.
    if let trace = call.interpreter.trace, trace.isRecording { return call[0] }
    return .object(Watched(call[0], at: call.sites[0]))
  },
  Builtin(
    "ask", "prompt = \"\"",
    """
    Asks the person who runs the program for a line, and gives it as a string: `name = ask("name? ")`. An error where
    nobody can answer, as in a test; `input` declares values that come with the command.
    """
  ) { call throws(Failure) in
    if let trace = call.interpreter.trace, trace.isRecording {
      throw Failure("inspection-in-step", "`ask` cannot be called inside a step or `grad`", at: call.site)
    }
    switch call.interpreter.output.ask(call.isMissing(0) ? "" : try call.string(0, "the prompt")) {
    case .line(let line): return .string(line)
    case .interrupted: throw Failure.interrupted(at: call.site)
    case .nobody:
      throw Failure(
        "no-answer", "`ask` has nobody to ask here", at: call.site,
        help: "declare it: `input name = \"a default\"`, which the command line sets")
    }
  },
  ]
}

// MARK: Loading

private func load(_ call: BuiltinCall) throws(Failure) -> Value {
  guard !call.values.isEmpty else {
    throw Failure("missing-argument", "`load` needs a path", at: call.site)
  }
  let name = try call.string(0, "the path")
  if call.values.count > 1 { return try loadState(call, name) }
  let site = call.sites[0]
  do {
    switch name {
    case "digits": return digits(try embeddedDigits())
    case "stdlib": return .string(standardLibraryText())
    default: break
    }
    switch try DataFile.load(path: call.interpreter.path(name, at: site)) {
    case .tensor(let tensor): return .tensor(TensorValue(tensor, made: call.site))
    case .tensors(let tensors, _):
      return .record(
        RecordValue(
          names: tensors.map(\.name),
          items: tensors.map { .tensor(TensorValue($0.tensor, made: call.site)) }))
    case .table(let table):
      let tensor = Value.tensor(TensorValue(table.tensor, made: call.site))
      guard let columns = table.columns else { return tensor }
      return .record(["columns": .list(columns.map { .string($0) }), "data": tensor])
    case .text(let text): return .string(text)
    }
  } catch { throw Failure.from(error, file: name, path: call.interpreter.path(name, at: site), at: site) }
}

extension Failure {
  /// An error about a file.
  ///
  /// - Parameters:
  ///   - name: the file as the program writes it.
  ///   - path: where that leads.
  static func from(_ error: any Error, file name: String, path: String, at site: Site) -> Failure {
    guard let error = error as? FileError else { return Failure.from(error, at: site) }
    // A member of an archive follows its path.
    let file = error.file.hasPrefix(path) ? name + error.file.dropFirst(path.count) : error.file
    return Failure(error.code, error.description(of: file), at: site)
  }
}

extension Interpreter {
  /// A path in a program is relative to the working directory; the notebook may say otherwise.
  func path(_ name: String, at site: Site) -> String { resolveDataPath?(name, site.file.name) ?? name }
}

/// Pixels scaled to 0...1, split 80 to 20 within each class in a fixed order.
private func digits(_ data: (images: Tensor, labels: Tensor)) -> Value {
  let labels = data.labels.integers()
  var train: [Int] = []
  var test: [Int] = []
  var seen = [Int](repeating: 0, count: 10)
  for (row, label) in labels.enumerated() {
    // Every fifth image of a class is held out.
    if seen[label] % 5 == 4 { test.append(row) } else { train.append(row) }
    seen[label] += 1
  }
  let pixels = data.images.doubles()
  func part(_ rows: [Int]) -> Value {
    var values: [Double] = []
    values.reserveCapacity(rows.count * 64)
    for row in rows { for column in 0..<64 { values.append(pixels[row * 64 + column] / 16) } }
    return .record([
      "x": .tensor(TensorValue(Tensor(values, dtype: .f32, shape: [rows.count, 64]), made: nil)),
      "y": .tensor(TensorValue(Tensor(integers: rows.map { labels[$0] }, shape: [rows.count]), made: nil)),
    ])
  }
  return .record(["train": part(train), "test": part(test), "classes": .int(10)])
}

private func standardLibraryText() -> String {
  var text = ""
  for file in UnsafeBufferPointer(start: gradus_embedded_files(), count: gradus_embedded_file_count()) {
    guard String(cString: file.name).hasSuffix(".nn") else { continue }
    text += String(decoding: UnsafeBufferPointer(start: file.bytes, count: file.byte_count), as: UTF8.self)
  }
  return text
}

// MARK: Batches

/// The rows of data: tensors with one number of rows, and how to give a selection the data's form.
struct Rows {
  let tensors: [TensorValue]
  let count: Int
  private let names: [String?]?

  init(_ value: Value, _ interpreter: Interpreter, at site: Site) throws(Failure) {
    var tensors: [TensorValue] = []
    switch value {
    case .record(let record):
      for item in record.items { tensors.append(try interpreter.tensorValue(item, at: site)) }
      names = record.names
    case .list(let list) where list.items.allSatisfy({ if case .tensor = $0 { true } else { false } }) && !list.items.isEmpty:
      for item in list.items { tensors.append(try interpreter.tensorValue(item, at: site)) }
      names = [String?](repeating: nil, count: tensors.count)
    default:
      tensors = [try interpreter.tensorValue(value, at: site)]
      names = nil
    }
    guard let first = tensors.first else {
      throw Failure("bad-data", "there is no data in \(value.described)", at: site)
    }
    for tensor in tensors {
      guard tensor.tensor != nil || interpreter.abstract != nil else { throw tensor.missing(at: site) }
      guard tensor.shape.rank > 0 else {
        throw Failure("bad-data", "data needs rows, got \(tensor.type)", at: site)
      }
      guard tensor.shape[0] == first.shape[0] else {
        throw Failure(
          "shape-mismatch", "the parts of the data have \(first.shape[0]) and \(tensor.shape[0]) rows", at: site)
      }
    }
    // An order drawn by chance is not known without running, so neither are the elements of any row.
    self.tensors =
      interpreter.abstract == nil
      ? tensors : tensors.map { TensorValue(abstract: $0.type, isWholeList: $0.isWholeList, made: $0.made) }
    count = first.shape[0]
  }

  /// So many rows whose elements nobody knows, in the data's form.
  func ofType(count: Int, site: Site) -> Value {
    let parts = tensors.map { tensor -> Value in
      var type = tensor.type
      type.shape[0] = count
      return .tensor(TensorValue(abstract: type, made: site))
    }
    return names.map { .record(RecordValue(names: $0, items: parts)) } ?? parts[0]
  }

  /// The rows `indices`, in the data's form.
  func select(_ indices: ArraySlice<Int>, site: Site) -> Value {
    let isRun = zip(indices, indices.dropFirst()).allSatisfy { $1 == $0 + 1 }
    let parts = tensors.map { value -> Value in
      var type = value.type
      type.shape[0] = indices.count
      guard let tensor = value.tensor?.contiguous() else { return .tensor(TensorValue(abstract: type, made: site)) }
      let rowBytes = tensor.shape[0] == 0 ? 0 : tensor.type.byteCount / tensor.shape[0]
      let base = tensor.storage.base + tensor.layout.offset * tensor.dtype.byteCount
      if isRun, let first = indices.first {
        // Neighbouring rows are a window on the data.
        var layout = tensor.layout
        layout.shape = type.shape
        layout.offset += first * (tensor.shape[0] == 0 ? 0 : tensor.elementCount / tensor.shape[0])
        return .tensor(TensorValue(Tensor(storage: tensor.storage, dtype: tensor.dtype, layout: layout), made: site))
      }
      let result = Tensor(uninitialized: type)
      for (position, row) in indices.enumerated() {
        (result.storage.base + position * rowBytes).copyMemory(from: base + row * rowBytes, byteCount: rowBytes)
      }
      return .tensor(TensorValue(result, made: site))
    }
    guard let names else { return parts[0] }
    // A record of x and y is met as a tuple by `for (x, y) in …` all the same.
    return .record(RecordValue(names: names, items: parts))
  }
}

/// What `batches` gives: goes through the data anew each time.
final class Batches: ObjectValue {
  let rows: Rows
  let size: Int
  let shuffles: Bool
  let dropsLast: Bool
  init(_ rows: Rows, size: Int, shuffles: Bool, dropsLast: Bool) {
    self.rows = rows
    self.size = size
    self.shuffles = shuffles
    self.dropsLast = dropsLast
  }
  override var kind: String { "batches" }
  override var summary: String {
    "batches of \(size) from \(grouped(rows.count)) rows\(shuffles ? ", shuffled" : "")"
  }
  /// A full batch, and the last one if it is smaller, of which only the types are known.
  func shapes(site: Site) -> (full: Value, last: Value?) {
    let rest = dropsLast ? 0 : rows.count % size
    return (rows.ofType(count: size, site: site), rest == 0 ? nil : rows.ofType(count: rest, site: site))
  }
  override var count: Int? { rows.count / size + (dropsLast || rows.count % size == 0 ? 0 : 1) }
  override func makeIterator(_ interpreter: Interpreter, at site: Site) throws(Failure) -> ValueIterator? {
    let order = shuffles ? try interpreter.permutation(rows.count, at: site) : Array(0..<rows.count)
    var next = 0
    return ClosureIterator { () throws(Failure) -> Value? in
      guard next < order.count else { return nil }
      let end = next + min(self.size, order.count - next)
      if self.dropsLast, end - next < self.size { return nil }
      defer { next = end }
      return self.rows.select(order[next..<end], site: site)
    }
  }
}

extension Interpreter {
  /// A random order of `count` rows, from the seed and the tick, which moves on.
  func permutation(_ count: Int, at site: Site) throws(Failure) -> [Int] {
    guard count > 0 else { return [] }
    let value = try apply(
      OpTable.byName["permutation"]!, [], Attributes([("n", .int(count))]), [], at: site, site)
    guard case .tensor(let tensor) = value, let real = tensor.tensor else { return Array(0..<count) }
    return real.integers()
  }
}

private func makeBatches(_ call: BuiltinCall) throws(Failure) -> Value {
  let rows = try Rows(call[0], call.interpreter, at: call.sites[0])
  let size = try call.int(1, "the size of a batch")
  guard size > 0 else {
    throw Failure("bad-argument", "a batch needs at least one row, got \(size)", at: call.sites[1])
  }
  return .object(
    Batches(
      rows, size: size, shuffles: try call.bool(2, "`shuffle`", default: false),
      dropsLast: try call.bool(3, "`drop_last`", default: false)))
}

private func split(_ call: BuiltinCall) throws(Failure) -> Value {
  let rows = try Rows(call[0], call.interpreter, at: call.sites[0])
  let fraction = try call.double(1, "the fraction")
  guard fraction >= 0, fraction <= 1 else {
    throw Failure("bad-argument", "the fraction lies between 0 and 1, got \(format(number: fraction))", at: call.sites[1])
  }
  let order =
    try call.bool(2, "`shuffle`", default: true)
    ? try call.interpreter.permutation(rows.count, at: call.site) : Array(0..<rows.count)
  let cut = Int((Double(rows.count) * fraction).rounded())
  return .record([
    "train": rows.select(order[..<cut], site: call.site), "test": rows.select(order[cut...], site: call.site),
  ])
}
