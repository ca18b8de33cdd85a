/// Floats in a few vector registers, with arithmetic that rounds once an operation.
///
/// Two blocks and a third for what is being computed fit the registers. What Swift makes vector instructions of is
/// written with its vectors; the rest are loops over elements, which become vector instructions.
struct Block {
  #if GRADUS_WIDE_VECTORS
    typealias Part = SIMD16<Float>
  #else
    typealias Part = SIMD8<Float>
  #endif
  static let count = 4 &* Part.scalarCount
  static let byteCount = 4 &* count

  private let a, b, c, d: Part

  @inline(__always)
  private init(_ a: Part, _ b: Part, _ c: Part, _ d: Part) { (self.a, self.b, self.c, self.d) = (a, b, c, d) }

  /// The number everywhere.
  @inline(__always)
  init(_ number: Float) {
    let part = Part(repeating: number)
    self.init(part, part, part, part)
  }

  @inline(__always)
  init(from memory: UnsafeRawPointer) {
    let size = MemoryLayout<Part>.size
    self.init(
      memory.loadUnaligned(as: Part.self), memory.loadUnaligned(fromByteOffset: size, as: Part.self),
      memory.loadUnaligned(fromByteOffset: 2 &* size, as: Part.self),
      memory.loadUnaligned(fromByteOffset: 3 &* size, as: Part.self))
  }

  @inline(__always)
  func store(to memory: UnsafeMutableRawPointer) {
    let size = MemoryLayout<Part>.size
    memory.storeBytes(of: a, as: Part.self)
    memory.storeBytes(of: b, toByteOffset: size, as: Part.self)
    memory.storeBytes(of: c, toByteOffset: 2 &* size, as: Part.self)
    memory.storeBytes(of: d, toByteOffset: 3 &* size, as: Part.self)
  }

  @inline(__always)
  static func + (x: Block, y: Block) -> Block { Block(x.a + y.a, x.b + y.b, x.c + y.c, x.d + y.d) }
  @inline(__always)
  static func - (x: Block, y: Block) -> Block { Block(x.a - y.a, x.b - y.b, x.c - y.c, x.d - y.d) }
  @inline(__always)
  static func * (x: Block, y: Block) -> Block { Block(x.a * y.a, x.b * y.b, x.c * y.c, x.d * y.d) }
  @inline(__always)
  static func / (x: Block, y: Block) -> Block { Block(x.a / y.a, x.b / y.b, x.c / y.c, x.d / y.d) }

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
