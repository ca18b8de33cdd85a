import Foundation
import Graphs
import Kernels
import Ops
import Tensors
import Testing

/// Conversions between floats against numpy and ml_dtypes, bit by bit, from `Tests/Reference/rounding.json`: every
/// pattern of 16 and 8 bits, and what lies halfway between any two neighbours and just beside.
@Suite struct RoundingTests {
  /// One conversion of many numbers; `scripts/reference/rounding.py` says which, and how results are summed up.
  struct Conversion: Decodable, Sendable, CustomTestStringConvertible {
    enum CodingKeys: String, CodingKey {
      case source = "from"
      case target = "to"
      case numbers, count, crc32, samples
    }
    let source: String
    let target: String
    let numbers: String
    let count: Int
    /// Of each 4096 results in a row.
    let crc32: [UInt32]
    /// Places with the bits there, of the number and of the result.
    let samples: [Sample]

    struct Sample: Decodable, Sendable {
      let place: Int
      let number: UInt64
      let result: UInt64

      init(from decoder: any Decoder) throws {
        var list = try decoder.unkeyedContainer()
        place = try list.decode(Int.self)
        number = UInt64(try list.decode(String.self), radix: 16)!
        result = UInt64(try list.decode(String.self), radix: 16)!
      }
    }

    var testDescription: String { "\(numbers) of \(source) to \(target)" }
    var from: DType { DType(name: source)! }
    var to: DType { DType(name: target)! }

    /// What is converted.
    func operand() -> Tensor {
      numbers == "all" ? RoundingTests.all(from) : RoundingTests.halves(between: to, in: from)
    }
  }

  private struct File: Decodable {
    let cases: [Conversion]
  }

  static let conversions: [Conversion] = {
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Reference/rounding.json")
    return try! JSONDecoder().decode(File.self, from: Data(contentsOf: path)).cases
  }()

  // MARK: Numbers

  /// A tensor of patterns.
  static func tensor(_ bits: [UInt64], _ dtype: DType) -> Tensor {
    let tensor = Tensor(uninitialized: TensorType(dtype, [bits.count]))
    for (index, pattern) in bits.enumerated() {
      withUnsafeBytes(of: pattern.littleEndian) {
        (tensor.storage.base + index * dtype.byteCount).copyMemory(from: $0.baseAddress!, byteCount: dtype.byteCount)
      }
    }
    return tensor
  }

  /// The patterns of a tensor.
  static func bits(_ tensor: Tensor) -> [UInt64] {
    let tensor = tensor.contiguous()
    let base = tensor.storage.base + tensor.layout.offset * tensor.dtype.byteCount
    return (0..<tensor.elementCount).map { index in
      var pattern: UInt64 = 0
      withUnsafeMutableBytes(of: &pattern) {
        $0.copyMemory(
          from: UnsafeRawBufferPointer(start: base + index * tensor.dtype.byteCount, count: tensor.dtype.byteCount))
      }
      return pattern
    }
  }

  static func all(_ dtype: DType) -> Tensor {
    tensor((0..<(UInt64(1) << (8 * UInt64(dtype.byteCount)))).map { $0 }, dtype)
  }

  /// The quiet NaN without a payload, and the first pattern that is not finite.
  private static func limits(_ dtype: DType) -> (nan: UInt64, end: UInt64) {
    switch dtype {
    case .f64: (0x7FF8 << 48, 0x7FF0 << 48)
    case .f32: (0x7FC0_0000, 0x7F80_0000)
    case .f16: (0x7E00, 0x7C00)
    case .bf16: (0x7FC0, 0x7F80)
    case .f8e4m3: (0x7F, 0x7F)
    case .f8e5m2: (0x7E, 0x7C)
    default: (0, 0)
    }
  }

  /// A finite number from its parts, by definition: sign, exponent, mantissa.
  private static func value(_ pattern: UInt64, _ dtype: DType) -> Double {
    let (exponentBits, mantissaBits): (Int, Int)
    switch dtype {
    case .f16: (exponentBits, mantissaBits) = (5, 10)
    case .bf16: (exponentBits, mantissaBits) = (8, 7)
    case .f8e4m3: (exponentBits, mantissaBits) = (4, 3)
    default: (exponentBits, mantissaBits) = (5, 2)
    }
    let bias = 1 << (exponentBits - 1) - 1
    let exponent = Int(pattern >> UInt64(mantissaBits))
    let mantissa = Double(pattern & (1 << UInt64(mantissaBits) - 1))
    let unit = Double(sign: .plus, exponent: max(exponent, 1) - bias - mantissaBits, significand: 1)
    return (mantissa + (exponent > 0 ? Double(1 << mantissaBits) : 0)) * unit
  }

  /// What lies halfway between neighbours, just below and just above; then the same below 0.
  static func halves(between target: DType, in source: DType) -> Tensor {
    var bits: [UInt64] = []
    let signBit = UInt64(1) << UInt64(8 * source.byteCount - 1)
    for pattern in 0..<limits(target).end {
      // Behind the largest number the pattern goes on as if exponents did.
      let middle = (value(pattern, target) + value(pattern + 1, target)) / 2
      let own = source == .f64 ? middle.bitPattern : UInt64(Float(middle).bitPattern)
      bits += [own, own - 1, own + 1, own | signBit, own - 1 | signBit, own + 1 | signBit]
    }
    return tensor(bits, source)
  }

  // MARK: Comparing

  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { sum, _ in sum & 1 == 1 ? sum >> 1 ^ 0xEDB8_8320 : sum >> 1 }
  }

  private func crc32(_ patterns: ArraySlice<UInt64>, byteCount: Int) -> UInt32 {
    var sum: UInt32 = 0xFFFF_FFFF
    for pattern in patterns {
      for byte in 0..<byteCount {
        sum = sum >> 8 ^ Self.table[Int((sum ^ UInt32(truncatingIfNeeded: pattern >> UInt64(8 * byte))) & 0xFF)]
      }
    }
    return ~sum
  }

  /// All NaNs as the quiet one of their sign.
  private func plain(_ pattern: UInt64, _ dtype: DType) -> UInt64 {
    let sign = UInt64(1) << UInt64(8 * dtype.byteCount - 1)
    let (nan, end) = Self.limits(dtype)
    let size = pattern & (sign - 1)
    return size > end || size == nan ? pattern & sign | nan : pattern
  }

  private func expect(_ result: Tensor, _ conversion: Conversion, _ way: String) {
    #expect(result.dtype == conversion.to && result.elementCount == conversion.count)
    let patterns = Self.bits(result).map { plain($0, conversion.to) }
    for sample in conversion.samples where patterns[sample.place] != sample.result {
      let (got, number) = (patterns[sample.place], sample.number)
      Issue.record(
        "\(way): \(String(number, radix: 16)) gives \(String(got, radix: 16)), expected \(String(sample.result, radix: 16))")
    }
    for (chunk, sum) in conversion.crc32.enumerated() {
      let range = chunk * 4096..<min((chunk + 1) * 4096, patterns.count)
      if crc32(patterns[range], byteCount: conversion.to.byteCount) != sum {
        Issue.record("\(way): results \(range) are not those of numpy and ml_dtypes")
      }
    }
  }

  // MARK: Tests

  @Test func numbersAreThoseOfTheReference() {
    #expect(Self.conversions.count == 28)
    for conversion in Self.conversions {
      let bits = Self.bits(conversion.operand())
      for sample in conversion.samples {
        #expect(plain(bits[sample.place], conversion.from) == sample.number, "\(conversion.testDescription), \(sample.place)")
      }
    }
  }

  /// The kernel of `cast`: elements in a row, and elements apart.
  @Test(arguments: conversions)
  func kernels(_ conversion: Conversion) throws {
    let operand = conversion.operand()
    let cast = Cast(to: conversion.to)
    expect(try run(cast, [operand], poison: 0xFF)[0], conversion, "in a row")
    expect(try run(cast, [Arrangement.spaced.apply(to: operand)], poison: 0xFF)[0], conversion, "apart")
  }

  /// Inside a fused chain a value of few bits stands in a register between two instructions.
  @Test(arguments: conversions)
  func fusedChains(_ conversion: Conversion) throws {
    let operand = conversion.operand()
    let (from, to) = (conversion.from, conversion.to)
    // There and on to f64, which holds every number of every other: the second instruction reads what the first made.
    let program = TileProgram(
      operandCount: 1,
      instructions: [
        .init(body: castTile(from: from, to: to), sources: [.operand(0)], dtype: to),
        .init(body: castTile(from: to, to: .f64), sources: [.instruction(0)], dtype: .f64),
      ], results: [1])
    let wide = Tensor(uninitialized: TensorType(.f64, operand.shape))
    try program.run([operand.view], into: [wide.view])
    expect(try run(Cast(to: to), [wide], poison: 0xFF)[0], conversion, "in a chain")
  }

  /// One number at a time: literals, printing, and what tests and the slow evaluator use.
  @Test(arguments: conversions)
  func numbersOneByOne(_ conversion: Conversion) {
    let operand = conversion.operand()
    expect(Tensor(operand.doubles(), dtype: conversion.to, shape: operand.shape), conversion, "one by one")
  }

  /// To a wider float and back nothing changes; NaN stays NaN of its sign.
  @Test(arguments: [DType.f16, .bf16, .f8e4m3, .f8e5m2], [DType.f32, .f64])
  func thereAndBack(narrow: DType, wide: DType) throws {
    let operand = Self.all(narrow)
    let there = try run(Cast(to: wide), [operand], poison: 0xFF)[0]
    let back = try run(Cast(to: narrow), [there], poison: 0xFF)[0]
    let pairs = zip(Self.bits(operand), Self.bits(back))
    #expect(pairs.allSatisfy { plain($0, narrow) == plain($1, narrow) })
    #expect(pairs.count { $0 == $1 } >= pairs.count { plain($0.0, narrow) == $0.0 })
  }
}
