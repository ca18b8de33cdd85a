import Passes
import Support
import Tensors

/// How a step is run: what `with` says of it.
struct StepPolicy: Equatable {
  /// `checkpoint: none | every(k) | sqrt | selective | full`
  var checkpointing = Checkpointing.none

  /// `accumulate: n`: the batch in n pieces.
  var pieceCount = 1
  /// `batch: "x"` or `batch: ["x", "y"]`: the arguments that are cut; nil for those as long as the first.
  var batch: [String]?

  /// `precision: bf16 | f16`: nil for f32.
  var precision: DType?

  /// `loss_scale: dynamic | number | none`; nil where nothing is said: f16 scales dynamically, all else does not.
  var lossScaling: LossScaling?
  /// The scaling that holds.
  var effectiveLossScaling: LossScaling { lossScaling ?? (precision == .f16 ? .dynamic : .none) }

  static let names = ["training", "precision", "loss_scale", "checkpoint", "accumulate", "batch"]

  /// What the value of `accumulate:` stands for.
  static func pieceCount(_ value: Value, at site: Site) throws(Failure) -> Int {
    let count = try hostInteger(value, "`accumulate`", at: site)
    guard count >= 1 else {
      throw Failure("bad-argument", "`accumulate` is the number of pieces, 1 or more, got \(count)", at: site)
    }
    return count
  }

  /// What the value of `batch:` stands for: names of arguments of the step.
  static func batch(_ value: Value, of step: StepValue, at site: Site) throws(Failure) -> [String] {
    var names: [String] = []
    var items = [value]
    if case .list(let list) = value { items = list.items }
    for item in items {
      guard case .string(let string) = item, let name = string.known else {
        throw Failure(
          "bad-argument", "`batch` names arguments, as in `batch: \"x\"` or `batch: [\"x\", \"y\"]`, got \(value.described)",
          at: site)
      }
      guard step.parameterNames?.contains(name) ?? false else {
        throw Failure(
          "bad-argument", "the step `\(step.name)` has no argument `\(name)`", at: site,
          help: didYouMean(name, among: step.parameterNames ?? []).map { "did you mean `\($0)`?" })
      }
      names.append(name)
    }
    return names
  }

  /// What the value of `checkpoint:` stands for.
  static func checkpointing(_ value: Value, at site: Site) throws(Failure) -> Checkpointing {
    switch value {
    case .none: return .none
    case .object(let object):
      if let every = object as? EveryLayers { return .every(every.layers) }
    case .string(let word) where word.known == "selective": return .selective
    // Words that are functions elsewhere.
    case .callable(let callable) where callable.name == "sqrt": return .squareRoot
    case .callable(let callable) where callable.name == "full": return .full
    default: break
    }
    throw Failure(
      "bad-argument", "`checkpoint` is `none`, `every(k)`, `sqrt`, `selective` or `full`, got \(value.described)",
      at: site)
  }
}

/// `every(k)`, in `checkpoint: every(2)`.
final class EveryLayers: ObjectValue {
  let layers: Int
  init(_ layers: Int) { self.layers = layers }
  override var kind: String { "policy" }
  override var summary: String { "every(\(layers))" }
}

/// What `checkpoint(f)` gives: f, nothing of whose inside is kept for the backward pass.
final class CheckpointCall: Callable {
  let target: Value
  private let targetName: String

  init(_ target: Value, name: String) {
    self.target = target
    targetName = name
    super.init()
  }

  override var name: String { "checkpoint(\(targetName))" }

  override func call(_ arguments: Arguments, _ interpreter: Interpreter) throws(Failure) -> Value {
    guard let trace = interpreter.trace, trace.isRecording, trace.isStep else {
      return try interpreter.call(target, arguments)
    }
    let outer = trace.enterCheckpoint()
    defer { trace.leaveCheckpoint(outer) }
    return try interpreter.call(target, arguments)
  }
}

var policyBuiltins: [Builtin] {
  [
    Builtin(
      "every", "k",
      """
      A policy of steps: `train with checkpoint: every(2)` keeps what passes between every second layer and the next, and
      computes the rest of the forward pass once more when the backward pass gets there.

      >>> every(2)
      every(2)
      """
    ) { call throws(Failure) in
      let count = try call.int(0, "`k`")
      guard count >= 1 else {
        throw Failure("bad-argument", "`every` needs 1 or more, got \(count)", at: call.sites[0])
      }
      return .object(EveryLayers(count))
    },
    Builtin(
      "checkpoint", "f",
      """
      The function or model `f`, to be called in a step: what it computes inside is not kept for the backward pass, but
      computed once more there, with the same bits, random numbers included. Elsewhere it is `f` itself.

      >>> checkpoint(fn(x) = x^2)(3.0)
      9.0
      """
    ) { call throws(Failure) in
      switch call[0] {
      case .callable(let callable): return .callable(CheckpointCall(call[0], name: callable.name))
      case .model(let model): return .callable(CheckpointCall(call[0], name: model.definition.name))
      default:
        throw Failure(
          "bad-argument", "`checkpoint` takes a function or a model, got \(call[0].described)", at: call.sites[0])
      }
    },
  ]
}
