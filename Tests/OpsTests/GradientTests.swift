import Graphs
import Ops
import Passes
import Tensors
import Testing

/// Gradient rules against differences of the op's own Float64 definition, along random directions.
///
/// A rule is nodes, and the reference evaluator runs those in Float64 too: so bounds are tight, and no kernel
/// takes part.
@Suite struct GradientTests {
  /// <J^T c, v> = d/dt <c, f(x + t v)>.
  @Test(arguments: OpCase.smooth)
  func pullbackMatchesDifferences(_ test: OpCase) throws {
    guard let problem = try Differentiation(test) else { return }
    let direction = problem.direction("v")
    let analytic = try problem.pullback(at: 0).product(with: direction)
    let ahead = try problem.value(at: step, along: direction)
    let behind = try problem.value(at: -step, along: direction)
    expectClose(analytic, (ahead - behind) / (2 * step))
  }

  /// The same of the pullback: <H^T v, w> = d/dt <v, J(x + t w)^T c>.
  @Test(arguments: OpCase.smooth)
  func secondPullbackMatchesDifferences(_ test: OpCase) throws {
    guard let problem = try Differentiation(test) else { return }
    let (v, w) = (problem.direction("v"), problem.direction("w"))
    guard let second = try problem.secondPullback(v) else { return }
    let ahead = try problem.pullback(at: step, along: w).product(with: v)
    let behind = try problem.pullback(at: -step, along: w).product(with: v)
    expectClose(second.product(with: w), (ahead - behind) / (2 * step))
  }

  /// Small, so that no maximum changes place on the way.
  private let step = 2e-6

  private func expectClose(_ analytic: Double, _ difference: Double) {
    let bound = 1e-7 * (1 + analytic.magnitude + difference.magnitude)
    #expect(
      (analytic - difference).magnitude <= bound, "the rule gives \(analytic), differences \(difference)"
    )
  }
}

/// An op on a sample, with a weight for each element of its results: one number to differentiate.
private struct Differentiation {
  /// One tensor per operand that is a float; nil for the others.
  typealias Tangent = [ReferenceTensor?]

  let test: OpCase
  let op: any TensorOp
  let operands: [ReferenceTensor]
  let weights: [ReferenceTensor?]

  /// nil where there is nothing to differentiate: no float among the operands or among the results.
  init?(_ test: OpCase) throws {
    self.test = test
    operands = test.operands.map { ReferenceTensor($0) }
    op = try test.makeOp(operands.map(\.type))
    let types = try op.resultTypes(of: operands.map(\.type))
    weights = types.enumerated().map { index, type in
      type.dtype.isFloating ? test.noise(type, "weight \(index)") : nil
    }
    let hasFloats = operands.contains { $0.type.dtype.isFloating }
    if !hasFloats || weights.allSatisfy({ $0 == nil }) { return nil }
  }

  func direction(_ name: String) -> Tangent {
    operands.enumerated().map { index, operand in
      operand.type.dtype.isFloating ? test.noise(operand.type, "\(name) \(index)") : nil
    }
  }

  /// The operands moved by `step` along `direction`.
  private func moved(_ step: Double, _ direction: Tangent) -> [ReferenceTensor] {
    zip(operands, direction).map { operand, tangent in
      guard let tangent else { return operand }
      let values = zip(operand.values, tangent.values).map { $0 + step * $1 }
      return ReferenceTensor(operand.type, values)
    }
  }

  /// The weighted sum of the results.
  func value(at step: Double, along direction: Tangent) throws -> Double {
    let results = try op.reference(moved(step, direction))
    return zip(results, weights).reduce(0) { sum, pair in
      guard let weight = pair.1 else { return sum }
      return zip(pair.0.values, weight.values).reduce(sum) { $0 + $1.0 * $1.1 }
    }
  }

  /// The gradient of the weighted sum by the op's rule; zeros where it says that nothing flows.
  func pullback(at step: Double, along direction: Tangent? = nil) throws -> Tangent {
    let graph = try PullbackGraph(self)
    let inputs = direction.map { moved(step, $0) } ?? operands
    return try evaluate(graph.builder.graph, graph.gradients, inputs + weights.compactMap { $0 })
  }

  /// The gradient of <v, pullback>, nil where the pullback does not depend on the operands at all.
  func secondPullback(_ v: Tangent) throws -> Tangent? {
    let graph = try PullbackGraph(self)
    var (outputs, cotangents): ([GraphValue], [GraphValue]) = ([], [])
    var inputs = operands + weights.compactMap { $0 }
    for (gradient, tangent) in zip(graph.gradients, v) {
      guard let gradient, let tangent else { continue }
      outputs.append(gradient)
      cotangents.append(graph.builder.input(tangent.type))
      inputs.append(tangent)
    }
    if outputs.isEmpty { return nil }
    let second = try pullBack(
      graph.builder, from: outputs, cotangents: cotangents, to: graph.operands)
    return try evaluate(graph.builder.graph, second, inputs)
  }

  private func evaluate(
    _ graph: Graph, _ gradients: [GraphValue?], _ inputs: [ReferenceTensor]
  ) throws -> Tangent {
    let values = try evaluateReference(graph, inputs: inputs)
    return zip(operands, gradients).map { operand, gradient in
      guard operand.type.dtype.isFloating else { return nil }
      guard let gradient else {
        return ReferenceTensor(operand.type, [Double](repeating: 0, count: operand.values.count))
      }
      return values[gradient.id]
    }
  }
}

/// The op and its pullback as a graph: inputs are the operands, then the weights of its float results.
private struct PullbackGraph {
  let builder = GraphBuilder()
  let operands: [GraphValue]
  let gradients: [GraphValue?]

  init(_ problem: Differentiation) throws {
    let builder = builder
    operands = problem.operands.map { builder.input($0.type) }
    let results = try builder.append(problem.op, operands)
    var (outputs, cotangents): ([GraphValue], [GraphValue]) = ([], [])
    for (result, weight) in zip(results, problem.weights) where weight != nil {
      outputs.append(result)
      cotangents.append(builder.input(result.type))
    }
    gradients = try pullBack(builder, from: outputs, cotangents: cotangents, to: operands)
  }
}

extension OpCase {
  fileprivate func noise(_ type: TensorType, _ name: String) -> ReferenceTensor {
    var random = Random(seed: "\(testDescription)/\(name)")
    return ReferenceTensor(type, (0..<type.elementCount).map { _ in random.normal() })
  }
}

extension [ReferenceTensor?] {
  /// The inner product over all elements.
  fileprivate func product(with other: Self) -> Double {
    zip(self, other).reduce(0) { sum, pair in
      guard let a = pair.0, let b = pair.1 else { return sum }
      return zip(a.values, b.values).reduce(sum) { $0 + $1.0 * $1.1 }
    }
  }
}
