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

/// With a setting of its own, whatever surrounds the call: with training on or off, as `net with training: off`, or in a
/// precision, as `(net.head with precision: f32)(x)`.
final class SettingCall<Setting>: ScopedCall {
  private let setting: ReferenceWritableKeyPath<Interpreter, Setting>
  private let value: Setting

  init(_ target: Value, _ setting: ReferenceWritableKeyPath<Interpreter, Setting>, _ value: Setting) {
    (self.setting, self.value) = (setting, value)
    super.init(target)
  }

  override func call(_ arguments: Arguments, _ interpreter: Interpreter) throws(Failure) -> Value {
    let outer = interpreter[keyPath: setting]
    interpreter[keyPath: setting] = value
    defer { interpreter[keyPath: setting] = outer }
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
