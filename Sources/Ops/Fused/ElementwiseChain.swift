import Graphs
import Kernels
import Tensors

/// Elementwise nodes of one shape that run as one: what they are, and their program over tiles.
///
/// Compared by identity: nodes are fused after equal ones have been merged.
package final class ElementwiseChain: Hashable, Sendable {
  /// One of the nodes.
  package struct Member: Sendable {
    package let op: any ElementwiseOp
    package let sources: [TileProgram.Source]
    package let type: TensorType
    package let origin: Origin

    package init(
      op: any ElementwiseOp, sources: [TileProgram.Source], type: TensorType, origin: Origin
    ) {
      self.op = op
      self.sources = sources
      self.type = type
      self.origin = origin
    }
  }

  package let operandTypes: [TensorType]
  package let members: [Member]
  /// The member that makes each result.
  package let results: [Int]
  package let program: TileProgram

  package init(operandTypes: [TensorType], members: [Member], results: [Int]) {
    self.operandTypes = operandTypes
    self.members = members
    self.results = results
    program = TileProgram(
      operandCount: operandTypes.count,
      instructions: members.map { member in
        let dtypes = member.sources.map { source in
          switch source {
          case .operand(let operand): operandTypes[operand].dtype
          case .instruction(let earlier): members[earlier].type.dtype
          }
        }
        return TileProgram.Instruction(
          body: member.op.tile(for: dtypes), sources: member.sources, dtype: member.type.dtype,
          isCopy: member.op.copiesLanes(of: dtypes))
      }, results: results)
  }

  package static func == (a: ElementwiseChain, b: ElementwiseChain) -> Bool { a === b }
  package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }

  /// Whether any member may refuse what it is given.
  package var mayRefuse: Bool {
    members.contains { member in
      member.op.mayRefuse(
        member.sources.map { source in
          switch source {
          case .operand(let operand): operandTypes[operand]
          case .instruction(let earlier): members[earlier].type
          }
        })
    }
  }

  /// The floating-point operations of all members: one an element each.
  var arithmetic: Double { Double(members.count) * Double(members[0].type.elementCount) }

  var resultTypes: [TensorType] { results.map { members[$0].type } }

  /// The values of all members by their definitions.
  func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    var values: [ReferenceTensor] = []
    for member in members {
      let sources = member.sources.map { source in
        switch source {
        case .operand(let operand): operands[operand]
        case .instruction(let earlier): values[earlier]
        }
      }
      values.append(try member.op.reference(sources)[0])
    }
    return results.map { values[$0] }
  }

  /// What the member that failed would have said by itself.
  ///
  /// The numbers it met are found again from the operands at that place, member by member.
  func explain(_ failure: TileProgram.Fault, _ operands: [TensorView]) -> KernelFault {
    let shape = members[failure.instruction].type.shape
    let place = shape.index(at: failure.position)
    var values: [Tensor] = []
    func value(_ source: TileProgram.Source) -> Tensor {
      switch source {
      case .operand(let operand): operands[operand].element(at: place)
      case .instruction(let earlier): values[earlier]
      }
    }
    for member in members[..<failure.instruction] {
      let result = Tensor(uninitialized: TensorType(member.type.dtype, .scalar))
      let sources = member.sources.map(value)
      // Views do not keep what they look at.
      withExtendedLifetime((sources, result)) {
        try? member.op.run(sources.map(\.view), into: [result.view])
      }
      values.append(result)
    }
    let member = members[failure.instruction]
    var fault = type(of: member.op).explain(
      failure.fault, member.sources.map(value), member.type.dtype, at: place)
    fault.member = failure.instruction
    return fault
  }

  /// The name of the op that makes a result.
  func name(ofResult index: Int) -> String { type(of: members[results[index]].op).name }

  /// The names of the members in order.
  var summary: String { members.map { type(of: $0.op).name }.joined(separator: " ") }
}
