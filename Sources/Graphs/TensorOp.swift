import Tensors

/// A primitive operation on tensors: all that the language, autodiff, passes, runtime, help and tests know of it.
///
/// No requirement has a default, so an op that forgets its gradient or its samples does not build.
/// Families (such as elementwise ops) supply what the family implies. Stored properties are the op's
/// attributes; equal ops on equal operands are the same node.
package protocol TensorOp: Hashable, Sendable {
  // Language

  /// The spelling in `.nn`, in printed graphs and in test names.
  static var name: String { get }
  /// A summary line, rules, and `>>>` examples with their outputs, which are run as tests.
  static var documentation: String { get }
  static var signature: Signature { get }
  /// Reads the attributes that a program gave. Operand types come along, to resolve axes.
  init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection)

  // Types

  /// The dtypes that the promoted operands may have.
  static var dtypes: DTypeSet { get }
  /// Returns the types of the results, or says why the operands do not fit.
  func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType]

  /// Which axes of operands each axis of the results follows.
  func axisMap(_ operands: [TensorType]) -> AxisMap

  // Meaning

  /// The definition: Float64, plain loops, written to be read.
  func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor]
  /// The fast path. Reads `operands`, writes every element of the (contiguous) `results`, allocates nothing.
  /// Operands lie as `traits.operands` takes them.
  func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault)
  /// The floating-point operations of `run`, as papers count them: a multiply-add is two, and so many for each element
  /// where elements are taken one by one. Moving bytes is none.
  func arithmetic(_ operands: [TensorType], _ results: [TensorType]) -> Double
  /// Bytes of scratch that each thread wants while `run` works on these, exactly. Tells by dtypes, shapes and
  /// strides; where tensors lie is not known yet.
  func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int
  /// Whether `run` throws for some data of these types. A step commits only after all ops that may.
  func mayRefuse(_ operands: [TensorType]) -> Bool

  // Transformations

  var gradient: Gradient { get }
  static var traits: OpTraits { get }

  // Evidence

  /// Small legal operands, each sample with a name.
  static var samples: [OpSample] { get }
  /// Illegal operands, each with a piece of the message that explains them.
  static var rejections: [OpSample.Rejected] { get }
}

/// An op that only looks at its operand's storage another way. It has no kernel.
package protocol ViewOp: TensorOp {
  /// Returns where the result's elements lie in the operand's storage, or nil where that is not
  /// expressible; the operand is then made contiguous first, and for contiguous operands an answer must exist.
  func layout(of operand: Layout) -> Layout?
}

extension ViewOp {
  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    throw KernelFault("internal: a view has no kernel")
  }
  package func arithmetic(_ operands: [TensorType], _ results: [TensorType]) -> Double { 0 }
  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { 0 }
  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }
}

extension TensorOp {
  /// So many operations for each element of the largest operand or result.
  package func perElement(_ count: Double, _ operands: [TensorType], _ results: [TensorType]) -> Double {
    count * Double((operands + results).map(\.elementCount).max() ?? 0)
  }
}

/// How an op takes part in reverse-mode differentiation.
package enum Gradient: Sendable {
  /// The rule maps the results' cotangents to one cotangent per operand (nil: no path), as further nodes.
  case pullback(@Sendable (GraphBuilder, Pullback) throws -> [GraphValue?])
  /// The result is locally constant, or not a float: nothing flows back, for the reason given.
  case zero(because: String)
}

/// What a gradient rule may read.
package struct Pullback {
  package let operands: [GraphValue]
  package let results: [GraphValue]
  /// One per result; nil where the loss does not depend on it. At least one is there.
  package let cotangents: [GraphValue?]

  package init(operands: [GraphValue], results: [GraphValue], cotangents: [GraphValue?]) {
    self.operands = operands
    self.results = results
    self.cotangents = cotangents
  }

  package var result: GraphValue { results[0] }
  /// The cotangent of the only result.
  package var cotangent: GraphValue { cotangents[0]! }
}

/// What passes, planner and interpreter ask of an op instead of naming it.
package struct OpTraits: Sendable {
  /// What mixed precision does with the op's operands.
  package enum Precision: Sendable { case low, f32, widest, asIs }
  /// What limits a kernel: nothing, for a view has none; memory that it streams through, so that running it again
  /// costs no more than keeping its result; memory it walks otherwise; arithmetic.
  package enum Cost: Sendable { case view, streaming, memoryBound, computeBound }
  package enum Fusion: Sendable { case elementwise, reduction, alone }
  package enum Effect: Sendable { case pure, random }
  /// How the interpreter brings operands to dtypes: all promoted to one; the same and integers made f32;
  /// all but operand 0, a condition, to one; or each left as it is, because operands differ in role
  /// (values and indices).
  package enum Promotion: Sendable { case unify, unifyFloating, unifyAfterCondition, asIs }
  /// How operands may lie; the executor copies first what lies otherwise.
  package enum Operands: Sendable {
    /// Anyhow: the kernel walks strides.
    case strided
    /// In matrices whose rows are contiguous and lie apart, as BLAS reads them.
    case rows
    case contiguous

    package func takes(_ layout: Layout) -> Bool {
      switch self {
      case .strided: return true
      case .contiguous: return layout.isContiguous
      case .rows:
        if layout.isContiguous { return true }
        let rank = layout.shape.rank
        if rank < 2 { return false }
        let (row, width) = (layout.strides[rank - 2], layout.shape[rank - 1])
        return (width == 1 || layout.strides[rank - 1] == 1)
          && (layout.shape[rank - 2] == 1 || row >= width && row <= Int(Int32.max))
      }
    }
  }

  package let precision: Precision
  package let cost: Cost
  package let fusion: Fusion
  package let effect: Effect
  package let promotion: Promotion
  package let operands: Operands
  /// Whether operands broadcast to one shape before the op sees them.
  package let broadcasts: Bool
  /// Whether the result may overwrite an operand of the same type that nobody reads later.
  package let inPlace: Bool

  package init(
    precision: Precision, cost: Cost, fusion: Fusion, effect: Effect, promotion: Promotion,
    operands: Operands, broadcasts: Bool, inPlace: Bool
  ) {
    self.precision = precision
    self.cost = cost
    self.fusion = fusion
    self.effect = effect
    self.promotion = promotion
    self.operands = operands
    self.broadcasts = broadcasts
    self.inPlace = inPlace
  }
}

/// Why an op cannot take these operands or attributes. The interpreter adds places and names.
package struct OpRejection: Error, Sendable {
  package var code: String
  /// Lower case, no full stop, names the values: `inner sizes differ, 128 and 64`.
  package var message: String
  /// Rules in words. `operand(0)` in them stands for how the program writes an operand.
  package var notes: [String]
  package var help: String?
  /// A shape that one operand could have had instead.
  package var fitting: Fitting?

  package struct Fitting: Sendable {
    package let operand: Int
    package let shape: Shape
    package init(operand: Int, _ shape: Shape) {
      self.operand = operand
      self.shape = shape
    }
  }

  package init(
    _ message: String, code: String = "shape-mismatch", notes: [String] = [], help: String? = nil,
    fitting: Fitting? = nil
  ) {
    self.code = code
    self.message = message
    self.notes = notes
    self.help = help
    self.fitting = fitting
  }

  /// A place in a note for the name of an operand.
  package static func operand(_ index: Int) -> String { "<operand \(index + 1)>" }
}

/// What a kernel found wrong with its data: an index out of range. The message stands alone.
package struct KernelFault: Error, Sendable {
  package let code: String
  package let message: String
  /// Which of the nodes that run as one met it.
  package var member = 0

  package init(_ message: String, code: String = "index-out-of-range") {
    self.code = code
    self.message = message
  }
}

/// An op that divides by a count, which for a piece of a batch must be that of the whole.
package protocol AveragingOp: TensorOp {
  /// Appends the same as a sum and a count that divides.
  func separate(_ builder: GraphBuilder, _ operands: [GraphValue]) throws -> [GraphValue]
}

/// An op that adds up 16-bit floats in f32 before it rounds, and can do without rounding.
package protocol WideSumsOp: TensorOp {
  /// The same op with sums as they are, in f32.
  var withoutRounding: any TensorOp { get }
}

/// An op of f32 that can read and write some tensors in 16 bits: it computes in f32 and rounds once, with the bits of
/// conversions before and behind it.
package protocol NarrowingOp: TensorOp {
  /// Whether the kernel walks strides of what it reads in 16 bits.
  static var narrowReading: OpTraits.Operands { get }
  func narrowTensors(_ operands: [TensorType]) -> NarrowTensors
}

/// What an op can read and write in 16 bits.
package struct NarrowTensors: Sendable {
  /// Places of operands and results, each of which may be in 16 bits or not.
  package let operands: [Int]
  package let results: [Int]
  /// Whether operands are only read in 16 bits if all of those are.
  package let isTogether: Bool

  package init(operands: [Int], results: [Int], isTogether: Bool = false) {
    self.operands = operands
    self.results = results
    self.isTogether = isTogether
  }
}

/// An op that refuses indices out of range, and nothing else. Two ops that check the same indices in the same way
/// refuse together, so that the second need not be waited for before something is committed.
package protocol IndexCheckingOp: TensorOp {
  /// Which operand holds indices, and what they must be; nil where the op may refuse for another reason too.
  func indexCheck(_ operands: [TensorType]) -> (operand: Int, allowed: AllowedIndices)?
}

/// The whole numbers that an op takes as indices.
package struct AllowedIndices: Hashable, Sendable {
  package let range: Range<Int>
  /// One number that is allowed besides.
  package let ignored: Int?

  package init(_ range: Range<Int>, ignored: Int? = nil) {
    self.range = range
    self.ignored = ignored
  }
}
