import Graphs
import Kernels
import Support
import Tensors

/// Times one run of a step, kernel by kernel.
package final class StepTimer: RunObserver {
  /// A kernel's run: which step of the plan, when it began, and how long it took, in seconds from the start of the run.
  package struct Event {
    package let step: Int
    package let start: Double
    package fileprivate(set) var seconds: Double
    /// What it was given to read and write.
    package let byteCount: Int
  }

  package private(set) var events: [Event] = []
  private let clock = ContinuousClock()
  private let start: ContinuousClock.Instant
  private var began: ContinuousClock.Instant

  /// The threads that share a kernel's work.
  package static var threadCount: Int { ThreadPool.threadCount }

  package init() {
    start = clock.now
    began = start
  }

  package let watchesRepetitions = true

  package func willRun(step: Int, reads: [TensorView], writes: [TensorView]) {
    let byteCount = (reads + writes).reduce(0) { $0 + $1.shape.reduce($1.dtype.byteCount, *) }
    began = clock.now
    events.append(Event(step: step, start: start.duration(to: began).inSeconds, seconds: 0, byteCount: byteCount))
  }

  package func didRun(step: Int) { events[events.count - 1].seconds = began.duration(to: clock.now).inSeconds }
}

/// What a kernel has to do, whatever machine it runs on.
package struct KernelWork {
  /// Floating-point operations.
  package let arithmetic: Double
  /// The least time for it by a table of costs.
  package let seconds: Double

  init(_ node: Graph.Node, _ costs: CostTable) {
    arithmetic = node.arithmetic
    seconds = costs.seconds(node) - costs.overhead
  }

  private init() { (arithmetic, seconds) = (0, 0) }
  /// Moving bytes.
  static let none = KernelWork()
}
