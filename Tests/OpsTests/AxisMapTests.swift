import Graphs
import Kernels
import Ops
import Tensors
import Testing

/// What ops say of their axes: pieces of operands give pieces of results, and what adds up adds up.
@Suite struct AxisMapTests {
  @Test(arguments: OpCase.all)
  func piecesOfOperandsGivePiecesOfResults(_ test: OpCase) throws {
    let (op, operands, whole) = try prepared(test)
    let map = op.axisMap(operands.map(\.type))
    if type(of: op).traits.effect == .random { return }
    for axis in map.results.indices {
      guard let cut = map.cut(along: axis), let size = whole[0].shape.sizes.dropFirst(axis).first, size >= 2 else { continue }
      var parts: [[ReferenceTensor]] = []
      for rows in [0..<size / 2, size / 2..<size] {
        let pieces = zip(operands, cut).map { $1 == nil ? $0 : $0.rows(rows, along: $1!) }
        // Attributes that hold sizes are those of the whole.
        guard let piece = try? test.makeOp(pieces.map(\.type)), piece.axisMap(pieces.map(\.type)).attributes == map.attributes,
          let types = try? piece.resultTypes(of: pieces.map(\.type)), types[0].shape[axis] == rows.count
        else { break }
        parts.append(try piece.reference(pieces))
      }
      guard parts.count == 2 else { continue }
      for (index, result) in whole.enumerated() where result.shape.rank > axis && result.shape[axis] == size {
        expect(parts[0][index], result.rows(0..<size / 2, along: axis), "axis \(axis)")
        expect(parts[1][index], result.rows(size / 2..<size, along: axis), "axis \(axis)")
      }
    }
  }

  @Test(arguments: OpCase.all)
  func piecesAddUp(_ test: OpCase) throws {
    let (op, operands, whole) = try prepared(test)
    for axes in op.axisMap(operands.map(\.type)).sums {
      guard let first = axes.firstIndex(where: { $0 != nil }), operands[first].shape[axes[first]!] >= 2 else { continue }
      let size = operands[first].shape[axes[first]!]
      var total: [Double]?
      for rows in [0..<size / 2, size / 2..<size] {
        let pieces = zip(operands, axes).map { $1 == nil ? $0 : $0.rows(rows, along: $1!) }
        let part = try test.makeOp(pieces.map(\.type)).reference(pieces)[0].values
        total = total.map { zip($0, part).map { $0 + $1 } } ?? part
      }
      expect(ReferenceTensor(whole[0].type, total!), whole[0], "sum over \(axes)")
    }
  }

  @Test(arguments: OpCase.all.filter { $0.sample.isSmooth && ($0.dtype == .f64 || $0.dtype == .f32) })
  func sumsPassThrough(_ test: OpCase) throws {
    let (op, operands, whole) = try prepared(test)
    let other = operands.map { operand in
      ReferenceTensor(operand.type, operand.values.indices.map { operand.values[$0] * 0.5 + Double($0 % 3) })
    }
    func check(_ changed: [ReferenceTensor], _ sum: [ReferenceTensor]) throws {
      let second = try op.reference(changed)[0]
      let expected = ReferenceTensor(whole[0].type, zip(whole[0].values, second.values).map { $0 + $1 })
      expect(try op.reference(sum)[0], expected, "additivity")
    }
    func added(_ a: ReferenceTensor, _ b: ReferenceTensor) -> ReferenceTensor {
      ReferenceTensor(a.type, zip(a.values, b.values).map { $0 + $1 })
    }
    switch op.axisMap(operands.map(\.type)).additivity {
    case .none: break
    case .together: try check(other, zip(operands, other).map(added))
    case .each(let places):
      for place in places {
        var (changed, sum) = (operands, operands)
        changed[place] = other[place]
        sum[place] = added(operands[place], other[place])
        try check(changed, sum)
      }
    }
  }

  /// Numbers drawn for a piece are those of the whole, from its first element on.
  @Test func drawsBeginWhereAPieceBegins() throws {
    let ops: [(Shape) throws -> any TensorOp] = [
      { try Uniform(shape: $0, ordinal: 3) }, { try Normal(shape: $0, ordinal: 3) },
      { try RandomInteger(low: 0, high: 1000, shape: $0, ordinal: 3) },
    ]
    for make in ops {
      let whole = try run(make([7, 300]), [Tensor(integers: [5, 9], shape: [2])], poison: 0)[0].doubles()
      let piece = try run(make([4, 300]), [Tensor(integers: [5, 9, 900], shape: [3])], poison: 0)[0].doubles()
      #expect(Array(whole[900..<2100]) == piece)
      let expected = try make([4, 300]).reference([ReferenceTensor(Tensor(integers: [5, 9, 900], shape: [3]))])[0]
      #expect(zip(piece, expected.values).allSatisfy { abs($0 - $1) < 1e-5 })
    }
  }

  /// A sum and a count in the place of a mean.
  @Test(arguments: OpCase.smooth)
  func averagesAreSumsByCounts(_ test: OpCase) throws {
    let (op, operands, whole) = try prepared(test)
    guard let average = op as? any AveragingOp else { return }
    let builder = GraphBuilder()
    let inputs = operands.map { builder.input($0.type) }
    builder.graph.outputs = try average.separate(builder, inputs)
    let parts = try evaluateReference(builder.graph, inputs: operands)
    for (value, b) in zip(builder.graph.outputs, whole) { expect(parts[value.id], b, "in parts") }
  }

  private func prepared(_ test: OpCase) throws -> (any TensorOp, [ReferenceTensor], [ReferenceTensor]) {
    let operands = test.operands
    let op = try test.makeOp(operands.map(\.type))
    let given = operands.map { ReferenceTensor($0) }
    return (op, given, try op.reference(given))
  }

  private func expect(_ actual: ReferenceTensor, _ expected: ReferenceTensor, _ what: String) {
    #expect(actual.shape == expected.shape, "\(what)")
    let agree = zip(actual.values, expected.values).allSatisfy { a, b in
      a == b || (a.isNaN && b.isNaN) || abs(a - b) <= 1e-9 * max(1, abs(a), abs(b))
    }
    #expect(agree, "\(what): \(actual.values) instead of \(expected.values)")
  }
}

extension ReferenceTensor {
  /// A piece along an axis.
  fileprivate func rows(_ rows: Range<Int>, along axis: Int) -> ReferenceTensor {
    var shape = shape
    shape[axis] = rows.count
    var values: [Double] = []
    ReferenceTensor.forEachIndex(in: shape) { index in
      var source = index
      source[axis] += rows.lowerBound
      values.append(self[source])
    }
    return ReferenceTensor(TensorType(type.dtype, shape), values)
  }
}
