import Graphs
import Ops
import Support
import Tensors

// Mixed precision
//
// Under `precision: bf16` or `f16` the forward pass of a step computes in 16 bits where that pays and in f32 where it would
// lose: each op's traits say which. Casts are recorded like all else, so the backward pass follows, parameters stay in f32
// (the master weights), and their working copies are casts that cost nothing to compute again.

/// What a step's `precision:` does to the operands of an op.
enum PrecisionRule {
  /// The dtypes that operands are brought to first, and how the op takes them.
  ///
  /// - Parameters:
  ///   - dtypes: those that operands would have without a policy.
  ///   - isFull: which operands have the shape of the result; smaller ones do not widen it.
  ///   - low: the policy's 16-bit dtype.
  static func apply(
    to op: any TensorOp.Type, _ dtypes: [DType], isNumber: [Bool], isFull: [Bool], own: [DType], low: DType
  ) -> (dtypes: [DType], widening: Widening) {
    switch op.traits.precision {
    case .low:
      let first = zip(dtypes, isNumber).map { $0 == .f32 && !$1 ? low : $0 }
      return (first, Widening(op, first))
    case .f32:
      let first = dtypes.map { $0 == .f16 || $0 == .bf16 ? DType.f32 : $0 }
      return (first, Widening(op, first))
    case .widest:
      guard op.traits.broadcasts else { break }
      var widest: DType?
      for index in own.indices where isFull[index] && !isNumber[index] && own[index].isFloating {
        widest = widest.map { $0.promoted(with: own[index]) } ?? own[index]
      }
      guard let widest, widest == .f16 || widest == .bf16, dtypes.contains(.f32) else { break }
      return (dtypes, Widening(of: dtypes, to: widest))
    case .asIs: break
    }
    return (dtypes, Widening(op, dtypes))
  }

  /// Why an op runs in what it runs in.
  static func reason(_ precision: OpTraits.Precision) -> String {
    switch precision {
    case .low: "its inputs are read in 16 bits, its sums are kept in f32"
    case .f32: "sums, powers and logarithms overflow or lose digits in 16 bits"
    case .widest: "follows its largest operand"
    case .asIs: "one operand, whose dtype it keeps"
    }
  }
}

/// A function or model that runs in a precision of its own, whatever the step's: `(net.head with precision: f32)(x)`.
final class PrecisionCall: Callable {
  let target: Value
  /// nil for f32.
  let precision: DType?

  init(_ target: Value, _ precision: DType?) {
    self.target = target
    self.precision = precision
    super.init()
  }

  override var name: String {
    switch target {
    case .callable(let callable): callable.name
    case .model(let model): model.definition.name
    default: ""
    }
  }

  override func call(_ arguments: Arguments, _ interpreter: Interpreter) throws(Failure) -> Value {
    let outer = interpreter.precision
    interpreter.precision = precision
    defer { interpreter.precision = outer }
    return try interpreter.call(target, arguments)
  }
}

extension Interpreter {
  /// The 16-bit dtype in which a step under a policy computes now; nil in f32.
  var lowPrecision: DType? {
    guard let precision, let trace, trace.isRecording, trace.isStep, trace.phase == .forward else { return nil }
    return precision
  }
}

extension StepPolicy {
  /// What the value of `precision:` stands for; nil for f32.
  static func precision(_ value: Value, at site: Site) throws(Failure) -> DType? {
    switch value {
    case .dtype(.f32): return nil
    case .dtype(let dtype) where dtype == .bf16 || dtype == .f16: return dtype
    default:
      throw Failure("bad-argument", "`precision` is `f32`, `bf16` or `f16`, got \(value.described)", at: site)
    }
  }
}
