import Graphs
import Ops
import Passes
import Tensors
import Testing

/// What reductions, sorts and look-ups promise beyond the contract: trees that follow from the shape
/// alone, exact
/// whole numbers, derivatives at zeros.
@Suite struct ReductionTests {
  // MARK: Trees

  /// Shapes with several levels of the cascade, tails, more columns than lanes, and more than fits a tile.
  static let shapes: [(Shape, [Int])] = [
    ([300, 20], [0]), ([20, 300], [1]), ([100, 90], [0, 1]), ([5, 700], [0]), ([5000, 2], [0]),
    ([2, 9000], [1]), ([3, 600, 5], [1]), ([9, 4, 200], [0, 2]), ([9, 200, 4], [0, 2]),
    ([3, 5, 3, 130], [1, 3]), ([10_000], [0]), ([2, 1, 513], [2]),
  ]

  @Test(arguments: shapes)
  func bitsFollowFromTheShapeAlone(_ shape: Shape, _ axes: [Int]) throws {
    let x = wave(shape)
    let arranged = Arrangement.allCases.map { $0.apply(to: x) }
    let sums = try Sum(axes: axes, keep: false).reference([ReferenceTensor(x)])[0]
    for op: any TensorOp in [
      Sum(axes: axes, keep: false), Mean(axes: axes, keep: true), Variance(axes: axes, keep: false),
      LogSumExp(axes: axes, keep: false), Max(axes: axes, keep: false),
    ] {
      let plain = try run(op, [x], poison: 0xFF)[0]
      if op is Sum { #expect(difference(plain, from: sums) == nil) }
      for strided in arranged {
        let result = try run(op, [strided], poison: 0xFF)[0]
        let label = "\(type(of: op).name), strides \(strided.layout.strides)"
        #expect(result.doubles() == plain.doubles(), "\(label)")
      }
    }
  }

  /// A running sum in f32 stops growing at 2^24.
  @Test func roundingDoesNotPileUp() throws {
    let ones = full(1, [1 << 25])
    #expect(try run(Sum(axes: [0], keep: false), [ones], poison: 0)[0].scalar == 0x1p25)
    let tenths = full(0.1, [4096, 513])
    let sums = try run(Sum(axes: [0], keep: false), [tenths], poison: 0)[0].doubles()
    for sum in sums { #expect(abs(sum - 409.6) < 1e-4) }
  }

  @Test func theVarianceOfEqualElementsIsZero() throws {
    let x = full(0.1, [1000, 3])
    for axes in [[0], [1], [0, 1]] {
      let variances = try run(Variance(axes: axes, keep: false), [x], poison: 0xFF)[0].doubles()
      #expect(variances.allSatisfy { $0 == 0 })
    }
  }

  // MARK: Whole numbers

  @Test func sumsOverflowOnlyWhereTheyDoNotFit() throws {
    func sum(_ values: [Int]) throws -> Int {
      let x = Tensor(integers: values, shape: [values.count])
      return try run(Sum(axes: [0], keep: false), [x], poison: 0)[0].integers()[0]
    }
    #expect(try sum([.max, 1, -1]) == .max)
    #expect(try sum([.min, -1, 1]) == .min)
    #expect(throws: KernelFault.self) { try sum([.max, 1]) }
  }

  @Test func productsOverflowOnlyWhereTheyDoNotFit() throws {
    func product(_ values: [Int]) throws -> Int {
      let x = Tensor(integers: values, shape: [values.count])
      return try run(Product(axes: [0], keep: false), [x], poison: 0)[0].integers()[0]
    }
    #expect(try product([1 << 62, 4, 0, 3]) == 0)
    #expect(try product([1 << 62, 2, -1]) == .min)
    #expect(try product([.min, 1]) == .min)
    #expect(throws: KernelFault.self) { try product([.min, -1]) }
    #expect(throws: KernelFault.self) { try product([1 << 62, 2]) }
  }

  @Test func runningSumsAndScattersNeverWrap() throws {
    let x = Tensor(integers: [.max, 1], shape: [2])
    #expect(throws: KernelFault.self) { try run(Cumsum(axis: 0), [x], poison: 0) }
    let places = Tensor(integers: [0, 0], shape: [2])
    #expect(throws: KernelFault.self) { try run(ScatterAdd(axis: 0, size: 1), [places, x], poison: 0) }
    #expect(throws: KernelFault.self) {
      try run(ScatterAddAlong(axis: 0, size: 1), [places, x], poison: 0)
    }
    let small = Tensor(integers: [200, 100], dtype: .u8, shape: [2])
    #expect(try run(Sum(axes: [0], keep: false), [small], poison: 0)[0].integers() == [300])
    #expect(throws: KernelFault.self) {
      try run(ScatterAdd(axis: 0, size: 1), [places, small], poison: 0)
    }
  }

  // MARK: Places

  @Test func indicesThatNameNoPlaceAreNamed() throws {
    let x = wave([10, 2])
    for (index, axis, size) in [(12, 0, 10), (-11, 0, 10), (2, 1, 2)] {
      let indices = Tensor(integers: [0, index], shape: [2])
      let fault = #expect(throws: KernelFault.self) { try run(Gather(axis: axis), [x, indices], poison: 0) }
      #expect(fault?.message == "index \(index) is out of range for axis \(axis) of size \(size)")
      #expect(fault?.code == "index-out-of-range")
    }
  }

  @Test(arguments: [DType.f32, .i64])
  func sortsAreStable(_ dtype: DType) throws {
    let values = (0..<1000).map { (index: Int) in Double((index * 7919) % 101) }
    let x = Tensor(values, dtype: dtype, shape: [1000])
    for descending in [false, true] {
      let op = try Sort(
        Attributes([("axis", .int(0)), ("descending", .bool(descending))]), operands: [x.type])
      let results = try run(op, [x], poison: 0)
      let order = values.indices.sorted { a, b in
        if values[a] == values[b] { return a < b }
        return (values[a] < values[b]) != descending
      }
      #expect(results[1].integers() == order)
      #expect(results[0].doubles() == order.map { values[$0] })
    }
  }

  // MARK: Derivatives

  @Test func productsHaveDerivativesAtZeros() throws {
    let g = GraphBuilder()
    let x = g.input(TensorType(.f64, [3, 3]))
    let y = try g.emit(Product(axes: [1], keep: false), x)
    let dx = try pullBack(g, from: [y], cotangents: [g.number(1, like: y)], to: [x])[0]!
    let input = ReferenceTensor(x.type, [2, 3, 4, 2, 0, 4, 0, 0, 4])
    let values = try evaluateReference(g.graph, inputs: [input])[dx.id].values
    #expect(values == [12, 8, 6, 0, 8, 0, 0, 0, 0])
  }

  @Test func tiesShareTheDerivativeOfExtremes() throws {
    for op: any TensorOp in [Max(axes: [0], keep: false), Min(axes: [0], keep: false)] {
      let g = GraphBuilder()
      let x = g.input(TensorType(.f64, [4]))
      let y = try g.emit(op, x)
      let dx = try pullBack(g, from: [y], cotangents: [g.number(1, like: y)], to: [x])[0]!
      let input = ReferenceTensor(x.type, [5, 5, 5, 5])
      #expect(try evaluateReference(g.graph, inputs: [input])[dx.id].values == [0.25, 0.25, 0.25, 0.25])
    }
  }
}

/// Numbers of all sizes around zero, the same in every run.
func wave(_ shape: Shape, dtype: DType = .f32) -> Tensor {
  let values = (0..<shape.elementCount).map { (index: Int) -> Double in
    let step = (index * 7919 + 13) % 1999
    return Double(step - 999) / 512
  }
  return Tensor(values, dtype: dtype, shape: shape)
}

/// One value everywhere, stored once.
private func full(_ value: Double, _ shape: Shape) -> Tensor {
  let number = Tensor([value], dtype: .f32, shape: .scalar)
  let layout = Layout(shape: shape, strides: [Int](repeating: 0, count: shape.rank))
  return Tensor(storage: number.storage, dtype: .f32, layout: layout)
}
