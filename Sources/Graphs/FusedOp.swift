/// An op that stands for several nodes of a graph, made by fusion. Programs cannot name it.
package protocol FusedOp: TensorOp {
  /// Where the node behind a result comes from.
  func origin(ofResult index: Int) -> Origin
  /// Where the node that a fault names comes from.
  func origin(of fault: KernelFault) -> Origin
  /// Whether a result may be written over an operand of as many bytes, element by element.
  func mayOverwrite(_ operand: Int, withResult result: Int) -> Bool
  /// The name of the op behind a result.
  func name(ofResult index: Int) -> String
  /// What it does, in the order in which it does it: `matmul add where`.
  var summary: String { get }
}

extension Graph.Node {
  /// The operands on which a result may lie, by value. `base` tells what each value looks at through views.
  package func overwritableOperands(_ base: [Int], byResult result: Int) -> [Int] {
    guard type(of: op).traits.inPlace else { return [] }
    let fused = op as? any FusedOp
    func isOverwritable(_ position: Int) -> Bool { fused?.mayOverwrite(position, withResult: result) ?? true }
    return operands.indices.filter { position in
      let value = operands[position].id
      // Read in another order as well, it must stay.
      return base[value] == value
        && operands.indices.allSatisfy {
          base[operands[$0].id] != value || (operands[$0].id == value && isOverwritable($0))
        }
    }.map { operands[$0].id }
  }
}
