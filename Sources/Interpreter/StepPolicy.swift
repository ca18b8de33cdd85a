import Passes
import Support
import Tensors

/// How a step is run: what `with` says of it.
struct StepPolicy: Equatable {
  /// `checkpoint: none | every(k) | sqrt | selective | full`
  var checkpointing = Checkpointing.none
  /// `budget: 24MiB`, the most bytes that the step may take in all: then the checkpointing is chosen for each kind of
  /// arguments.
  var budget: Int?

  /// `accumulate: n`: the batch in n pieces.
  var pieceCount = 1
  /// `accumulate: auto`: the batch may be cut, so that the step keeps its budget; without one, so that it fits in memory.
  var choosesPieces = false
  /// `batch: "x"` or `batch: ["x", "y"]`: the arguments that are cut; nil for those as long as the first.
  var batch: [String]?

  /// `precision: bf16 | f16`: nil for f32.
  var precision: DType?

  /// `loss_scale: dynamic | number | none`; nil where nothing is said: f16 scales dynamically, all else does not.
  var lossScaling: LossScaling?
  /// The scaling that holds.
  var effectiveLossScaling: LossScaling { lossScaling ?? (precision == .f16 ? .dynamic : .none) }

  /// Whether plans are chosen by what they take.
  var isChoice: Bool { budget != nil || choosesPieces }
  /// The policy that plans are chosen for.
  var withoutChoice: StepPolicy {
    var policy = self
    (policy.budget, policy.choosesPieces) = (nil, false)
    return policy
  }

  /// Takes the value of `accumulate:`, a number or `auto`.
  mutating func accumulate(_ value: Value, at site: Site) throws(Failure) {
    (pieceCount, choosesPieces) = (1, false)
    if case .string(let word) = value, word.known == "auto" {
      choosesPieces = true
      return
    }
    let count = try hostInteger(value, "`accumulate`", at: site)
    guard count >= 1 else {
      throw Failure("bad-argument", "`accumulate` is the number of pieces, 1 or more, or `auto`, got \(count)", at: site)
    }
    pieceCount = count
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

  /// What the value of `budget:` stands for.
  static func budget(_ value: Value, at site: Site) throws(Failure) -> Int? {
    switch value {
    case .none: return nil
    case .int(let bytes) where bytes > 0: return bytes
    case .object(let object):
      if let fit = object as? FitReport { return fit.budget }
    default: break
    }
    throw Failure("bad-argument", "`budget` is a number of bytes such as 24MiB, got \(value.described)", at: site)
  }

  /// Refuses what contradicts itself.
  func check(at site: Site) throws(Failure) {
    if isChoice, checkpointing != .none {
      throw Failure(
        "bad-policy",
        "with \(budget != nil ? "a `budget`" : "`accumulate: auto`") the checkpointing is chosen for you, and this step names one too",
        at: site, help: "leave one of them out; `checkpoint: none` takes it back")
    }
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
      case .callable, .model: return .callable(CheckpointCall(call[0]))
      default:
        throw Failure(
          "bad-argument", "`checkpoint` takes a function or a model, got \(call[0].described)", at: call.sites[0])
      }
    },
  ]
}
