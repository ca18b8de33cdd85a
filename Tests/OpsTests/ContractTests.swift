import Graphs
import Ops
import Tensors
import Testing

/// What every op promises, tried on every op of the catalog: each of its samples in each of its dtypes.
@Suite struct ContractTests {
  @Test func casesAreMany() {
    print(
      "\(OpCatalog.all.count) ops, \(OpCase.all.count) cases of op x sample x dtype, \(OpCase.smooth.count) of them differentiated"
    )
    #expect(OpCase.all.count > OpCatalog.all.count)
  }

  @Test(arguments: OpCase.all)
  func kernelMatchesReference(_ test: OpCase) throws {
    let operands = test.operands
    let op = try test.makeOp(operands.map(\.type))
    let expected = try op.reference(operands.map { ReferenceTensor($0) })
    let actual = try run(op, operands, poison: 0xFF)
    #expect(try op.resultTypes(of: operands.map(\.type)) == actual.map(\.type))
    #expect(actual.count == expected.count)
    for (a, e) in zip(actual, expected) {
      if let problem = difference(a, from: e) { Issue.record("\(problem)") }
    }
  }

  /// What lay in the results' storage before shows nowhere.
  @Test(arguments: OpCase.all)
  func everyElementIsWritten(_ test: OpCase) throws {
    let operands = test.operands
    let op = try test.makeOp(operands.map(\.type))
    let first = try run(op, operands, poison: 0xFF)
    let second = try run(op, operands, poison: 0x5A)
    for (a, b) in zip(first, second) {
      #expect(bytes(of: a) == bytes(of: b))
    }
  }

  @Test(arguments: OpCase.all)
  func operandsMayBeStrided(_ test: OpCase) throws {
    let operands = test.operands
    let op = try test.makeOp(operands.map(\.type))
    let expected = try op.reference(operands.map { ReferenceTensor($0) })
    for arrangement in Arrangement.allCases {
      let actual = try run(op, operands.map { arrangement.apply(to: $0) }, poison: 0xFF)
      for (a, e) in zip(actual, expected) {
        if let problem = difference(a, from: e) { Issue.record("\(arrangement): \(problem)") }
      }
    }
  }

  /// Strides of 0 along each axis of each operand that shares its dtype with another case give what the same
  /// elements give in a row. The reference is no judge here: lines of equal elements make differences that
  /// cancel to nothing but rounding.
  @Test(arguments: OpCase.all)
  func operandsMayBeBroadcast(_ test: OpCase) throws {
    let operands = test.operands
    let op = try test.makeOp(operands.map(\.type))
    for (index, operand) in operands.enumerated() where test.sample.operands[index].dtype == nil {
      for axis in 0..<operand.shape.rank where operand.shape[axis] > 1 && !operand.dtype.isBlocked {
        var changed = operands
        changed[index] = flattened(operand, along: axis)
        let expected = try run(op, changed.map { $0.contiguous() }, poison: 0xFF)
        let actual = try run(op, changed, poison: 0xFF)
        for (a, e) in zip(actual, expected) where bytes(of: a) != bytes(of: e) {
          if let problem = difference(a, from: ReferenceTensor(e)) {
            Issue.record("operand \(index) along axis \(axis): \(problem)")
          }
        }
      }
    }
  }

  @Test(arguments: OpCatalog.all.map { NamedOp(op: $0) })
  func rejectionsExplain(_ named: NamedOp) {
    for rejected in named.op.rejections {
      do {
        let op = try makeOp(named.op, rejected.attributes, rejected.operands)
        let types = try op.resultTypes(of: rejected.operands)
        Issue.record("\(rejected.name) is accepted, with results \(types)")
      } catch let rejection as OpRejection {
        #expect(
          rejection.message.contains(rejected.message),
          "\(rejected.name): the message is \(rejection.message)")
        #expect(!rejection.message.hasSuffix("."), "\(rejected.name): the message ends in a stop")
      } catch {
        Issue.record("\(rejected.name) throws \(error)")
      }
    }
  }

  @Test(arguments: OpCatalog.all.map { NamedOp(op: $0) })
  func undeclaredDTypesAreRejected(_ named: NamedOp) throws {
    let op = named.op
    for dtype in DType.allCases where !op.dtypes.contains(dtype) {
      for sample in op.samples where sample.operands.contains(where: { $0.dtype == nil }) {
        let types = sample.operands.map { TensorType($0.dtype ?? dtype, $0.shape) }
        #expect(throws: OpRejection.self, "\(sample.name) in \(dtype)") {
          try makeOp(op, sample.attributes, types).resultTypes(of: types)
        }
      }
    }
  }

  @Test(arguments: OpCatalog.all.map { NamedOp(op: $0) })
  func evidenceIsThere(_ named: NamedOp) {
    let op = named.op
    let lines = op.documentation.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.first?.hasSuffix(".") == true, "the documentation opens with a sentence")
    #expect(lines.contains { $0.hasPrefix(">>> ") }, "the documentation has an example")
    #expect(!op.samples.isEmpty)
    #expect(Set(op.samples.map(\.name)).count == op.samples.count, "sample names repeat")
  }

  @Test func namesAreUnique() {
    #expect(Set(OpCatalog.all.map { $0.name }).count == OpCatalog.all.count)
  }

  private func bytes(of tensor: Tensor) -> [UInt8] {
    let tensor = tensor.contiguous()
    let start = tensor.storage.base + tensor.layout.offset * tensor.dtype.byteCount
    return Array(UnsafeRawBufferPointer(start: start, count: tensor.type.byteCount))
  }
}

struct NamedOp: Sendable, CustomTestStringConvertible {
  let op: any TensorOp.Type
  var testDescription: String { op.name }
}
