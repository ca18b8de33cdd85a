import Graphs
import Ops
import Support
import Syntax
import Tensors

extension Interpreter {
  // MARK: Reading elements

  func index(_ owner: Value, _ items: [IndexValue], at site: Site, base: Site) throws(Failure) -> Value {
    switch owner {
    case .list(let list):
      if items.count == 1 {
        switch items[0] {
        case .at(let index, let place):
          if case .tensor(let tensor) = index, !tensor.isNumber, tensor.shape.rank > 0 { break }
          if case .list = index { break }
          let position = try self.position(
            try hostInteger(index, "an index", at: place), count: list.items.count, what: "a list", at: place)
          return list.items[position]
        case .slice(let start, let end, let step, let place):
          let positions = try slicePositions(start, end, step, count: list.items.count, at: place)
          return .list(ListValue(positions.map { list.items[$0] }, site: list.site))
        case .rest: return owner
        }
      }
      if isTensorLike(owner) {
        return try index(.tensor(try tensorValue(owner, at: base)), items, at: site, base: base)
      }
      // Nested lists: the first index now, the rest inside.
      guard case .at(let first, let place) = items[0] else { break }
      let inner = try index(owner, [.at(first, place)], at: site, base: base)
      return try index(inner, Array(items.dropFirst()), at: site, base: base)
    case .record(let record):
      guard items.count == 1, case .at(let index, let place) = items[0] else { break }
      if case .string(let name) = index {
        let name = try name.text(at: place)
        guard let value = record[name] else {
          throw Failure("unknown-member", "the record has no field `\(name)`", at: place)
        }
        return value
      }
      let position = try self.position(
        try hostInteger(index, "an index", at: place), count: record.items.count,
        what: record.isTuple ? "a tuple" : "a record", at: place)
      return record.items[position]
    case .range(let range):
      guard items.count == 1 else { break }
      switch items[0] {
      case .at(let index, let place):
        let position = try self.position(
          try hostInteger(index, "an index", at: place), count: range.count, what: "a range", at: place)
        return .int(range.start + position)
      case .slice(let start, let end, let step, let place):
        try checkFits(elements: range.count, at: place)
        let positions = try slicePositions(start, end, step, count: range.count, at: place)
        return .list(ListValue(positions.map { .int(range.start + $0) }, site: site))
      case .rest: return owner
      }
    case .string(let string):
      let characters = Array(try string.text(at: base))
      guard items.count == 1 else { break }
      switch items[0] {
      case .at(let index, let place):
        let position = try self.position(
          try hostInteger(index, "an index", at: place), count: characters.count, what: "a string", at: place)
        return .string(String(characters[position]))
      case .slice(let start, let end, let step, let place):
        let positions = try slicePositions(start, end, step, count: characters.count, at: place)
        return .string(String(positions.map { characters[$0] }))
      case .rest: return owner
      }
    case .tensor(let tensor) where !tensor.isNumber:
      try requireNumbers(tensor, at: base)
      return try index(try usable(tensor, at: base), items, at: site, base: base)
    case .model(let model):
      // A model made of one list, such as Sequential, is indexed like it.
      if let layers = model.definition.fieldIndex["layers"], case .list = model.fields[layers] {
        return try index(model.read(field: layers, self, at: base), items, at: site, base: base)
      }
    case .object(let outputs as KeptOutputs):
      guard items.count == 1, case .at(let index, let place) = items[0] else { break }
      return try outputs.element(try hostInteger(index, "the number of an input", at: place), at: place)
    default: break
    }
    throw Failure("not-indexable", "\(owner.described) cannot be indexed", at: site)
  }

  private func position(_ index: Int, count: Int, what: String, at site: Site) throws(Failure) -> Int {
    let position = index < 0 ? index + count : index
    guard position >= 0, position < count else {
      throw Failure(
        "index-out-of-range", "index \(index) is out of range for \(what) of \(count)", at: site)
    }
    return position
  }

  /// Python's rule: bounds beyond the ends are clamped.
  private func slicePositions(
    _ start: Int?, _ end: Int?, _ step: Int?, count: Int, at site: Site
  ) throws(Failure) -> [Int] {
    let (first, length, stride) = try slice(start, end, step, count: count, at: site)
    return (0..<length).map { first + $0 * stride }
  }

  private func slice(
    _ start: Int?, _ end: Int?, _ step: Int?, count: Int, at site: Site
  ) throws(Failure) -> (first: Int, count: Int, step: Int) {
    let step = step ?? 1
    guard step != 0, step != .min else {
      throw Failure("bad-slice", "the step of a slice cannot be \(step)", at: site)
    }
    func clamp(_ value: Int, _ low: Int, _ high: Int) -> Int {
      let resolved = value < 0 ? (value < -count ? low : value + count) : value
      return min(max(resolved, low), high)
    }
    if step > 0 {
      let first = clamp(start ?? 0, 0, count)
      let last = clamp(end ?? count, 0, count)
      return (first, last > first ? (last - first - 1) / step + 1 : 0, step)
    }
    let first = start.map { clamp($0, -1, count - 1) } ?? count - 1
    let last = end.map { clamp($0, -1, count - 1) } ?? -1
    return (first, first > last ? (first - last - 1) / -step + 1 : 0, step)
  }

  /// One step of `x[…]` on a tensor: integers and slices first, then new axes, then gathers.
  private func index(
    _ tensor: TensorValue, _ items: [IndexValue], at site: Site, base: Site
  ) throws(Failure) -> Value {
    let rank = tensor.shape.rank
    let consumed = items.count { item in
      switch item {
      case .rest: false
      case .at(.none, _): false
      default: true
      }
    }
    guard consumed <= rank else {
      throw Failure(
        "bad-axis", "\(plural(consumed, "index", "indices")) for a tensor with \(plural(rank, "axis", "axes"))",
        at: site, labels: [.init(site: base, text: describe(tensor, at: base))])
    }
    // Normal form: one entry per axis of the tensor, `none`s between.
    var plan: [AxisPlan] = []
    var axis = 0
    var hasRest = false
    for item in items {
      switch item {
      case .rest(let place):
        if hasRest { throw Failure("bad-slice", "`..` can stand once in an index", at: place) }
        hasRest = true
        for _ in 0..<(rank - consumed) {
          plan.append(.whole)
          axis += 1
        }
      case .at(.none, _): plan.append(.new)
      case .at(let value, let place):
        do throws(Failure) {
          plan.append(try axisPlan(value, size: tensor.shape[axis], axis: axis, at: place))
        } catch {
          if error.diagnostic.labels.isEmpty {
            error.diagnostic.labels = [.init(site: base, text: describe(tensor, at: base))]
          }
          throw error
        }
        axis += 1
      case .slice(let start, let end, let step, let place):
        let (first, count, stride) = try slice(start, end, step, count: tensor.shape[axis], at: place)
        plan.append(
          first == 0 && count == tensor.shape[axis] && stride == 1
            ? .whole : .slice(first, count, stride))
        axis += 1
      }
    }
    while axis < rank {
      plan.append(.whole)
      axis += 1
    }
    do {
      var operands = [tensor]
      for case .gather(let indices) in plan { operands.append(indices) }
      let isGathering = operands.count > 1
      let result = try build(operands, at: site) { g, values in
        var value = values[0]
        var axis = 0
        var gathered = 1
        var shape: [Int] = []
        // Slices keep their axis; single elements and new axes change the rank at the end.
        for part in plan {
          switch part {
          case .whole:
            shape.append(value.shape[axis])
            axis += 1
          case .new: shape.append(1)
          case .single(let position):
            value = try g.slice(value, axis: axis, start: position, count: 1, step: 1)
            axis += 1
          case .slice(let first, let count, let step):
            value = try g.slice(value, axis: axis, start: first, count: count, step: step)
            shape.append(count)
            axis += 1
          case .gather:
            shape.append(value.shape[axis])
            axis += 1
          }
        }
        if value.shape.sizes != shape { value = try g.reshape(value, to: Shape(shape)) }
        if isGathering {
          var outputAxis = 0
          for part in plan {
            switch part {
            case .single: break
            case .gather:
              let indices = values[gathered]
              gathered += 1
              let isTable = trace?.isParameter(value, in: g) ?? false
              value = try g.gather(value, indices: try g.cast(indices, to: .i64), axis: outputAxis)
              // Rows of an embedding begin what flows through a network in 16 bits.
              if let lowPrecision, isTable, value.dtype == .f32 { value = try g.cast(value, to: lowPrecision) }
              outputAxis += indices.shape.rank
            case .whole, .slice, .new: outputAxis += 1
            }
          }
        }
        return value
      }
      return result
    } catch {
      throw explain(error, [tensor], [base], at: site)
    }
  }

  private enum AxisPlan {
    case whole
    case new
    case single(Int)
    case slice(Int, Int, Int)
    case gather(TensorValue)
  }

  private func axisPlan(_ value: Value, size: Int, axis: Int, at site: Site) throws(Failure) -> AxisPlan {
    switch value {
    case .range(let range):
      guard range.start >= 0, range.end <= size else {
        throw Failure(
          "index-out-of-range", "\(value.described) is out of range for axis \(axis) of size \(size)", at: site)
      }
      return .slice(range.start, range.count, 1)
    case .list:
      return .gather(try indexTensor(tensorValue(value, meansIndex: true, at: site), size: size, at: site))
    case .tensor(let tensor) where !tensor.isNumber:
      let tensor = try usable(tensor, at: site)
      if tensor.shape.rank == 0, tensor.dtype.isInteger, let real = tensor.tensor {
        return .single(try elementPosition(real.integerScalar, size, axis, site))
      }
      return .gather(try indexTensor(tensor, size: size, at: site))
    case .tensor(let tensor) where tensor.isAbstract && tensor.dtype.isInteger && size > 0:
      // Whichever it is, its axis is gone.
      return .single(0)
    default:
      return .single(try elementPosition(try hostInteger(value, "an index", at: site), size, axis, site))
    }
  }

  private func elementPosition(_ index: Int, _ size: Int, _ axis: Int, _ site: Site) throws(Failure) -> Int {
    let position = index < 0 ? index + size : index
    guard position >= 0, position < size else {
      throw Failure(
        "index-out-of-range", "index \(index) is out of range for axis \(axis) of size \(size)", at: site)
    }
    return position
  }

  /// An integer tensor as it is; a bool mask as the positions where it is true.
  private func indexTensor(_ tensor: TensorValue, size: Int, at site: Site) throws(Failure) -> TensorValue {
    if tensor.dtype.isInteger { return tensor }
    if tensor.isWholeList { return try indices(tensor, at: site) }
    if tensor.dtype == .bool {
      guard let real = tensor.tensor else {
        if tensor.isAbstract, tensor.shape == [size] { throw tensor.missing(at: site) }
        if tensor.isAbstract { throw maskFailure(tensor, size: size, at: site) }
        throw Failure(
          "traced-value", "a mask selects a number of elements that a step cannot know", at: site,
          help: "use `where(mask, x, 0)`")
      }
      guard tensor.shape == [size] else { throw maskFailure(tensor, size: size, at: site) }
      let positions = real.integers().enumerated().filter { $0.element != 0 }.map(\.offset)
      return TensorValue(Tensor(integers: positions, shape: [positions.count]), made: site)
    }
    if tensor.type.elementCount == 0 {
      return TensorValue(Tensor(integers: [], shape: [0]), made: site)
    }
    throw Failure(
      "bad-index", "an index must be whole numbers, got \(tensor.type)", at: site,
      help: "use `i64(…)`")
  }

  private func maskFailure(_ mask: TensorValue, size: Int, at site: Site) -> Failure {
    Failure("shape-mismatch", "a mask of shape \(mask.shape) cannot select along an axis of size \(size)", at: site)
  }

  // MARK: Replacing elements

  /// `owner[items] = value`: a list or record that nobody else holds is changed where it is.
  func replace(
    _ items: [IndexValue], in owner: inout Value, with value: Value, at site: Site, base: Site
  ) throws(Failure) {
    if items.count == 1, case .at(let index, let place) = items[0],
      let field = try position(index, of: owner, at: place)
    {
      try requireDepth(value.depth + 1, at: site)
      if var list = owner.takeList() {
        if !isKnownUniquelyReferenced(&list) { list = ListValue(list.items, site: list.site) }
        list.replace(field.position, with: value)
        owner = .list(list)
      } else if var record = owner.takeRecord() {
        if !isKnownUniquelyReferenced(&record) { record = RecordValue(names: record.names, items: record.items) }
        if let name = field.name { record.set(name, to: value) } else { record.replace(field.position, with: value) }
        owner = .record(record)
      }
      return
    }
    switch owner {
    case .tensor(let tensor):
      let tensor = try usable(tensor, at: base)
      if tensor.isAbstract {
        owner = .tensor(try replaceElements(items, ofAbstract: tensor, with: value, at: site, base: base))
        return
      }
      guard let real = tensor.tensor, !tensor.isTraced else {
        throw Failure(
          "assignment-in-step", "elements of a tensor cannot be assigned where derivatives are recorded", at: site,
          help: "use `where(mask, new, old)`")
      }
      owner = .tensor(try replaceElements(items, of: tensor, real, with: value, at: site, base: base))
      return
    default: break
    }
    throw Failure("bad-assignment", "cannot assign to an element of \(owner.described)", at: site)
  }

  /// Which element of a list, or field of a record, an index names; nil where the owner is neither.
  @inline(never)
  private func position(
    _ index: Value, of owner: Value, at place: Site
  ) throws(Failure) -> (position: Int, name: String?)? {
    switch owner {
    case .list(let list):
      let index = try hostInteger(index, "an index", at: place)
      return (try position(index, count: list.items.count, what: "a list", at: place), nil)
    case .record(let record):
      if case .string(let text) = index { return (0, try text.text(at: place)) }
      let index = try hostInteger(index, "an index", at: place)
      return (try position(index, count: record.items.count, what: "a record", at: place), nil)
    default: return nil
    }
  }

  private func replaceElements(
    _ items: [IndexValue], of tensor: TensorValue, _ real: Tensor, with value: Value, at site: Site,
    base: Site
  ) throws(Failure) -> TensorValue {
    // Which elements: index the tensor of positions the same way.
    let count = real.elementCount
    let outer = trace
    trace = nil
    defer { trace = outer }
    let positions: TensorValue
    do {
      let range = try OpTable.make(
        "arange", [("start", .int(0)), ("stop", .int(count)), ("step", .int(1)), ("dtype", .dtype(.i64))], operands: [])
      let flat = try evaluator.evaluate(range, [])[0]
      positions = TensorValue(
        Tensor(storage: flat.storage, dtype: .i64, layout: Layout(contiguous: real.shape)), made: tensor.made)
    } catch { throw Failure.from(error, at: site) }
    let selected: Value
    do throws(Failure) {
      selected = try index(positions, items, at: site, base: base)
    } catch {
      error.diagnostic.labels = [.init(site: base, text: describe(tensor, at: base))]
      throw error
    }
    guard case .tensor(let selected) = selected, let targets = selected.tensor else { return tensor }
    let new = try tensorValue(value, at: site)
    if abstract != nil, new.isAbstract {
      guard new.shape.broadcast(with: targets.shape) == targets.shape else {
        throw Failure(
          "shape-mismatch", "a value of shape \(new.shape) does not fit the elements of shape \(targets.shape)",
          at: site, labels: [.init(site: base, text: describe(tensor, at: base))])
      }
      return TensorValue(abstract: tensor.type, made: site)
    }
    guard let source = new.tensor else { throw new.missing(at: site) }
    guard source.shape.broadcast(with: targets.shape) == targets.shape else {
      throw Failure(
        "shape-mismatch", "a value of shape \(source.shape) does not fit the elements of shape \(targets.shape)",
        at: site, labels: [.init(site: base, text: describe(tensor, at: base))])
    }
    do {
      try checkFits(real.type, at: site)
      try checkFits(targets.type, at: site)
      let values = try cast(source, to: real.dtype).broadcast(to: targets.shape).contiguous()
      let copy = real.copiedForState()
      let size = real.dtype.byteCount
      let from = values.storage.base + values.layout.offset * size
      for (index, position) in targets.integers().enumerated() {
        (copy.storage.base + position * size).copyMemory(from: from + index * size, byteCount: size)
      }
      return TensorValue(copy, made: site)
    } catch { throw Failure.from(error, at: site) }
  }

  /// The same where nobody knows the elements.
  private func replaceElements(
    _ items: [IndexValue], ofAbstract tensor: TensorValue, with value: Value, at site: Site, base: Site
  ) throws(Failure) -> TensorValue {
    guard case .tensor(let selected) = try index(tensor, items, at: site, base: base) else { return tensor }
    let new = try tensorValue(value, at: site)
    guard new.shape.broadcast(with: selected.shape) == selected.shape else {
      throw Failure(
        "shape-mismatch", "a value of shape \(new.shape) does not fit the elements of shape \(selected.shape)",
        at: site, labels: [.init(site: base, text: describe(tensor, at: base))])
    }
    return TensorValue(abstract: tensor.type, made: site)
  }

  // MARK: Going through values

  func iterate(_ value: Value, at site: Site) throws(Failure) -> ValueIterator {
    switch value {
    case .list(let list): return ItemIterator(list.items)
    case .record(let record) where record.isTuple: return ItemIterator(record.items)
    case .range(let range): return ItemIterator((range.start..<range.end).lazy.map { Value.int($0) })
    case .string(let string):
      return ItemIterator(try string.text(at: site).lazy.map { Value.string(String($0)) })
    case .tensor(let tensor):
      try requireNumbers(tensor, at: site)
      let tensor = try usable(tensor, at: site)
      guard tensor.shape.rank > 0 else { break }
      var index = 0
      return ClosureIterator { () throws(Failure) -> Value? in
        guard index < tensor.shape[0] else { return nil }
        defer { index += 1 }
        return try self.index(.tensor(tensor), [.at(.int(index), site)], at: site, base: site)
      }
    case .object(let object):
      if let iterator = try object.makeIterator(self, at: site) { return iterator }
    case .model(let model):
      if let layers = model.definition.fieldIndex["layers"], case .list(let list) = model.fields[layers] {
        return ItemIterator(list.items)
      }
    default: break
    }
    throw Failure(
      "not-iterable", "cannot go through \(value.described)", at: site,
      help: {
        if case .int(let count) = value { return "use a range: `0..<\(count)`" }
        return nil
      }())
  }

  /// The parts that a tuple target binds.
  func unpack(_ value: Value, count: Int, at site: Site) throws(Failure) -> [Value] {
    let items: [Value]
    switch value {
    case .record(let record): items = record.items
    case .list(let list): items = list.items
    case .tensor(let tensor) where tensor.shape.rank > 0:
      var rows: [Value] = []
      let iterator = try iterate(value, at: site)
      while let row = try iterator.next() { rows.append(row) }
      items = rows
    default:
      throw Failure(
        "bad-unpack", "cannot take \(value.described) apart into \(count) names", at: site)
    }
    guard items.count == count else {
      throw Failure(
        "bad-unpack", "\(plural(count, "name")) for \(plural(items.count, "value"))", at: site)
    }
    return items
  }
}

final class ItemIterator<Items: Sequence>: ValueIterator where Items.Element == Value {
  private var iterator: Items.Iterator
  init(_ items: Items) { iterator = items.makeIterator() }
  override func next() throws(Failure) -> Value? { iterator.next() }
}

final class ClosureIterator: ValueIterator {
  private let body: () throws(Failure) -> Value?
  init(_ body: @escaping () throws(Failure) -> Value?) { self.body = body }
  override func next() throws(Failure) -> Value? { try body() }
}

extension Interpreter {
  /// Whether two host values are equal; tensors compare whole. In a step a traced number's answer becomes a guard.
  func areEqual(_ a: Value, _ b: Value, at site: Site) throws(Failure) -> Bool {
    var comparison = EqualityComparison(interpreter: self, site: site)
    return try comparison.areEqual(a, b)
  }
}

/// One comparison of two values. Parts that both share many times over are compared once.
private struct EqualityComparison {
  let interpreter: Interpreter
  let site: Site
  private var known: Set<Pair> = []

  private struct Pair: Hashable {
    let a: ObjectIdentifier
    let b: ObjectIdentifier
  }

  init(interpreter: Interpreter, site: Site) {
    self.interpreter = interpreter
    self.site = site
  }

  mutating func areEqual(_ a: Value, _ b: Value) throws(Failure) -> Bool {
    switch (a, b) {
    case (.none, .none): return true
    case (.bool(let a), .bool(let b)): return a == b
    case (.int(let a), .int(let b)): return a == b
    case (.double(let a), .double(let b)): return a == b
    case (.int(let a), .double(let b)): return Double(a) == b
    case (.double(let a), .int(let b)): return a == Double(b)
    case (.dtype(let a), .dtype(let b)): return a == b
    case (.string(let a), .string(let b)): return try a.text(at: site) == b.text(at: site)
    case (.range(let a), .range(let b)): return a.start == b.start && a.end == b.end
    case (.list(let a), .list(let b)):
      return try areEqual(a, a.depth, a.items, b, b.items)
    case (.record(let a), .record(let b)):
      if a.names != b.names { return false }
      return try areEqual(a, a.depth, a.items, b, b.items)
    default: return try areEqualLeaves(a, b)
    }
  }

  /// Compares the items of two lists or records.
  private mutating func areEqual(
    _ a: AnyObject, _ depth: Int, _ first: [Value], _ b: AnyObject, _ second: [Value]
  ) throws(Failure) -> Bool {
    if first.count != second.count { return false }
    // Had they been found different, the whole comparison would be over.
    if depth > 1, !known.insert(Pair(a: ObjectIdentifier(a), b: ObjectIdentifier(b))).inserted { return true }
    try interpreter.checkInterrupt(at: site)
    for index in first.indices where try !areEqual(first[index], second[index]) { return false }
    return true
  }

  private func areEqualLeaves(_ a: Value, _ b: Value) throws(Failure) -> Bool {
    if let first = a.numberDType, let second = b.numberDType {
      // One of them is traced: what the comparison gives now must stay so.
      guard (first == .bool) == (second == .bool) else { return false }
      let equal = try interpreter.apply(
        OpTable.byName[Equal.op]!, [a, b], Attributes(), [site, site], at: site, site)
      return try truth(of: equal, at: site)
    }
    if case .tensor(let a) = a, case .tensor(let b) = b {
      guard a.type == b.type, !a.isNumber, !b.isNumber else { return false }
      guard let x = a.tensor, let y = b.tensor else {
        if a.isAbstract { throw a.missing(at: site) }
        if b.isAbstract { throw b.missing(at: site) }
        throw Failure(
          "traced-value", "whether these tensors are equal is not known while the step is traced", at: site,
          help: "compare them with `all(a == b)`, and choose with `where`")
      }
      return x.dtype.isInteger ? x.integers() == y.integers() : x.doubles() == y.doubles()
    }
    guard let x = a.identity, let y = b.identity else { return false }
    return x === y
  }
}

extension Value {
  /// The dtype of a host number, traced, known or not; nil for anything else.
  var numberDType: DType? {
    switch self {
    case .int: .i64
    case .double: .f64
    case .bool: .bool
    case .tensor(let tensor): tensor.isNumber ? tensor.dtype : nil
    default: nil
    }
  }
}
