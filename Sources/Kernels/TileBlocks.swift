// Arithmetic on f32 as steps over blocks: as many floats as a few vector registers hold. A stretch of instructions
// takes one block all the way before the next, so what lies between two of them is in registers rather than in memory,
// rounded as it would be there.

/// What a step does to the block at hand, `x`, and another operand.
enum BlockOperation: UInt8 {
  case add, subtract, multiply, divide, minimum, maximum
  case copy, negate, abs, sign, relu, square, squareRoot, reciprocal, reciprocalRoot
  case exp, log, tanh, sigmoid, erf
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
  let whole = count / Block.count &* Block.count
  if whole > 0 {
    runBlocks(steps, places, from: 0, to: whole, load: { Block(from: $0) }, store: { $0.store(to: $1) })
  }
  if whole < count {
    let byteCount = 4 &* (count &- whole)
    runBlocks(
      steps, places, from: whole, to: count, load: { Block(from: $0, byteCount: byteCount) },
      store: { $0.store(to: $1, byteCount: byteCount) })
  }
}

@inline(__always)
private func runBlocks(
  _ steps: UnsafeBufferPointer<BlockStep>, _ places: UnsafePointer<UnsafeMutableRawPointer>, from: Int, to: Int,
  load: (UnsafeMutableRawPointer) -> Block, store: (Block, UnsafeMutableRawPointer) -> Void
) {
  var x = Block(0)
  var kept = x
  var position = from
  while position < to {
    let offset = position &* 4
    for step in steps {
      let place = places[Int(step.place)]
      @inline(__always)
      func number() -> Block { Block(place.load(as: Float.self)) }
      @inline(__always)
      func combine(_ function: (Block, Block) -> Block) { combine(function) { function($1, $0) } }
      /// - Parameter flipped: the function of its operands exchanged.
      @inline(__always)
      func combine(_ function: (Block, Block) -> Block, flipped: (Block, Block) -> Block) {
        switch step.operand {
        case .memory: x = function(x, load(place + offset))
        case .memoryFirst: x = flipped(x, load(place + offset))
        case .number: x = function(x, number())
        case .numberFirst: x = flipped(x, number())
        case .kept: x = function(x, kept)
        case .keptFirst: x = flipped(x, kept)
        case .same: x = function(x, x)
        }
      }
      switch step.operation {
      case .add: combine { $0 + $1 }
      case .subtract: combine { $0 - $1 }
      case .multiply: combine { $0 * $1 }
      case .divide: combine { $0 / $1 }
      // NaN stays, whichever side it is on; of equal ones, the second. That x alone is tested for NaN keeps the
      // compiler from testing the kept block before each step, whatever it does.
      case .minimum:
        combine { Block.map($0, $1) { x, y in x < y || x != x ? x : y } } flipped: {
          Block.map($0, $1) { x, y in x <= y || x != x ? x : y }
        }
      case .maximum:
        combine { Block.map($0, $1) { x, y in x > y || x != x ? x : y } } flipped: {
          Block.map($0, $1) { x, y in x >= y || x != x ? x : y }
        }
      case .copy: break
      case .negate: x = x.map { -$0 }
      case .abs: x = x.map { Swift.abs($0) }
      case .sign: x = x.map { $0 > 0 ? 1 : ($0 < 0 ? -1 : $0) }
      case .relu: x = x.map { $0 <= 0 ? 0 : $0 }
      case .square, .power: x = x * x
      case .squareRoot: x = x.map { $0.squareRoot() }
      case .reciprocal: x = Block(1) / x
      case .reciprocalRoot: x = Block(1) / x.map { $0.squareRoot() }
      case .exp: x = x.map(VectorMath.exp)
      case .log: x = x.map(VectorMath.log)
      case .tanh: x = x.map(VectorMath.tanh)
      case .sigmoid: x = x.map(VectorMath.sigmoid)
      case .erf: x = x.map(VectorMath.erf)
      case .roundToF16: x = x.map { Float(Float16($0)) }
      case .roundToBF16: x = x.map { Float(bitPattern: bfloat16InFloat($0)) }
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
    position &+= Block.count
  }
}
