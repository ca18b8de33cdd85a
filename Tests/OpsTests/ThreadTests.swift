import Graphs
import Kernels
import Ops
import Tensors
import Testing

/// Results do not depend on who computes them, and kernels take the scratch that their ops announced.
@Suite(.serialized) struct ThreadTests {
  private static let threadCounts = [1, 2, 4]

  @Test(arguments: OpCase.all)
  func scratchIsAnnounced(_ test: OpCase) throws {
    if test.op is any ViewOp.Type { return }
    for operands in arrangements(of: test.operands) { _ = try runMeasured(test, operands) }
  }

  /// Samples of the contract are too small to be shared, and must not depend on the count either way.
  @Test(arguments: OpCase.all + OpCase.large)
  func bitsDoNotDependOnThreads(_ test: OpCase) throws {
    if test.op is any ViewOp.Type { return }
    let before = ThreadPool.threadCount
    defer { ThreadPool.threadCount = before }
    for operands in arrangements(of: test.operands).prefix(2) {
      var first: [[UInt8]]?
      for count in ThreadTests.threadCounts {
        ThreadPool.threadCount = count
        let bytes = try runMeasured(test, operands).map(bytes(of:))
        if let first { #expect(first == bytes, "\(count) threads") } else { first = bytes }
      }
    }
  }

  @Test(arguments: OpCase.large)
  func partsMakeUpTheWhole(_ test: OpCase) throws {
    let operands = test.operands
    let expected = try test.makeOp(operands.map(\.type)).reference(operands.map { ReferenceTensor($0) })
    for operands in arrangements(of: operands).prefix(2) {
      for (a, e) in zip(try runMeasured(test, operands), expected) {
        if let problem = difference(a, from: e) { Issue.record("\(problem)") }
      }
    }
  }

  /// Products so large that they are cut into blocks, which the reference would take minutes for.
  @Test(arguments: [(1030, 517, 300), (130, 4096, 130), (2000, 90, 500)])
  func blocksMakeUpTheProduct(_ m: Int, _ k: Int, _ n: Int) throws {
    let (a, b) = (wave([m, k], dtype: .f64), wave([k, n], dtype: .f64))
    let (x, y) = (a.doubles(), b.doubles())
    var expected = [Double](repeating: 0, count: m * n)
    for row in 0..<m {
      for inner in 0..<k {
        let factor = x[row * k + inner]
        for column in 0..<n { expected[row * n + column] += factor * y[inner * n + column] }
      }
    }
    for operands in arrangements(of: [a, b]) {
      let product = try run(MatMul(), operands, poison: 0xFF)[0]
      let problem = difference(
        product, from: ReferenceTensor(TensorType(.f64, [m, n]), expected))
      #expect(problem == nil)
    }
  }

  /// Nested calls, and calls from several threads at a time.
  @Test func thePoolMayBeBusy() async {
    await withTaskGroup(of: Int.self) { group in
      for _ in 0..<8 {
        group.addTask {
          let hits = UnsafeMutablePointer<Int>.allocate(capacity: 1000)
          defer { hits.deallocate() }
          var wrong = 0
          for _ in 0..<200 {
            hits.update(repeating: 0, count: 1000)
            inParallel(parts: 10) { outer in
              inParallel(parts: 100) { inner in hits[outer * 100 + inner] += 1 }
            }
            for index in 0..<1000 where hits[index] != 1 { wrong += 1 }
          }
          return wrong
        }
      }
      for await wrong in group { #expect(wrong == 0) }
    }
  }

  @Test func threadCountsAreChecked() {
    #expect(ThreadPool.threadCount(in: "3") == 3)
    for text in ["0", "-1", "two", "", "1000"] { #expect(ThreadPool.threadCount(in: text) == nil) }
  }

  @Test func scratchBeyondWhatIsReservedIsCounted() throws {
    let large = wave([3, 70_000])
    Scratch.reserve(bytesPerThread: 1000)
    let reserved = Scratch.bytesPerThread
    Scratch.reserve(bytesPerThread: reserved + 1)
    #expect(Scratch.bytesPerThread == reserved + 64)
    Scratch.resetHighWater()
    #expect(Scratch.highWater == 0)
    _ = try run(Sum(axes: [0], keep: false), [large], poison: 0)
    #expect(Scratch.highWater > 0)
  }

  // MARK: Refusals

  /// No op throws that says it never does, and each that may is seen to.
  @Test(arguments: OpCase.all)
  func whoNeverRefusesTakesEverySample(_ test: OpCase) throws {
    let operands = test.operands
    let op = try test.makeOp(operands.map(\.type))
    if op is any ViewOp || op.mayRefuse(operands.map(\.type)) { return }
    _ = try run(op, operands, poison: 0)
  }

  static let refusals: [(op: any TensorOp, operands: [Tensor])] = {
    let big = Tensor(integers: [.max, .max], shape: [2])
    let small = Tensor(integers: [2, 0], shape: [2])
    let low = Tensor(integers: [.min, .min], shape: [2])
    let nan = Tensor([.nan, 1], dtype: .f32, shape: [2])
    let far = Tensor(integers: [7], shape: [1])
    let table = wave([3, 2])
    let none = Attributes()
    return [
      (Add(), [big, big]), (Subtract(), [low, big]), (Multiply(), [big, small]), (Negate(), [low]),
      (Abs(), [low]), (FloorDivide(), [big, small]), (Modulo(), [big, small]), (Power(), [big, small]),
      (Cast(to: .i64), [nan]), (Cast(to: .u8), [big]),
      (Sum(axes: [0], keep: false), [big]), (Product(axes: [0], keep: false), [big]),
      (MatMul(), [Tensor(integers: [.max, .max], shape: [1, 2]), Tensor(integers: [1, 1], shape: [2, 1])]),
      (Gather(axis: 0), [table, far]), (ScatterAdd(axis: 0, size: 3), [far, wave([1, 2])]),
      (CrossEntropy(CrossEntropyRule()), [wave([1, 2]), far]),
    ]
  }()

  @Test(arguments: refusals.indices)
  func whoRefusesHasSaidSo(_ index: Int) {
    let (op, operands) = ThreadTests.refusals[index]
    #expect(op.mayRefuse(operands.map(\.type)), "\(type(of: op).name)")
    #expect(throws: KernelFault.self, "\(type(of: op).name)") { try run(op, operands, poison: 0) }
  }

  @Test func whatCannotFailIsNotSaidTo() {
    #expect(!Add().mayRefuse([TensorType(.f32, [2]), TensorType(.f32, [2])]))
    #expect(!Sum(axes: [0], keep: false).mayRefuse([TensorType(.bool, [1000])]))
    #expect(!Sum(axes: [0], keep: false).mayRefuse([TensorType(.i32, [1000])]))
    #expect(!Cast(to: .i64).mayRefuse([TensorType(.i32, [2])]))
    #expect(!Minimum().mayRefuse([TensorType(.u8, [2]), TensorType(.u8, [2])]))
  }

  // MARK: Helpers

  /// The operands in a row, and in other ways.
  private func arrangements(of operands: [Tensor]) -> [[Tensor]] {
    [operands] + Arrangement.allCases.map { way in operands.map { way.apply(to: $0) } }
  }

  /// Runs a case and compares the scratch it took with what was announced.
  private func runMeasured(_ test: OpCase, _ operands: [Tensor]) throws -> [Tensor] {
    let op = try test.makeOp(operands.map(\.type))
    let types = try op.resultTypes(of: operands.map(\.type))
    let wanted = test.op.traits.operands
    let operands = operands.map { wanted.takes($0.layout) ? $0 : $0.contiguous() }
    let results = types.map { Tensor(uninitialized: $0) }
    let (views, targets) = (operands.map(\.view), results.map(\.view))
    let announced = op.scratchByteCount(views, targets)
    Scratch.resetHighWater()
    try op.run(views, into: targets)
    #expect(Scratch.highWater == announced)
    withExtendedLifetime(operands) {}
    return results
  }

  private func bytes(of tensor: Tensor) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: tensor.storage.base, count: tensor.type.byteCount))
  }
}
