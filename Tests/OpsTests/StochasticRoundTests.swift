import Graphs
import Kernels
import Ops
import Tensors
import Testing

/// `stochastic_round` to the bit: the contract tests would let a neighbour pass.
@Suite struct StochasticRoundTests {
  private func key(_ words: [Int]) -> Tensor { Tensor(integers: words, shape: [words.count]) }

  private func rounded(_ x: Tensor, key words: [Int], ordinal: Int = 4) throws -> Tensor {
    try run(StochasticRound(ordinal: ordinal), [key(words), x], poison: 0xFF)[0]
  }

  /// Numbers of many sizes and both signs, subnormals of f32 and of bf16 among them.
  private func numbers(_ count: Int) -> Tensor {
    var random = Random(seed: "numbers")
    let values = (0..<count).map { index in
      random.normal() * Double(sign: .plus, exponent: index % 5 == 0 ? -130 - index % 19 : index % 40 - 20, significand: 1)
    }
    return Tensor(values, dtype: .f32, shape: [count])
  }

  /// The kernel takes 256 elements at a time, by bits; the definition each by itself, by arithmetic.
  @Test(arguments: [1, 255, 256, 257, 3001])
  func kernelIsTheDefinition(count: Int) throws {
    let x = numbers(count)
    let expected = try StochasticRound(ordinal: 4).reference([ReferenceTensor(key([7, 3])), ReferenceTensor(x)])[0]
    let result = try rounded(x, key: [7, 3])
    #expect(result.doubles() == expected.values)
  }

  /// A piece of a batch draws what the whole draws there, wherever it begins.
  @Test(arguments: [0, 1, 100, 256, 300, 1000])
  func piecesAreThoseOfTheWhole(first: Int) throws {
    let x = numbers(1500)
    let whole = try rounded(x, key: [7, 3]).doubles()
    let part = Tensor(Array(x.doubles()[first...]), dtype: .f32, shape: [1500 - first])
    #expect(try rounded(part, key: [7, 3, first]).doubles() == Array(whole[first...]))
  }

  /// Up or down by one place; each of seed, tick, ordinal and element counts.
  @Test func keysCount() throws {
    let x = numbers(4000)
    let draws = try [
      rounded(x, key: [7, 3]), rounded(x, key: [8, 3]), rounded(x, key: [7, 4]), rounded(x, key: [7, 3], ordinal: 5),
      rounded(x, key: [7, 3, 1]),
    ].map(RoundingTests.bits)
    for (index, draw) in draws.enumerated() {
      for other in draws[..<index] {
        let differing = zip(draw, other).count { $0 != $1 }
        #expect(differing > 500 && differing < 3000)
        #expect(zip(draw, other).allSatisfy { abs(Int($0) - Int($1)) <= 1 })
      }
    }
  }

  /// The share that is rounded up is the part of the last place that nearest rounding drops: over many draws, within
  /// five times what chance leaves.
  @Test(arguments: [1, 4096, 21845, 32768, 65535])
  func shares(part: Int) throws {
    let count = 1 << 20
    let x = Tensor(
      [Double](repeating: Double(Float(bitPattern: 0x3F80_0000 | UInt32(part))), count: count), dtype: .f32, shape: [count])
    let ups = try RoundingTests.bits(rounded(x, key: [1, 2])).count { $0 == 0x3F81 }
    let share = Double(part) / 65536
    let deviation = (Double(count) * share * (1 - share)).squareRoot()
    #expect(abs(Double(ups) - share * Double(count)) < 5 * deviation)
  }
}
