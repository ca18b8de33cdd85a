import Support
import Syntax
import Tensors

// What an abstract run compiles programs to. Everything that decides or repeats has a node of its own here; the rest is
// what runs use.

/// A statement. Where it fails or cannot be followed, what it assigns is unknown, and the next one goes on.
final class AbstractStatementNode: Node {
  private let inner: Node
  /// The variables that it assigns.
  private let targets: [AssignTarget]
  private let isTopLevel: Bool
  /// Whether no other statement is around it.
  private let isOutermost: Bool
  /// Whether it changes members of objects: if it is not gone through, nothing is certain any more.
  private let changesObjects: Bool
  private let run: AbstractRun

  init(
    _ inner: Node, targets: [AssignTarget], isTopLevel: Bool, isOutermost: Bool, changesObjects: Bool, _ run: AbstractRun,
    _ site: Site
  ) {
    self.inner = inner
    self.targets = targets
    self.isTopLevel = isTopLevel
    self.isOutermost = isOutermost
    self.changesObjects = changesObjects
    self.run = run
    super.init(site)
  }

  override func exec(_ frame: Frame) throws(Failure) -> Flow {
    try recovering(frame, with: .normal) { () throws(Failure) in try inner.exec(frame) }
  }

  override func eval(_ frame: Frame) throws(Failure) -> Value {
    try recovering(frame, with: .none) { () throws(Failure) in try inner.eval(frame) }
  }

  /// Runs the statement; where it fails and the program goes on, with `result` and nothing known of what it assigns.
  private func recovering<Result>(
    _ frame: Frame, with result: Result, _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    do throws(Failure) {
      if isOutermost { run.beginStatement() }
      try run.spend(at: site)
      return try body()
    } catch {
      if let failure = run.recovered(from: error, at: site, isTopLevel: isTopLevel, isOutermost: isOutermost) {
        throw failure
      }
      if changesObjects { run.loseCertainty() }
      forget(frame)
      return result
    }
  }

  private func forget(_ frame: Frame) {
    for target in targets { try? target.bind(UnknownValue.value, frame) }
  }

  func forgetGlobals() {
    for target in targets { (target as? GlobalTarget)?.forget() }
  }
}

/// A read of a variable or member: what is unknown ends the statement.
final class AbstractReadNode: Node {
  let inner: Node
  private let run: AbstractRun

  init(_ inner: Node, _ run: AbstractRun) {
    self.inner = inner
    self.run = run
    super.init(inner.site)
  }

  override func eval(_ frame: Frame) throws(Failure) -> Value {
    let value = try inner.eval(frame)
    if run.isUnknown(whole: value) {
      throw .unchecked("`\(site.text)` is not known without running", at: site)
    }
    run.noteMeaning(value, at: site)
    return value
  }
}

/// A binding, whose value is noted.
final class AbstractTarget: AssignTarget {
  private let inner: AssignTarget
  private let run: AbstractRun
  init(_ inner: AssignTarget, _ run: AbstractRun) {
    self.inner = inner
    self.run = run
    super.init(inner.site)
  }
  override func bind(_ value: Value, _ frame: Frame) throws(Failure) {
    run.noteMeaning(value, at: site)
    try inner.bind(value, frame)
  }
  override func take(_ frame: Frame) -> Value? { inner.take(frame) }
}

/// A call. A function of the program is gone through even if some of its arguments are unknown.
final class AbstractCallNode: Node {
  private let callee: Node
  private let arguments: [Node]
  private let labels: [String?]
  private let interpreter: Interpreter
  private let run: AbstractRun

  init(
    _ callee: Node, _ arguments: [Node], labels: [String?], _ interpreter: Interpreter, _ run: AbstractRun, _ site: Site
  ) {
    self.callee = callee
    self.arguments = arguments
    self.labels = labels
    self.interpreter = interpreter
    self.run = run
    super.init(site)
  }

  override func eval(_ frame: Frame) throws(Failure) -> Value {
    try run.spend(at: site)
    let target = try callee.eval(frame)
    var items: [Arguments.Argument] = []
    items.reserveCapacity(arguments.count)
    for (index, argument) in arguments.enumerated() {
      let value: Value
      do throws(Failure) {
        value = try argument.eval(frame)
      } catch {
        guard error.isUnchecked, takesUnknown(target) else { throw error }
        run.noteUnchecked(error, in: argument.site)
        value = UnknownValue.value
      }
      items.append(.init(label: labels[index], value: value, site: argument.site))
    }
    if let trace = interpreter.trace, !site.file.isLibrary { trace.userCall = site }
    return try interpreter.call(target, Arguments(items, at: site, callee: callee.site))
  }

  private func takesUnknown(_ target: Value) -> Bool {
    guard interpreter.trace?.isStep != true, case .callable(let callable) = target, callable.isFunction else { return false }
    let function = unsafeDowncast(callable, to: FunctionValue.self)
    return function.template.body.annotations == nil && function.ownGradient == nil
      && !function.template.declaration.site.file.isLibrary
  }
}

// MARK: Conditions

/// `if` whose condition may be unknown: then both sides are gone through.
final class AbstractConditionalNode: Node {
  private let condition: Node
  private let then: Node
  private let otherwise: Node?
  private let interpreter: Interpreter
  private let run: AbstractRun

  init(
    _ condition: Node, then: Node, otherwise: Node?, _ interpreter: Interpreter, _ run: AbstractRun, _ site: Site
  ) {
    self.condition = condition
    self.then = then
    self.otherwise = otherwise
    self.interpreter = interpreter
    self.run = run
    super.init(site)
  }

  override func eval(_ frame: Frame) throws(Failure) -> Value {
    var values: [Value] = []
    _ = try decide(frame) { side throws(Failure) in
      values.append(try side?.eval(frame) ?? .none)
      return .normal
    }
    guard var result = values.first else { return .none }
    for value in values.dropFirst() { result = run.joined(result, value) }
    if run.isUnknown(whole: result) { throw .unchecked("its two sides differ", at: site) }
    return result
  }

  override func exec(_ frame: Frame) throws(Failure) -> Flow {
    try decide(frame) { side throws(Failure) in try side?.exec(frame) ?? .normal }
  }

  private func decide(
    _ frame: Frame, _ body: (Node?) throws(Failure) -> Flow
  ) throws(Failure) -> Flow {
    guard let holds = try answer(frame) else { return try bothSides(frame, body) }
    return try body(holds ? then : otherwise)
  }

  /// nil where the condition is unknown.
  private func answer(_ frame: Frame) throws(Failure) -> Bool? {
    do throws(Failure) {
      return try condition.test(frame)
    } catch {
      guard error.isUnchecked, interpreter.trace?.isStep != true else { throw error }
      return nil
    }
  }

  /// Goes through both sides, and on with what is known after either.
  private func bothSides(
    _ frame: Frame, _ body: (Node?) throws(Failure) -> Flow
  ) throws(Failure) -> Flow {
    let witnesses = run.witnesses(of: condition, frame)
    let before = run.state(frame)
    var ends: [(flow: Flow, state: AbstractState, returned: Value)] = []
    for side in [true, false] {
      if let witnesses, witnesses[side] == nil { continue }
      run.restore(before)
      do throws(Failure) {
        let flow: Flow
        if let witness = witnesses?[side] {
          try witness.target.bind(.int(witness.number), frame)
          flow = try body(side ? then : otherwise)
          try witness.target.bind(AbstractRun.unknownInteger, frame)
        } else {
          flow = try run.inBranch { () throws(Failure) in try body(side ? then : otherwise) }
        }
        ends.append((flow, run.state(frame), interpreter.returned))
      } catch {
        switch error.kind {
        case .diagnostic where interpreter.trace == nil && !run.expectsErrors:
          run.note(error)
          run.mayEnd()
        case .exit: run.mayEnd()
        default: throw error
        }
      }
    }
    guard let first = ends.first else {
      // Whichever side: the program does not come out of it.
      throw .unchecked("nothing comes after this", at: site)
    }
    guard ends.count == 2 else {
      run.restore(first.state)
      interpreter.returned = first.returned
      return first.flow
    }
    if first.flow == ends[1].flow {
      run.restore(run.joined(first.state, ends[1].state))
      if first.flow == .returned { interpreter.returned = run.joined(first.returned, ends[1].returned) }
      return first.flow
    }
    // One side leaves; the other goes on.
    let (leaving, staying) = first.flow == .normal ? (ends[1], first) : (first, ends[1])
    run.restore(leaving.state)
    interpreter.returned = leaving.returned
    run.leave(leaving.flow, frame)
    run.restore(staying.state)
    interpreter.returned = staying.returned
    return staying.flow
  }
}

extension AbstractRun {
  static var unknownInteger: Value { unknownNumber(.i64) }

  /// Numbers of the loop around it for which a condition holds, and for which it does not; nil where that is not known.
  func witnesses(of condition: Node, _ frame: Frame) -> [Bool: (target: AssignTarget, number: Int)]? {
    for loop in generalLoops.reversed() where loop.frame == frame && loop.numbers.count <= 10_000 {
      defer { try? loop.target.bind(AbstractRun.unknownInteger, frame) }
      var found: [Bool: (target: AssignTarget, number: Int)] = [:]
      var isKnown = true
      for number in loop.numbers {
        do throws(Failure) {
          try spend(at: condition.site)
          try loop.target.bind(.int(number), frame)
          let side = try condition.test(frame)
          if found[side] == nil { found[side] = (loop.target, number) }
          if found.count == 2 { break }
        } catch {
          isKnown = false
          break
        }
      }
      if isKnown, !found.isEmpty { return found }
    }
    return nil
  }
}

// MARK: Loops

/// A loop over values: round after round as long as that is quick, then all other rounds together.
final class AbstractForNode: Node {
  private let target: AssignTarget
  private let iterable: Node
  private let body: Node
  /// Whether each round comes to each statement of the body, with the number that the round began with.
  private let isStraight: Bool
  private let interpreter: Interpreter
  private let run: AbstractRun

  init(
    _ target: AssignTarget, _ iterable: Node, _ body: Node, isStraight: Bool, _ interpreter: Interpreter,
    _ run: AbstractRun, _ site: Site
  ) {
    self.target = target
    self.iterable = iterable
    self.body = body
    self.isStraight = isStraight
    self.interpreter = interpreter
    self.run = run
    super.init(site)
  }

  override func exec(_ frame: Frame) throws(Failure) -> Flow {
    let values = try iterable.eval(frame)
    let rounds = try run.rounds(of: values, at: iterable.site)
    return try run.inLoop(frame) { () throws(Failure) in try go(rounds, frame) }
  }

  private func go(_ rounds: AbstractRounds, _ frame: Frame) throws(Failure) -> Flow {
    let start = run.work
    var count = 0
    while let item = try rounds.next() {
      let flow = try round(item, frame)
      if flow == .broken { return .normal }
      if flow == .returned { return .returned }
      count += 1
      if count >= 3, run.work - start > AbstractRun.patience, interpreter.trace?.isStep != true {
        break
      }
    }
    if let general = rounds.general {
      let numbers = isStraight ? rounds.numbers : nil
      if let numbers { run.generalLoops.append((target, frame, numbers)) }
      // The variable is no state that rounds hand on.
      try target.bind(general, frame)
      try run.untilStable(frame, at: site) { () throws(Failure) in try round(general, frame) }
      if numbers != nil { run.generalLoops.removeLast() }
    }
    for item in rounds.tail {
      let flow = try round(item, frame)
      if flow == .broken { return .normal }
      if flow == .returned { return .returned }
    }
    return .normal
  }

  private func round(_ item: Value, _ frame: Frame) throws(Failure) -> Flow {
    try run.spend(at: site)
    try target.bind(item, frame)
    let outer = run.beginRound()
    defer { run.endRound(outer) }
    let flow = try body.exec(frame)
    run.joinContinuations(frame)
    return flow
  }
}

final class AbstractWhileNode: Node {
  private let condition: Node
  private let body: Node
  private let interpreter: Interpreter
  private let run: AbstractRun

  init(_ condition: Node, _ body: Node, _ interpreter: Interpreter, _ run: AbstractRun, _ site: Site) {
    self.condition = condition
    self.body = body
    self.interpreter = interpreter
    self.run = run
    super.init(site)
  }

  override func exec(_ frame: Frame) throws(Failure) -> Flow {
    try run.inLoop(frame) { () throws(Failure) in try go(frame) }
  }

  private func go(_ frame: Frame) throws(Failure) -> Flow {
    let start = run.work
    var count = 0
    while let holds = try answer(frame) {
      if !holds { return .normal }
      try run.spend(at: site)
      switch try round(frame) {
      case .broken: return .normal
      case .returned: return .returned
      case .normal, .continued: break
      }
      count += 1
      if count >= 3, run.work - start > AbstractRun.patience, interpreter.trace?.isStep != true { break }
    }
    // Nobody knows how often it goes round from here, or whether it does.
    let flow = try run.inBranch { () throws(Failure) in
      try run.untilStable(frame, at: site) { () throws(Failure) in
        if try answer(frame) == false { return .broken }
        return try round(frame)
      }
    }
    return flow
  }

  private func round(_ frame: Frame) throws(Failure) -> Flow {
    let outer = run.beginRound()
    defer { run.endRound(outer) }
    let flow = try body.exec(frame)
    run.joinContinuations(frame)
    return flow
  }

  /// nil where the condition is unknown.
  private func answer(_ frame: Frame) throws(Failure) -> Bool? {
    do throws(Failure) {
      return try condition.test(frame)
    } catch {
      guard error.isUnchecked, interpreter.trace?.isStep != true else { throw error }
      return nil
    }
  }
}

extension AbstractRun {
  /// Runs rounds that stand for any number of them, until no more is forgotten.
  @discardableResult
  func untilStable(_ frame: Frame, at site: Site, _ round: () throws(Failure) -> Flow) throws(Failure) -> Flow {
    var known = state(frame)
    // What a round finds that goes on from less than all states is certain only if the last one finds it too.
    var tentative: [Finding] = []
    let outer = mayHaveEnded
    var ended = outer
    defer {
      noteAsUncertain(tentative)
      mayHaveEnded = mayHaveEnded || ended
    }
    for attempt in 0..<3 {
      let before = findings.count
      mayHaveEnded = outer
      switch try round() {
      case .returned: leave(.returned, frame)
      case .broken, .normal, .continued: break
      }
      let next = joined(known, state(frame))
      if areSame(known, next) {
        restore(next)
        return .normal
      }
      tentative += takeFindings(from: before)
      ended = ended || mayHaveEnded
      known = attempt < 2 ? next : widened(next, known)
      restore(known)
    }
    return .normal
  }

  /// Goes on from the end of a round and from wherever `continue` may have ended it.
  func joinContinuations(_ frame: Frame) {
    guard !loopContinuations.isEmpty else { return }
    var end = state(frame)
    for other in loopContinuations { end = joined(end, other) }
    loopContinuations = []
    restore(end)
  }

  /// The rounds of a loop over a value.
  func rounds(of value: Value, at site: Site) throws(Failure) -> AbstractRounds {
    switch value {
    case .range(let range):
      var next = range.start
      return AbstractRounds(general: AbstractRun.unknownInteger, numbers: range.start..<range.end) {
        guard next < range.end else { return nil }
        defer { next += 1 }
        return .int(next)
      }
    case .tensor(let tensor) where tensor.shape.rank > 0 && tensor.shape[0] > 4:
      let row = try interpreter.index(value, [.at(AbstractRun.unknownInteger, site)], at: site, base: site)
      return AbstractRounds(general: row, count: tensor.shape[0]) { row }
    case .object(let object):
      if let watched = object as? Watched { return try rounds(of: watched.values, at: site) }
      guard let batches = object as? Batches else { break }
      let (full, last) = batches.shapes(site: site)
      return AbstractRounds(general: full, count: batches.rows.count / batches.size, tail: last.map { [$0] } ?? []) { full }
    default: break
    }
    let iterator = try interpreter.iterate(value, at: site)
    var items: Value?
    if case .list(let list) = value, let first = list.items.first {
      let common = list.items.dropFirst().reduce(first) { joined($0, $1) }
      items = isUnknown(whole: common) ? nil : common
    }
    return AbstractRounds(general: items, iterator: iterator)
  }
}

/// What a loop goes through: some rounds one by one, the others in one.
final class AbstractRounds {
  private(set) var general: Value?
  /// The numbers that `general` stands for.
  let numbers: Range<Int>?
  private(set) var tail: [Value] = []
  private let produce: () throws(Failure) -> Value?
  private let isUniform: Bool

  /// - Parameter general: any of the values; nil where nothing is known of them.
  init(general: Value, numbers: Range<Int>, _ produce: @escaping () -> Value?) {
    self.general = general
    self.numbers = numbers
    isUniform = false
    self.produce = { () throws(Failure) in produce() }
  }

  /// Rounds that are all alike, and others behind them.
  init(general: Value, count: Int, tail: [Value] = [], _ produce: @escaping () -> Value) {
    isUniform = true
    var left = min(count, 2)
    self.general = count > 2 ? general : nil
    numbers = nil
    self.tail = tail
    self.produce = { () throws(Failure) in
      guard left > 0 else { return nil }
      left -= 1
      return produce()
    }
  }

  init(general: Value?, iterator: ValueIterator) {
    self.general = general ?? UnknownValue.value
    isUniform = false
    numbers = nil
    produce = { () throws(Failure) in try iterator.next() }
  }

  func next() throws(Failure) -> Value? {
    if let value = try produce() { return value }
    // All have been gone through one by one.
    if !isUniform { general = nil }
    return nil
  }
}
