import Kernels
import Tensors
import Testing

/// Programs of f32 arithmetic, which run several instructions at a time, give the bits of their instructions one by one.
@Suite struct StretchTests {
  private static let functions: [(TileFunction, Int)] = [
    (.add, 2), (.subtract, 2), (.multiply, 2), (.divide, 2), (.minimum, 2), (.maximum, 2), (.power, 2), (.negate, 1),
    (.abs, 1), (.sign, 1), (.relu, 1), (.sqrt, 1), (.reciprocal, 1), (.rsqrt, 1), (.exp, 1), (.clamp, 3),
  ]
  private static let bodies = [(castTile(from: .f32, to: .f32), 1)] + functions.map { ($0[.single], $1) }

  @Test(arguments: 0..<400)
  func bitsAreThoseOfTheInstructions(_ seed: Int) throws {
    var random = Random(seed: "stretch \(seed)")
    let count = [1, 31, 32, 63, 64, 65, 129, 200, 1000, 1024, 2100].randomElement(using: &random)!
    let tensors = Int.random(in: 1...4, using: &random)
    let operands = (0..<tensors + 3).map { index in
      index < tensors ? Self.numbers(count, &random) : Self.number([2, 0.25, -3][index - tensors], count)
    }
    // Most often there are no others than those that run in blocks, and most often read is what was made last.
    let kinds = random.next() % 3 == 0 ? Self.bodies.count : Self.bodies.count - 2
    let dtypes: [DType] = seed % 2 == 0 ? [.f32] : [.f32, .f32, .bf16, .bf16, .f16, .f8e4m3]
    let instructions = (0..<Int.random(in: 2...20, using: &random)).map { index in
      let (body, arity) = Self.bodies[Int.random(in: 0..<kinds, using: &random)]
      let sources = (0..<arity).map { _ -> TileProgram.Source in
        if index > 0 && random.next() % 2 == 0 {
          return .instruction(max(0, index - Int.random(in: 1...3, using: &random)))
        }
        return .operand(Int.random(in: operands.indices, using: &random))
      }
      return TileProgram.Instruction(
        body: body, sources: sources, dtype: dtypes.randomElement(using: &random)!)
    }
    let some = (0..<3).map { _ in Int.random(in: instructions.indices, using: &random) }
    let results = Set(some + [instructions.count - 1]).sorted()

    var values: [Tensor] = []
    for instruction in instructions {
      let sources = instruction.sources.map { source in
        switch source {
        case .operand(let operand): operands[operand]
        case .instruction(let earlier): values[earlier]
        }
      }
      let value = Tensor(uninitialized: TensorType(instruction.dtype, [count]))
      let alone = TileProgram.Instruction(
        body: instruction.body, sources: sources.indices.map { .operand($0) }, dtype: instruction.dtype)
      try withExtendedLifetime((sources, value)) {
        try TileProgram(operandCount: sources.count, instructions: [alone], results: [0])
          .run(sources.map(\.view), into: [value.view])
      }
      values.append(value)
    }
    let program = TileProgram(operandCount: operands.count, instructions: instructions, results: results)
    let made = results.map { Tensor(uninitialized: TensorType(instructions[$0].dtype, [count])) }
    // The first result lies where the first operand does, as a parameter and its new value do.
    let inPlace = instructions[results[0]].dtype == .f32
    let places = made.indices.map { $0 == 0 && inPlace ? operands[0] : made[$0] }
    // Views do not keep what they look at.
    try withExtendedLifetime((operands, places)) { try program.run(operands.map(\.view), into: places.map(\.view)) }
    for (place, result) in zip(places, results) { #expect(Self.bits(place) == Self.bits(values[result]), "\(result)") }
  }

  /// Ordinary numbers, and those at the ends of what there is.
  private static func numbers(_ count: Int, _ random: inout Random) -> Tensor {
    let special: [Double] = [0, -0.0, .infinity, -.infinity, .nan, 0x1p-149, -0x1p-130, 0x1p127]
    return Tensor(
      (0..<count).map { _ in
        random.next() % 16 == 0 ? special.randomElement(using: &random)! : Double.random(in: -4...4, using: &random)
      }, dtype: .f32, shape: [count])
  }

  private static func number(_ value: Double, _ count: Int) -> Tensor {
    let one = Tensor([value], dtype: .f32, shape: [1])
    return Tensor(storage: one.storage, dtype: .f32, layout: Layout(shape: [count], strides: [0], offset: 0))
  }

  /// All NaN are one.
  private static func bits(_ tensor: Tensor) -> [UInt64] {
    tensor.doubles().map { $0.isNaN ? Double.nan.bitPattern : $0.bitPattern }
  }
}
