import Glibc
import Graphs
import Ops
import Passes
import Tensors
import Testing

/// What elementwise kernels promise beyond the contract: errors with places, results over their own operands,
/// roundings, and accuracy over all magnitudes.
@Suite struct ElementwiseTests {
  // MARK: Identity elements

  @Test(arguments: [DType.f32, .f64, .f16, .bf16, .i64])
  func identityElementsLeaveEveryBit(_ dtype: DType) throws {
    let ops: [any ElementwiseBinary] = [
      Add(), Subtract(), Multiply(), Divide(), FloorDivide(), Modulo(), Power(), Minimum(), Maximum(),
    ]
    let floats = [0, -0.0, 1, -1, 0.1, 3e-39, -65504, 1e30, .infinity, -.infinity, .nan]
    let numbers = dtype.isFloating ? floats : floats.map { $0.isFinite && $0.magnitude < 1e18 ? $0.rounded() : 7 }
    let x = Tensor(numbers, dtype: dtype, shape: [numbers.count])
    var found = 0
    for op in ops where type(of: op).dtypes.contains(dtype) {
      let (left, right) = type(of: op).identities
      for (identity, isLeft) in [(left, true), (right, false)] {
        guard let identity else { continue }
        let filled = Tensor([Double](repeating: identity, count: numbers.count), dtype: dtype, shape: x.shape)
        let result = try run(op, isLeft ? [filled, x] : [x, filled], poison: 0xAA)[0]
        #expect(bytes(result) == bytes(x), "\(type(of: op).name), \(identity)")
        found += 1
      }
    }
    #expect(found == (dtype.isFloating ? 4 : 3))
  }

  private func bytes(_ tensor: Tensor) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: tensor.storage.base, count: tensor.storage.byteCount))
  }

  // MARK: Whole numbers never wrap

  @Test(arguments: [
    IntegerFault(
      Add(), [[.max], [1]], .i64, "integer-overflow",
      "add(9223372036854775807, 1) does not fit i64, at index [0]"),
    IntegerFault(
      Add(), [[1, 2_147_483_647], [1, 1]], .i32, "integer-overflow",
      "add(2147483647, 1) does not fit i32, at index [1]"),
    IntegerFault(Add(), [[200], [100]], .u8, "integer-overflow", "add(200, 100) does not fit u8"),
    IntegerFault(Subtract(), [[.min], [1]], .i64, "integer-overflow", "does not fit i64"),
    IntegerFault(Subtract(), [[0], [1]], .u8, "integer-overflow", "subtract(0, 1) does not fit u8"),
    IntegerFault(
      Multiply(), [[1, 1 << 32], [1, 1 << 31]], .i64, "integer-overflow", "multiply(4294967296, 2147483648)"),
    IntegerFault(Multiply(), [[.min], [-1]], .i64, "integer-overflow", "multiply(-9223372036854775808, -1)"),
    IntegerFault(Multiply(), [[65536], [32768]], .i32, "integer-overflow", "does not fit i32"),
    IntegerFault(
      FloorDivide(), [[7, 7], [2, 0]], .i64, "division-by-zero",
      "floor_divide(7, 0) divides by zero, at index [1]"),
    IntegerFault(FloorDivide(), [[.min], [-1]], .i64, "integer-overflow", "does not fit i64"),
    IntegerFault(Modulo(), [[7], [0]], .i32, "division-by-zero", "mod(7, 0) divides by zero"),
    IntegerFault(Power(), [[2], [63]], .i64, "integer-overflow", "pow(2, 63) does not fit i64"),
    IntegerFault(Power(), [[2], [-1]], .i64, "bad-argument", "make the base a float"),
    IntegerFault(
      Negate(), [[.min]], .i64, "integer-overflow", "negate(-9223372036854775808) does not fit i64"),
    IntegerFault(Abs(), [[.min]], .i64, "integer-overflow", "does not fit i64"),
    IntegerFault(
      Cast(to: .u8), [[255, 256]], .i64, "integer-overflow", "cast(256) does not fit u8, at index [1]"),
  ])
  func wholeNumbersNeverWrap(_ test: IntegerFault) throws {
    let operands = test.operands.map { Tensor(integers: $0, dtype: test.dtype, shape: [$0.count]) }
    do {
      let results = try run(test.op, operands, poison: 0)
      Issue.record("the result is \(results[0].integers())")
    } catch let fault as KernelFault {
      #expect(fault.code == test.code)
      #expect(fault.message.contains(test.message), "\(fault.message)")
    }
  }

  @Test func wholeNumbersReachTheirLimits() throws {
    func result(_ op: any TensorOp, _ a: Int, _ b: Int) throws -> Int {
      let operands = [a, b].map { Tensor(integers: [$0], shape: [1]) }
      return try run(op, operands, poison: 0)[0].integers()[0]
    }
    #expect(try result(Add(), .max - 1, 1) == .max)
    #expect(try result(Multiply(), 1 << 31, 1 << 31) == 1 << 62)
    #expect(try result(Multiply(), .min, 1) == .min)
    #expect(try result(Power(), -2, 63) == .min)
    #expect(try result(Power(), 0, 0) == 1)
    #expect(try result(Modulo(), .min, -1) == 0)
    #expect(try result(FloorDivide(), -7, 2) == -4)
    #expect(try result(Modulo(), -7, 2) == 1)
  }

  @Test func faultsPointIntoLargeTensors() throws {
    var values = [Int](repeating: 1, count: 5000)
    values[4321] = .max
    let x = Tensor(integers: values, shape: [50, 100])
    let y = Tensor(integers: [1], shape: [1, 1])
    let ones = Tensor(storage: y.storage, dtype: .i64, layout: Layout(shape: x.shape, strides: [0, 0]))
    #expect {
      try run(Add(), [x, ones], poison: 0)
    } throws: { error in
      (error as? KernelFault)?.message.hasSuffix("at index [43, 21]") == true
    }
  }

  // MARK: Floors of quotients

  @Test func floorDivisionIsPythons() throws {
    let a = Tensor([1, -1, 7, -7, 1e10, 5], dtype: .f32, shape: [6])
    let b = Tensor([0.1, 0.1, -2, -2, 3, .infinity], dtype: .f32, shape: [6])
    #expect(
      try run(FloorDivide(), [a, b], poison: 0)[0].doubles()
        == [9, -10, -4, 3, 3_333_333_333, 0].map { Double(Float($0)) })
    let remainder = try run(Modulo(), [a, b], poison: 0)[0].doubles()
    #expect(remainder[2] == -1)
    #expect(remainder[3] == -1)
    #expect(remainder[5] == 5)
  }

  // MARK: Storage

  /// A result may be written over an operand of its type.
  @Test(arguments: [DType.f32, .f64, .i32, .i64])
  func resultsMayReplaceOperands(_ dtype: DType) throws {
    let values = (0..<3000).map { Double($0 % 97) }
    let x = Tensor(values, dtype: dtype, shape: [3000])
    let y = Tensor(values.reversed(), dtype: dtype, shape: [3000])
    let expected = try run(Add(), [x, y], poison: 0xFF)[0].doubles()
    try Add().run([x.view, y.view], into: [y.view])
    #expect(y.doubles() == expected)
    try Multiply().run([x.view, x.view], into: [x.view])
    #expect(x.doubles() == values.map { $0 * $0 })
  }

  /// Operands of many tiles, in every arrangement that is read in a way of its own.
  @Test(arguments: [DType.f32, .i32, .f64])
  func largeOperandsMayLieAnywhere(_ dtype: DType) throws {
    func check(_ x: Tensor) throws {
      let y = try run(Negate(), [x], poison: 0xFF)[0]
      #expect(y.doubles() == x.doubles().map { -$0 }, "\(x.type), strides \(x.layout.strides)")
    }
    for shape in [[70, 45], [3, 40, 50], [5, 2000], [2000, 5], [1500], [2, 3, 20, 30]] as [Shape] {
      let values = (0..<shape.elementCount).map { Double($0 + 1) }
      let tensor = Tensor(values, dtype: dtype, shape: shape)
      for arrangement in Arrangement.allCases { try check(arrangement.apply(to: tensor)) }
      for a in 0..<shape.rank {
        try check(flattened(tensor, along: a))
        for b in 0..<a {
          var layout = tensor.layout
          layout.shape.sizes.swapAt(a, b)
          layout.strides.swapAt(a, b)
          try check(Tensor(storage: tensor.storage, dtype: dtype, layout: layout))
          try check(flattened(flattened(tensor, along: a), along: b))
        }
      }
    }
  }

  @Test func castsRoundOnce() throws {
    // Half-way cases of the narrow type that a detour through f32 would round away.
    let doubles = [
      1 + 0x1p-11 + 0x1p-40, 1 + 0x1p-11 - 0x1p-40, 1 + 0x1p-11, 65_519.99, 65_520, 0x1p-25, 0x1.8p-25, .nan,
      -0.0, -1e300,
    ]
    let source = Tensor(doubles, dtype: .f64, shape: [doubles.count])
    for dtype in [DType.f16, .bf16, .f32] {
      let actual = try run(Cast(to: dtype), [source], poison: 0)[0]
      let expected = Tensor(doubles, dtype: dtype, shape: [doubles.count])
      #expect(actual.doubles().map(\.bitPattern) == expected.doubles().map(\.bitPattern), "\(dtype)")
    }
  }

  @Test func everySixteenBitFloatSurvives() throws {
    for dtype in [DType.f16, .bf16] {
      let all = Tensor(uninitialized: TensorType(dtype, [65536]))
      for bits in 0..<65536 {
        all.storage.base.storeBytes(of: UInt16(bits), toByteOffset: bits * 2, as: UInt16.self)
      }
      let wide = try run(Cast(to: .f32), [all], poison: 0)[0]
      let back = try run(Cast(to: dtype), [wide], poison: 0)[0]
      let (before, after) = (all.doubles(), back.doubles())
      for bits in 0..<65536 where before[bits].bitPattern != after[bits].bitPattern {
        if before[bits].isNaN && after[bits].isNaN { continue }
        Issue.record("\(dtype) \(before[bits]) becomes \(after[bits])")
        break
      }
    }
  }

  @Test func castsToWholeNumbersRefuseWhatDoesNotFit() {
    for value in [Double.nan, .infinity, -.infinity, 0x1p63] {
      #expect(throws: KernelFault.self, "\(value)") {
        try run(Cast(to: .i64), [Tensor([value], dtype: .f64, shape: [1])], poison: 0)
      }
    }
    #expect(throws: KernelFault.self) {
      try run(Cast(to: .u8), [Tensor([-1], dtype: .f32, shape: [1])], poison: 0)
    }
  }

  // MARK: Accuracy

  /// f32 functions against f64 on every 20,011th bit pattern: all magnitudes, subnormals, infinities and NaN.
  @Test(arguments: [
    Accuracy(Exp(), 1.0, Glibc.exp), Accuracy(Expm1(), 1.5, Glibc.expm1),
    Accuracy(Log(), 0.9, Glibc.log), Accuracy(Log1p(), 1.5, Glibc.log1p),
    Accuracy(Sqrt(), 0.51, Glibc.sqrt), Accuracy(Tanh(), 2.5, Glibc.tanh),
    Accuracy(Sigmoid(), 2.5) { 1 / (1 + Glibc.exp(-$0)) }, Accuracy(Erf(), 1.2, Glibc.erf),
    Accuracy(Sin(), 1.6, Glibc.sin), Accuracy(Cos(), 1.6, Glibc.cos), Accuracy(Atan(), 1.5, Glibc.atan),
  ])
  func elementaryFunctionsAreAccurate(_ test: Accuracy) throws {
    let inputs = stride(from: 0, through: UInt32.max, by: 20_011).map { Float(bitPattern: $0) }
    let x = Tensor(inputs.map { Double($0) }, dtype: .f32, shape: [inputs.count])
    let y = try run(test.op, [x], poison: 0xFF)[0].doubles()
    var (worst, place) = (0.0, Float(0))
    for (input, actual) in zip(inputs, y) {
      let error = unitsInLastPlace(Float(actual), from: test.definition(Double(input)))
      if error > worst { (worst, place) = (error, input) }
    }
    #expect(worst <= test.bound, "\(worst) ulp at \(place)")
  }

  @Test func powersAreAccurate() throws {
    var random = Random(seed: "powers")
    let special: [Double] = [
      0, -0.0, 1, -1, 2, 3, -3, 0.5, -0.5, .infinity, -.infinity, .nan, 1e-45, 3e38, 16_777_217,
    ]
    var (bases, exponents): ([Double], [Double]) = ([], [])
    for a in special {
      for b in special {
        bases.append(a)
        exponents.append(b)
      }
    }
    for _ in 0..<20_000 {
      bases.append(random.unit() * 10)
      exponents.append((random.unit() - 0.5) * 40)
    }
    let shape = Shape([bases.count])
    let (a, b) = (Tensor(bases, dtype: .f32, shape: shape), Tensor(exponents, dtype: .f32, shape: shape))
    let actual = try run(Power(), [a, b], poison: 0xFF)[0].doubles()
    for (index, (base, exponent)) in zip(a.doubles(), b.doubles()).enumerated() {
      let error = unitsInLastPlace(Float(actual[index]), from: Glibc.pow(base, exponent))
      if error > 0.51 { Issue.record("pow(\(base), \(exponent)) is \(actual[index]), off by \(error) ulp") }
    }
  }

  /// The shortcut for one exponent throughout and the general loop are the same function.
  @Test(arguments: [2, 3, 0.5] as [Double])
  func powerShortcutsChangeNothing(_ exponent: Double) throws {
    var random = Random(seed: "shortcuts")
    let bases = (0..<1000).map { _ in random.normal() * 3 } + [0, -0.0, .infinity, -.infinity, .nan]
    let x = Tensor(bases, dtype: .f32, shape: [bases.count])
    var exponents = [Double](repeating: exponent, count: bases.count)
    let same = try run(Power(), [x, Tensor(exponents, dtype: .f32, shape: x.shape)], poison: 0)[0]
    exponents[7] = 1.5
    let mixed = try run(Power(), [x, Tensor(exponents, dtype: .f32, shape: x.shape)], poison: 0)[0]
    for (index, pair) in zip(same.doubles(), mixed.doubles()).enumerated() where index != 7 {
      #expect(pair.0 == pair.1 || (pair.0.isNaN && pair.1.isNaN), "\(bases[index])")
    }
  }

  // MARK: Gradients at kinks and ties

  @Test func tiesShareTheDerivative() throws {
    let ops: [any TensorOp] = [Minimum(), Maximum()]
    for op in ops { #expect(try gradients(of: op, at: [[2], [2]]) == [[0.5], [0.5]]) }
    #expect(try gradients(of: Maximum(), at: [[1], [2]]) == [[0], [1]])
  }

  @Test func boundsOfClampBelongToTheOperand() throws {
    #expect(
      try gradients(of: Clamp(), at: [[1, 2, 0, 3], [1, 1, 1, 1], [2, 2, 2, 2]]) == [
        [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1],
      ])
  }

  @Test func derivativesOfPowersAtZeroAreFinite() throws {
    #expect(try gradients(of: Power(), at: [[0, 0, 0], [0, 1, 2]]) == [[0, 1, 0], [0, 0, 0]])
    #expect(try gradients(of: Abs(), at: [[0, -2]]) == [[0, -1]])
  }

  @Test(arguments: [0, 1, 2, 3, -1, 0.5] as [Double])
  func constantExponentsHaveTheSameDerivative(_ exponent: Double) throws {
    let builder = GraphBuilder()
    let x = builder.input(TensorType(.f64, [3]))
    let y = try builder.power(x, builder.number(exponent, like: x))
    let dy = builder.input(x.type)
    let dx = try pullBack(builder, from: [y], cotangents: [dy], to: [x])[0]!
    let inputs = [[0.5, 1, 2], [1, 1, 1]].map { ReferenceTensor(x.type, $0) }
    let values = try evaluateReference(builder.graph, inputs: inputs)[dx.id].values
    for (actual, base) in zip(values, [0.5, 1, 2]) {
      #expect((actual - exponent * Glibc.pow(base, exponent - 1)).magnitude < 1e-12)
    }
  }

  /// The derivatives of the sum of the results.
  private func gradients(of op: any TensorOp, at operands: [[Double]]) throws -> [[Double]] {
    let builder = GraphBuilder()
    let type = TensorType(.f64, [operands[0].count])
    let inputs = operands.map { _ in builder.input(type) }
    let result = try builder.append(op, inputs)[0]
    let one = try builder.number(1, like: result)
    let found = try pullBack(builder, from: [result], cotangents: [one], to: inputs)
    let values = try evaluateReference(
      builder.graph, inputs: operands.map { ReferenceTensor(type, $0) })
    return found.map { values[$0!.id].values }
  }
}

struct IntegerFault: Sendable, CustomTestStringConvertible {
  let op: any TensorOp
  let operands: [[Int]]
  let dtype: DType
  let code: String
  let message: String

  init(_ op: any TensorOp, _ operands: [[Int]], _ dtype: DType, _ code: String, _ message: String) {
    self.op = op
    self.operands = operands
    self.dtype = dtype
    self.code = code
    self.message = message
  }

  var testDescription: String { "\(type(of: op).name), \(dtype), \(operands)" }
}

struct Accuracy: Sendable, CustomTestStringConvertible {
  let op: any TensorOp
  let bound: Double
  let definition: @Sendable (Double) -> Double

  init(_ op: any TensorOp, _ bound: Double, _ definition: @escaping @Sendable (Double) -> Double) {
    self.op = op
    self.bound = bound
    self.definition = definition
  }

  var testDescription: String { "\(type(of: op).name) within \(bound) ulp" }
}

/// The distance of `actual` from the true value in spacings of f32 there; infinity where one is NaN,
/// overflows or has the other sign of zero.
private func unitsInLastPlace(_ actual: Float, from exact: Double) -> Double {
  if actual.isNaN || exact.isNaN { return actual.isNaN == exact.isNaN ? 0 : .infinity }
  let nearest = Float(exact)
  if nearest.isInfinite || actual.isInfinite { return nearest == actual ? 0 : .infinity }
  if nearest == 0 && actual == 0 { return nearest.sign == actual.sign ? 0 : .infinity }
  return (Double(actual) - exact).magnitude / Double(max(nearest.ulp, .leastNonzeroMagnitude))
}
