/// Floats in a few vector registers, with arithmetic that rounds once an operation.
///
/// Two blocks and a third for what is being computed fit the registers. What Swift makes vector instructions of is
/// written with its vectors; the rest are loops over elements, which become vector instructions.
struct Block {
  #if GRADUS_WIDE_VECTORS
    typealias Part = SIMD16<Float>
    /// There are 32 registers.
    typealias Parts = Pair<Pair<Pair<Part>>>
  #else
    typealias Part = SIMD8<Float>
    typealias Parts = Pair<Pair<Part>>
  #endif
  static let count = MemoryLayout<Parts>.size / 4
  static let byteCount = 4 &* count

  private let parts: Parts

  @inline(__always)
  private init(_ parts: Parts) { self.parts = parts }

  /// The number everywhere.
  @inline(__always)
  init(_ number: Float) { parts = Parts(repeating: number) }

  @inline(__always)
  init(from memory: UnsafeRawPointer) { parts = Parts(from: memory) }

  @inline(__always)
  func store(to memory: UnsafeMutableRawPointer) { parts.store(to: memory) }

  @inline(__always)
  static func + (x: Block, y: Block) -> Block { Block(x.parts + y.parts) }
  @inline(__always)
  static func - (x: Block, y: Block) -> Block { Block(x.parts - y.parts) }
  @inline(__always)
  static func * (x: Block, y: Block) -> Block { Block(x.parts * y.parts) }
  @inline(__always)
  static func / (x: Block, y: Block) -> Block { Block(x.parts / y.parts) }

  /// A function of each element.
  @inline(__always)
  func map(_ function: (Float) -> Float) -> Block {
    var result = self
    withUnsafeMutableBytes(of: &result) { bytes in
      let elements = bytes.baseAddress!.assumingMemoryBound(to: Float.self)
      for index in 0..<Block.count { elements[index] = function(elements[index]) }
    }
    return result
  }

  /// A function of the elements of two blocks.
  @inline(__always)
  static func map(_ x: Block, _ y: Block, _ function: (Float, Float) -> Float) -> Block {
    var (result, second) = (x, y)
    withUnsafeMutableBytes(of: &result) { bytes in
      withUnsafeMutableBytes(of: &second) { others in
        let elements = bytes.baseAddress!.assumingMemoryBound(to: Float.self)
        let seconds = others.baseAddress!.assumingMemoryBound(to: Float.self)
        for index in 0..<Block.count { elements[index] = function(elements[index], seconds[index]) }
      }
    }
    return result
  }

  /// The first elements from memory; the others are 1, with which all that follows is harmless.
  @inline(__always)
  init(from memory: UnsafeRawPointer, byteCount: Int) {
    self.init(1)
    withUnsafeMutableBytes(of: &self) { $0.baseAddress!.copyMemory(from: memory, byteCount: byteCount) }
  }

  /// Stores the first elements.
  @inline(__always)
  func store(to memory: UnsafeMutableRawPointer, byteCount: Int) {
    withUnsafeBytes(of: self) { memory.copyMemory(from: $0.baseAddress!, byteCount: byteCount) }
  }
}

/// A vector of floats, or two of them.
protocol FloatVector {
  init(repeating number: Float)
  init(from memory: UnsafeRawPointer)
  func store(to memory: UnsafeMutableRawPointer)
  static func + (x: Self, y: Self) -> Self
  static func - (x: Self, y: Self) -> Self
  static func * (x: Self, y: Self) -> Self
  static func / (x: Self, y: Self) -> Self
}

extension Block.Part: FloatVector {
  @inline(__always)
  init(from memory: UnsafeRawPointer) { self = memory.loadUnaligned(as: Self.self) }
  @inline(__always)
  func store(to memory: UnsafeMutableRawPointer) { memory.storeBytes(of: self, as: Self.self) }
}

struct Pair<Half: FloatVector>: FloatVector {
  private let low, high: Half

  @inline(__always)
  private init(_ low: Half, _ high: Half) { (self.low, self.high) = (low, high) }
  @inline(__always)
  init(repeating number: Float) { self.init(Half(repeating: number), Half(repeating: number)) }
  @inline(__always)
  init(from memory: UnsafeRawPointer) {
    self.init(Half(from: memory), Half(from: memory + MemoryLayout<Half>.size))
  }
  @inline(__always)
  func store(to memory: UnsafeMutableRawPointer) {
    low.store(to: memory)
    high.store(to: memory + MemoryLayout<Half>.size)
  }
  @inline(__always)
  static func + (x: Pair, y: Pair) -> Pair { Pair(x.low + y.low, x.high + y.high) }
  @inline(__always)
  static func - (x: Pair, y: Pair) -> Pair { Pair(x.low - y.low, x.high - y.high) }
  @inline(__always)
  static func * (x: Pair, y: Pair) -> Pair { Pair(x.low * y.low, x.high * y.high) }
  @inline(__always)
  static func / (x: Pair, y: Pair) -> Pair { Pair(x.low / y.low, x.high / y.high) }
}
