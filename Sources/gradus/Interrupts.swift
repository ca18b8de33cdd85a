import Glibc
import Interpreter
import Synchronization

/// Ctrl-C: stops the evaluation under way, and wakes the terminal where it waits for a line.
enum Interrupts {
  /// What Ctrl-C means now.
  enum Mode: Int, AtomicRepresentable {
    /// A program runs: stop it; at the second Ctrl-C, end the process at once.
    case script
    /// The terminal is open: stop what runs and come back.
    case session
  }

  private static let mode = Atomic<Mode>(.script)
  private static let count = Atomic<Int>(0)
  private static let wakeDescriptor = Atomic<Int32>(-1)

  /// Installs the handler. Everything that it touches is made first: a handler must not allocate.
  static func install(_ newMode: Mode) {
    mode.store(newMode, ordering: .relaxed)
    begin()
    install()
  }

  static func install() {
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { _ in Interrupts.handle() }
    // Without SA_RESTART, so that a wait for input ends.
    action.sa_flags = 0
    sigaction(SIGINT, &action, nil)
  }

  /// Forgets earlier interrupts; before each evaluation.
  static func begin() {
    count.store(0, ordering: .relaxed)
    Interpreter.clearInterrupt()
  }

  /// Lets Ctrl-C write to a pipe, which `poll` can wait for beside the keyboard.
  static func wake(through descriptor: Int32) {
    wakeDescriptor.store(descriptor, ordering: .relaxed)
  }

  private static func handle() {
    let savedError = errno
    Interpreter.interrupt()
    let earlier = count.add(1, ordering: .relaxed).oldValue
    if earlier > 0, mode.load(ordering: .relaxed) == .script { _exit(130) }
    let descriptor = wakeDescriptor.load(ordering: .relaxed)
    if descriptor >= 0 {
      var byte: UInt8 = 3
      _ = write(descriptor, &byte, 1)
    }
    errno = savedError
  }
}
