import CVectors

// Arithmetic on f32 as steps over blocks: as many floats as a few vector registers hold. A stretch of instructions
// takes one block all the way before the next, so what lies between two of them is in registers rather than in memory, rounded
// as it would be there.

/// What a step does to the block at hand, `x`, and another operand.
enum BlockOperation: UInt8 {
  case add, subtract, multiply, divide, minimum, maximum
  case copy, negate, abs, sign, relu, square, squareRoot, reciprocal, reciprocalRoot
  /// A power with the exponent 2 is `square`; others have no block.
  case power
  /// x as it would be stored in 16 bits.
  case roundToF16, roundToBF16
  /// x = operand.
  case load
  /// Puts x by as the block that is kept.
  case keep
  case store
}

struct BlockStep {
  /// Where the other operand is, and whether it is the first of the two.
  enum Operand: UInt8 {
    case memory, memoryFirst
    /// One number for all elements.
    case number, numberFirst
    /// The block that was put by.
    case kept, keptFirst
    /// x itself.
    case same
  }

  var operation: BlockOperation
  var operand: Operand
  /// Where the table of pointers says where the operand lies in memory, or the place to store to.
  let place: Int32

  /// Whether the operand is an argument of an instruction.
  var readsArgument: Bool {
    operation != .store && (operand == .memory || operand == .memoryFirst) || operation == .power
  }

  /// The operand turns out to be `number`.
  mutating func takeNumber(_ number: Float) {
    switch operand {
    case .memory: operand = .number
    case .memoryFirst: operand = .numberFirst
    default: break
    }
    if operation == .power && number == 2 { operation = .square }
  }
}

/// Runs steps over `count` elements.
/// - Parameter places: the table of pointers.
@inline(never)
func runBlocks(
  _ steps: UnsafeBufferPointer<BlockStep>, _ places: UnsafePointer<UnsafeMutableRawPointer>, count: Int
) {
  let whole = count / blockCount &* blockCount
  if whole > 0 {
    runBlocks(steps, places, from: 0, to: whole, load: { cvectors_load($0) }, store: { cvectors_store($0, $1) })
  }
  if whole < count {
    let rest = count &- whole
    runBlocks(
      steps, places, from: whole, to: count, load: { cvectors_load_part($0, rest) },
      store: { cvectors_store_part($0, $1, rest) })
  }
}

/// Elements of a block.
private let blockCount = Int(CVECTORS_COUNT)

@inline(__always)
private func runBlocks(
  _ steps: UnsafeBufferPointer<BlockStep>, _ places: UnsafePointer<UnsafeMutableRawPointer>, from: Int, to: Int,
  load: (UnsafeMutableRawPointer) -> cvectors_block, store: (cvectors_block, UnsafeMutableRawPointer) -> Void
) {
  var x = cvectors_number(0)
  var kept = x
  var position = from
  while position < to {
    let offset = position &* 4
    for step in steps {
      let place = places[Int(step.place)]
      @inline(__always)
      func number() -> cvectors_block { cvectors_number(place.load(as: Float.self)) }
      @inline(__always)
      func combine(_ function: (cvectors_block, cvectors_block) -> cvectors_block) {
        switch step.operand {
        case .memory: x = function(x, load(place + offset))
        case .memoryFirst: x = function(load(place + offset), x)
        case .number: x = function(x, number())
        case .numberFirst: x = function(number(), x)
        case .kept: x = function(x, kept)
        case .keptFirst: x = function(kept, x)
        case .same: x = function(x, x)
        }
      }
      switch step.operation {
      case .add: combine(cvectors_add)
      case .subtract: combine(cvectors_subtract)
      case .multiply: combine(cvectors_multiply)
      case .divide: combine(cvectors_divide)
      case .minimum: combine(cvectors_minimum)
      case .maximum: combine(cvectors_maximum)
      case .copy: break
      case .negate: x = cvectors_negate(x)
      case .abs: x = cvectors_abs(x)
      case .sign: x = cvectors_sign(x)
      case .relu: x = cvectors_relu(x)
      case .square, .power: x = cvectors_multiply(x, x)
      case .squareRoot: x = cvectors_sqrt(x)
      case .reciprocal: x = cvectors_divide(cvectors_number(1), x)
      case .reciprocalRoot: x = cvectors_divide(cvectors_number(1), cvectors_sqrt(x))
      case .roundToF16: x = cvectors_round_to_f16(x)
      case .roundToBF16: x = cvectors_round_to_bf16(x)
      case .load:
        switch step.operand {
        case .kept: x = kept
        case .number: x = number()
        default: x = load(place + offset)
        }
      case .keep: kept = x
      case .store: store(x, place + offset)
      }
    }
    position &+= blockCount
  }
}
