import Support
import Tensors

/// A function or model to be called under circumstances of its own, whatever surrounds the call.
class ScopedCall: Callable {
  let target: Value

  init(_ target: Value) {
    self.target = target
    super.init()
  }

  override var name: String {
    switch target {
    case .callable(let callable): callable.name
    case .model(let model): model.definition.name
    default: ""
    }
  }
}

/// With training on or off: `net with training: off`.
final class ModeCall: ScopedCall {
  private let mode: Mode

  init(_ target: Value, _ mode: Mode) {
    self.mode = mode
    super.init(target)
  }

  override func call(_ arguments: Arguments, _ interpreter: Interpreter) throws(Failure) -> Value {
    let outer = interpreter.mode
    interpreter.mode = mode
    defer { interpreter.mode = outer }
    return try interpreter.call(target, arguments)
  }
}

/// In a precision of its own, whatever the step's: `(net.head with precision: f32)(x)`.
final class PrecisionCall: ScopedCall {
  /// nil for f32.
  private let precision: DType?

  init(_ target: Value, _ precision: DType?) {
    self.precision = precision
    super.init(target)
  }

  override func call(_ arguments: Arguments, _ interpreter: Interpreter) throws(Failure) -> Value {
    let outer = interpreter.precision
    interpreter.precision = precision
    defer { interpreter.precision = outer }
    return try interpreter.call(target, arguments)
  }
}

/// What `checkpoint(f)` gives: f, nothing of whose inside is kept for the backward pass.
final class CheckpointCall: ScopedCall {
  override var name: String { "checkpoint(\(super.name))" }

  override func call(_ arguments: Arguments, _ interpreter: Interpreter) throws(Failure) -> Value {
    guard let trace = interpreter.trace, trace.isRecording, trace.isStep else {
      return try interpreter.call(target, arguments)
    }
    let outer = trace.enterCheckpoint()
    defer { trace.leaveCheckpoint(outer) }
    return try interpreter.call(target, arguments)
  }
}
