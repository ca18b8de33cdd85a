import Support
import Tensors

/// A value of a graph: an input, a constant or a result of a node.
package struct GraphValue: Hashable, Sendable {
  /// Its place in `Graph.values`.
  package let id: Int
  package let type: TensorType

  package init(id: Int, type: TensorType) {
    self.id = id
    self.type = type
  }

  package var shape: Shape { type.shape }
  package var dtype: DType { type.dtype }
  package var rank: Int { type.shape.rank }
}

/// Where in a training step a node stands.
package enum Phase: String, Hashable, Sendable, CaseIterable {
  case forward, backward, update
}

/// Where a node comes from in the user's program.
package struct Origin: Sendable {
  package var site: Site?
  /// The model path that the node belongs to, such as `layers.3`.
  package var path: String
  package var phase: Phase
  /// The call of `checkpoint(f)` that made the node; 0 outside of any.
  package var checkpoint = 0
  /// Whether a layer that takes statistics of the batch made the node: where a batch is cut, each piece has its own.
  package var isBatchStatistic = false
  /// Whether a derivative that the program wrote made the node: it need not treat rows as the derivative of an op does.
  package var isWrittenDerivative = false
  /// Whether the node computes once more what one of the forward pass computes.
  package var isRebuilt = false

  package init(site: Site?, path: String = "", phase: Phase = .forward) {
    self.site = site
    self.path = path
    self.phase = phase
  }
}

/// A computation on tensors: nodes in an order in which each follows what it reads.
package struct Graph: Sendable {
  package enum Definition: Sendable {
    /// The n-th input.
    case input(Int)
    case constant(Tensor)
    /// The n-th result of a node.
    case result(node: Int, index: Int)
  }

  package struct Node: Sendable {
    package let op: any TensorOp
    package var operands: [GraphValue]
    package var results: [GraphValue]
    package var origin: Origin

    package init(op: any TensorOp, operands: [GraphValue], results: [GraphValue], origin: Origin) {
      self.op = op
      self.operands = operands
      self.results = results
      self.origin = origin
    }

    /// Whether the node only looks at its first operand another way, and so has no kernel.
    package var isView: Bool { op is any ViewOp }
  }

  /// Something that a run does besides computing, in program order.
  package struct Effect: Sendable {
    package enum Kind: Sendable {
      /// Fails the run, before anything is committed, unless the value is true everywhere.
      case assertion(GraphValue)
      /// Hands values to the interpreter, which prints them; `slot` tells it which print this is.
      case report([GraphValue], slot: Int)
    }
    package var kind: Kind
    package let origin: Origin
    package init(kind: Kind, origin: Origin) {
      self.kind = kind
      self.origin = origin
    }
  }

  /// The new value of an input at the commit point: a parameter, a buffer, optimizer state.
  package struct Write: Sendable {
    package let input: Int
    package var value: GraphValue
    /// Whether the node that makes the value writes it over the input's old one: set by scheduling, where all
    /// other readers of the old value come first.
    package var isInPlace = false
    package init(input: Int, value: GraphValue) {
      self.input = input
      self.value = value
    }
  }

  package var values: [(type: TensorType, definition: Definition)] = []
  package var nodes: [Node] = []
  package var inputs: [GraphValue] = []
  package var outputs: [GraphValue] = []
  package var effects: [Effect] = []
  package var writes: [Write] = []
  /// The gradients that optimizers take, with the paths of their parameters.
  package var gradients: [(value: GraphValue, path: String)] = []
  /// How many products, convolutions and the like the forward pass has, and how many of them run once more.
  package var products = (all: 0, rebuilt: 0)
  /// The floating-point operations of the step, and those among them that compute something once more.
  package var arithmetic = (all: 0.0, rebuilt: 0.0)

  package init() {}

  package func definition(of value: GraphValue) -> Definition { values[value.id].definition }

  /// What is read when all nodes have run: outputs, new values of inputs, assertions and reports.
  package var leavingValues: [GraphValue] {
    var values = outputs + writes.map(\.value)
    for effect in effects {
      switch effect.kind {
      case .assertion(let value): values.append(value)
      case .report(let reported, _): values += reported
      }
    }
    return values
  }

  /// Lets values know their producers again after nodes have moved.
  package mutating func renumber() {
    for (index, node) in nodes.enumerated() {
      for (position, result) in node.results.enumerated() {
        values[result.id].definition = .result(node: index, index: position)
      }
    }
  }

  /// For each value, by id, the one that it looks at through views.
  package func viewBases() -> [Int] {
    var base = Array(0..<values.count)
    for node in nodes where node.isView { base[node.results[0].id] = base[node.operands[0].id] }
    return base
  }

  /// The node that makes `value`, if one does.
  package func producer(of value: GraphValue) -> Int? {
    if case .result(let node, _) = values[value.id].definition { return node }
    return nil
  }
}
