import CStack
import Execution
import Glibc
import Graphs
import Support
import Synchronization
import Syntax
import Tensors

/// The variables of the function being run, in consecutive slots.
typealias Frame = UnsafeMutablePointer<Value>

/// Where a program's words go. The notebook, the terminal and the tests each supply one.
package protocol Output: AnyObject {
  /// Text that the program prints, newlines included.
  func write(_ text: String)
  /// Warnings and notes; errors reach the caller of `run` instead.
  func report(_ diagnostic: Diagnostic)
  /// The value of a top-level expression, and the text that stands for it.
  ///
  /// - Parameter isLast: whether no statement of its program follows.
  func echo(_ value: Value, as text: String, isLast: Bool)
  /// How far a loop over `progress(…)` has come; ten times a second at most.
  func show(_ progress: Progress)
  /// Asks the person who runs the program for a line.
  func ask(_ prompt: String) -> Answer
}

/// What came of asking for a line.
package enum Answer: Equatable, Sendable {
  case line(String)
  /// There is nobody to ask.
  case nobody
  case interrupted
}

extension Output {
  package func echo(_ value: Value, as text: String, isLast: Bool) { write(text + "\n") }
  package func show(_ progress: Progress) {}
  package func ask(_ prompt: String) -> Answer { .nobody }
}

/// The state of one session: global variables, random counter, what is being traced, and the stack of frames.
///
/// Not thread safe: one thread runs one interpreter. `interrupt()` alone may be called from elsewhere.
package final class Interpreter {
  package var output: any Output

  // Globals live in one table for all modules: a module maps its names to slots.
  // Nodes hold on to the table, so it never moves; what is not used is not touched.
  static let globalCapacity = 1 << 22
  let globals: UnsafeMutablePointer<Value>
  var globalNames: [String] = []

  // Frames.
  static let stackCapacity = 1 << 21
  static let depthLimit = 10_000
  private let stack: UnsafeMutablePointer<Value>
  private var initializedTop: UnsafeMutablePointer<Value>
  private let stackEnd: UnsafeMutablePointer<Value>
  var top: UnsafeMutablePointer<Value>
  var depth = 0

  /// The value of the `return` under way.
  var returned: Value = .none

  // Tracing.
  /// What is being recorded: a step's trace, or `grad` outside a step.
  var trace: Trace?
  /// Whether reads of variables from outside must become inputs: in a step's trace.
  var isCapturing = false
  var traceSerial = 0
  /// How Dropout, BatchNorm and their kin act where no trace decides it.
  var mode: Mode = .evaluation
  /// The 16-bit dtype of the step being recorded, or of the call in it that has its own; nil for f32.
  var precision: DType?
  /// Whether a model's assignments to its buffers are passed over: in training mode outside a step.
  var freezesBuffers = false

  /// What planned times are computed from.
  var costs = CostTable.standard
  /// The rates of this machine, once they were measured; plans go by `costs`.
  private var measuredCosts: CostTable?
  func machineCosts() throws -> CostTable {
    if let measuredCosts { return measuredCosts }
    let costs = try CostTable.measured()
    measuredCosts = costs
    return costs
  }

  /// The step that trained last in the statement under way, and its number by the optimizer's count.
  var lastTraining: (step: String, number: Int)?

  // Random numbers.
  package var seed = 0
  package var tick = 0

  /// Grows when params are frozen or freed: plans traced before do not fit any more.
  var freezeEpoch = 0

  /// What `check` knows and finds; nil where programs run.
  package let abstract: AbstractRun?

  let evaluator = EagerEvaluator()
  /// Scratch memory of steps.
  let arena = Arena()

  /// The standard library's names.
  package private(set) var prelude: Module
  /// The user's names.
  package var main: Module
  /// What the last training step gave, and how many have given a number.
  private(set) var lastLoss: Tensor?
  private(set) var lossCount = 0

  func noteLoss(_ loss: Tensor) {
    lastLoss = loss
    lossCount &+= 1
  }

  /// Values for `input` from the command line.
  package var inputs: [String: String] = [:]
  /// Inputs that the program asked for.
  package var usedInputs: Set<String> = []
  /// Files being run by `use`, to find circles, and those done.
  var useStack: [(path: String, written: String)] = []
  var usedFiles: [String: UsedFile] = [:]
  /// Mistakes in the embedded library; a test asserts that there are none.
  package internal(set) var standardLibraryMistakes: [Diagnostic] = []
  /// Reads a program file for `use` and `:load`.
  package var readFile: (String) throws -> [UInt8] = readProgramFile
  /// Turns a path in a program of the given file into one that the system knows; nil: as it is.
  package var resolveDataPath: ((String, String) -> String)?

  /// - Parameter abstract: where given, programs are gone through without computing anything.
  package init(output: any Output, abstract: AbstractRun? = nil) {
    self.output = output
    self.abstract = abstract
    globals = .allocate(capacity: Interpreter.globalCapacity)
    stack = .allocate(capacity: Interpreter.stackCapacity)
    stackEnd = stack + Interpreter.stackCapacity
    initializedTop = stack
    top = stack
    stackLimit.initialize(to: 0)
    prelude = Module(name: "stdlib", parent: nil)
    main = Module(name: "main", parent: nil)
    defineBuiltins(in: prelude)
    loadStandardLibrary()
    main = Module(name: "main", parent: prelude)
    abstract?.begin(self)
  }

  deinit {
    globals.deinitialize(count: globalNames.count)
    globals.deallocate()
    stack.deinitialize(count: initializedTop - stack)
    stack.deallocate()
  }

  /// Forgets the user's names and starts again with seed 0.
  package func reset() {
    main = Module(name: "main", parent: prelude)
    seed = 0
    tick = 0
    usedFiles = [:]
  }

  /// Forgets what an earlier version of the program declared and did not come to: names without a value that are not in
  /// `names`, and used files that have not run.
  package func forgetUnreached(except names: Set<String>) {
    main.removeNames { name, slot in
      if case .unset = globals[slot] { !names.contains(name) } else { false }
    }
    usedFiles = usedFiles.filter { $0.value.hasRun }
  }

  /// The files that the program uses, by their paths in the system.
  package var usedPaths: [String] { usedFiles.keys.sorted() }

  /// Lets go of everything, so that nothing holds the interpreter any more: functions and the names that hold them do.
  package func dismantle() {
    for slot in 0..<globalNames.count { globals[slot] = .unset }
    (main, prelude) = (Module(name: "main", parent: nil), Module(name: "stdlib", parent: nil))
    usedFiles = [:]
    trace = nil
    abstract?.forget()
  }

  // MARK: Interrupts

  /// How often someone has asked to stop since the evaluation began.
  private static let interruptCount = Atomic<Int>(0)

  /// Asks the running evaluation to stop. Safe in a signal handler once this was called before.
  package static func interrupt() {
    interruptCount.add(1, ordering: .relaxed)
    EagerEvaluator.breakProducts(true)
    runningLimit?.pointee = .max
  }
  package static func clearInterrupt() {
    interruptCount.store(0, ordering: .relaxed)
    EagerEvaluator.breakProducts(false)
  }
  @inline(__always)
  package static var isInterrupted: Bool { interruptCount.load(ordering: .relaxed) > 0 }

  /// What a run of a step is asked to do between kernels: the first Ctrl-C leaves nothing half done, the second does
  /// not wait.
  static var stopRequest: StopRequest {
    switch interruptCount.load(ordering: .relaxed) {
    case 0: .none
    case 1: .soon
    default: .now
    }
  }

  @inline(__always)
  func checkInterrupt(at site: Site) throws(Failure) {
    if Interpreter.isInterrupted { throw Failure.interrupted(at: site) }
  }

  // MARK: The machine's stack

  /// The lowest address to which calls may bring the machine's stack. An interrupt puts it above every address, so
  /// that one comparison watches for both. Never freed: an interrupt may come late.
  private let stackLimit = UnsafeMutablePointer<UInt>.allocate(capacity: 1)
  /// That of the interpreter that runs.
  nonisolated(unsafe) private static var runningLimit: UnsafeMutablePointer<UInt>?
  /// The thread whose stack was measured last, and what came of it.
  private var measured: (thread: pthread_t, limit: UInt)?

  /// Measures the stack that a program is about to run on.
  func prepareStack() {
    let thread = pthread_self()
    if measured?.thread != thread {
      let stack = gradus_current_stack()
      // Kernels, errors and what the runtime does need room below the last call.
      measured = (thread, UInt(stack.base + min(stack.byte_count / 4, 1 << 20)))
    }
    stackLimit.pointee = Interpreter.isInterrupted ? .max : measured!.limit
    Interpreter.runningLimit = stackLimit
  }

  // MARK: Globals

  /// - Requires: the table has room.
  func makeGlobal(_ name: String) -> Int {
    let slot = globalNames.count
    globalNames.append(name)
    (globals + slot).initialize(to: .unset)
    return slot
  }

  /// The value of a name at the top level, the user's first.
  package func value(of name: String) -> Value? {
    guard let slot = main.slot(of: name) else { return nil }
    if case .unset = globals[slot] { return nil }
    return globals[slot]
  }

  package func define(_ name: String, _ value: Value, in module: Module) {
    let slot = module.ownSlot(of: name) ?? module.declare(name, slot: makeGlobal(name))
    globals[slot] = value
  }

  // MARK: Frames

  /// Reserves slots for a call; all of them are `.unset`.
  func push(_ count: Int, at site: Site) throws(Failure) -> Frame {
    guard let frame = push(count) else { throw stackFailure(at: site) }
    return frame
  }

  /// The same where every nanosecond counts: nil where calls are nested too deep.
  @inline(__always)
  func push(_ count: Int) -> Frame? {
    let frame = top
    let end = frame + count
    if end > initializedTop, !growStack(to: end) { return nil }
    if depth >= Interpreter.depthLimit { return nil }
    if gradus_stack_position() < stackLimit.pointee { return nil }
    top = end
    depth += 1
    return frame
  }

  /// Why a call could not be made.
  func stackFailure(at site: Site) -> Failure {
    if Interpreter.isInterrupted { return .interrupted(at: site) }
    // Its frames are larger than those of a run.
    if abstract != nil, depth < Interpreter.depthLimit { return .unchecked("calls are nested too deep to be followed", at: site) }
    return Failure(
      "recursion-too-deep", "calls are nested more than \(grouped(min(depth, Interpreter.depthLimit))) deep", at: site,
      help: "give the recursion a case that ends it, or use a loop")
  }

  @inline(__always)
  func pop(_ frame: Frame, _ count: Int) {
    for slot in frame..<(frame + count) {
      switch slot.pointee {
      // Numbers have nothing to release.
      case .int, .double, .bool: slot.initialize(to: .unset)
      default: slot.pointee = .unset
      }
    }
    top = frame
    depth -= 1
  }

  @inline(never)
  private func growStack(to end: UnsafeMutablePointer<Value>) -> Bool {
    guard end <= stackEnd else { return false }
    let target = min(end + 1024, stackEnd)
    initializedTop.initialize(repeating: .unset, count: target - initializedTop)
    initializedTop = target
    return true
  }
}

/// A file's names. User code sees its own, then the standard library's.
package final class Module {
  package let name: String
  package let parent: Module?
  private var slots: [String: Int] = [:]
  /// Declarations that are the only assignment of their name: calls to them are checked before the start.
  var declarations: [String: ParameterList] = [:]

  init(name: String, parent: Module?) {
    self.name = name
    self.parent = parent
  }

  package func ownSlot(of name: String) -> Int? { slots[name] }
  package func slot(of name: String) -> Int? { slots[name] ?? parent?.slot(of: name) }
  package var names: [String] { slots.keys.sorted() }
  /// All that can be named here, sorted.
  package var visibleNames: [String] {
    Set(slots.keys).union(parent?.visibleNames ?? []).sorted()
  }

  func removeNames(where isGone: (_ name: String, _ slot: Int) -> Bool) {
    slots = slots.filter { !isGone($0.key, $0.value) }
    declarations = declarations.filter { slots[$0.key] != nil }
  }

  @discardableResult
  func declare(_ name: String, slot: Int) -> Int {
    slots[name] = slot
    return slot
  }
}

/// How layers that behave differently in training act.
enum Mode {
  case training, evaluation
  /// In a step's trace: decided afterwards, by whether the value's gradient is taken.
  case undecided
}
