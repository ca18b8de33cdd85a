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

/// What `explain(step, arguments…)` gives: in which precision each kind of op of the forward pass runs, and why.
final class PrecisionTable: ObjectValue {
  private struct Row: Hashable {
    let op: String
    let precision: OpTraits.Precision
    let reads: String
    let gives: DType
  }
  private let heading: String
  /// Whether the step has no policy of precision.
  private let isPlain: Bool
  private var rows: [(row: Row, count: Int, place: String)] = []

  init(_ step: TracedStep.Recording, heading: String, precision: DType?) {
    self.heading = "\(heading)   precision: \(precision ?? .f32)"
    isPlain = precision == nil
    super.init()
    var places: [Row: Int] = [:]
    let graph = step.trace.builder.graph
    for (index, node) in graph.nodes.enumerated() where node.origin.phase == .forward && !node.isView {
      // Casts are what the table is about, and numbers of the program are no matter of precision.
      guard !(node.op is Cast), node.results.contains(where: { $0.dtype.isFloating && $0.shape.rank > 0 })
        || node.operands.contains(where: { $0.dtype.isFloating && $0.shape.rank > 0 })
      else { continue }
      // What was widened for a kernel was read in 16 bits, and what is rounded right away is given in 16 bits.
      var reads: [String] = []
      for dtype in node.operands.map({ original($0, graph) }) where dtype.isFloating && !reads.contains(dtype.name) {
        reads.append(dtype.name)
      }
      var gives = node.results[0].dtype
      if index + 1 < graph.nodes.count, let cast = graph.nodes[index + 1].op as? Cast,
        graph.nodes[index + 1].operands[0].id == node.results[0].id, cast.dtype == .bf16 || cast.dtype == .f16,
        type(of: node.op).traits.precision != .f32
      {
        gives = cast.dtype
      }
      let row = Row(
        op: type(of: node.op).name, precision: type(of: node.op).traits.precision,
        reads: reads.isEmpty ? "—" : reads.joined(separator: ", "), gives: gives)
      if let place = places[row] {
        rows[place].count += 1
      } else {
        places[row] = rows.count
        rows.append((row, 1, node.origin.site?.placeInFile ?? ""))
      }
    }
  }

  /// The dtype of a value before it was widened for a kernel.
  private func original(_ value: GraphValue, _ graph: Graph) -> DType {
    guard value.dtype == .f32, case .result(let index, _) = graph.definition(of: value), graph.nodes[index].op is Cast
    else { return value.dtype }
    return graph.nodes[index].operands[0].dtype
  }

  override var kind: String { "precision table" }

  private static let heads = ["op", "class", "reads", "gives", "times", "first at", "because"]

  private var cells: [[String]] {
    rows.map { row, count, place in
      let name: String =
        switch row.precision {
        case .low: "low"
        case .f32: "f32"
        case .widest: "widest"
        case .asIs: "as is"
        }
      return [row.op, name, row.reads, row.gives.name, "\(count)", place, PrecisionRule.reason(row.precision)]
    }
  }

  private var note: String? { isPlain ? "all in f32; `precision: bf16` or `f16` goes by the classes" : nil }

  override var summary: String {
    let lines = aligned([PrecisionTable.heads] + cells, gap: 2, toTheLeft: Set(PrecisionTable.heads.indices))
    return ([heading, ""] + (note.map { [$0, ""] } ?? []) + lines).joined(separator: "\n")
  }

  override var html: String? {
    var table = HTMLTable(heading, heads: PrecisionTable.heads, wordColumns: Set(PrecisionTable.heads.indices))
    for cells in cells { table.add(cells) }
    if let note { table.add(note: note) }
    return table.text
  }
}
