import Execution
import Foundation
import Graphs
import Kernels
import Ops
import Passes
import Tensors
import Testing

/// Ops of neural networks against PyTorch: results and gradients in f64, from Tests/Reference/nn.json.
@Suite struct TorchTests {
  @Test(arguments: try TorchCase.all())
  func agreesWithTorch(_ test: TorchCase) throws {
    let builder = GraphBuilder(evaluator: EagerEvaluator())
    var leaves: [String: GraphValue] = [:]
    for (name, tensor) in try test.tensors {
      leaves[name] = builder.input(tensor.type, concrete: tensor)
    }
    let y = try test.build(builder, leaves)
    let expected = try test.outputs["y"]!.tensor()
    expect(builder.concrete(of: y)!, equals: expected, "y")

    let names = test.gradients.keys.sorted()
    let upstream = builder.constant(try test.upstream["y"]!.tensor())
    let gradients = try pullBack(
      builder, from: [y], cotangents: [upstream], to: names.map { leaves[$0]! })
    for (name, gradient) in zip(names, gradients) {
      let gradient = try #require(gradient, "no gradient reaches \(name)")
      expect(
        builder.concrete(of: gradient)!, equals: try test.gradients[name]!.tensor(),
        "the gradient of \(name)")
    }
  }

  private func expect(_ actual: Tensor, equals expected: Tensor, _ what: String) {
    #expect(actual.type == expected.type, "\(what)")
    let distance = zip(actual.doubles(), expected.doubles()).map { abs($0 - $1) / (1 + abs($1)) }.max()
    #expect(distance ?? 0 < 1e-12, "\(what) is \(actual.doubles()), in PyTorch \(expected.doubles())")
  }
}

/// A case of nn.json that one op of ours computes.
struct TorchCase: Decodable, Sendable, CustomTestStringConvertible {
  let name: String
  let op: String
  let settings: [String: Setting]
  let inputs: [String: Figures]
  let parameters: [String: Figures]?
  let constants: [String: Figures]?
  let outputs: [String: Figures]
  let upstream: [String: Figures]
  let gradients: [String: Figures]

  struct Figures: Decodable, Sendable {
    let dtype: String
    let shape: [Int]
    let values: [Double]

    func tensor() throws -> Tensor {
      Tensor(values, dtype: try #require(DType(name: dtype)), shape: Shape(shape))
    }
  }

  enum Setting: Decodable, Sendable {
    case bool(Bool)
    case number(Double)
    case numbers([Double])
    case string(String)

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let value = try? container.decode(Bool.self) {
        self = .bool(value)
      } else if let value = try? container.decode(Double.self) {
        self = .number(value)
      } else if let value = try? container.decode([Double].self) {
        self = .numbers(value)
      } else {
        self = .string(try container.decode(String.self))
      }
    }

    var attribute: AttributeValue {
      switch self {
      case .bool(let value): .bool(value)
      case .number(let value): .number(value)
      case .numbers(let values): .ints(values.map { Int($0) })
      case .string(let value): .string(value)
      }
    }
  }

  var testDescription: String { name }

  /// Settings by our names.
  private static let spelling = ["kernel_size": "size"]

  /// The op of ours that computes a case, and its operands by name in order.
  private static let ops: [String: (op: any TensorOp.Type, operands: [String])] = [
    "avg_pool2d": (AveragePool.self, ["x"]),
    "conv2d": (Conv2D.self, ["x", "weight"]),
    "cross_entropy": (CrossEntropy.self, ["x", "targets"]),
    "layer_norm": (LayerNorm.self, ["x", "weight", "bias"]),
    "log_softmax": (LogSoftmax.self, ["x"]),
    "max_pool2d": (MaxPool.self, ["x"]),
    "rms_norm": (RMSNorm.self, ["x", "weight"]),
    "scaled_dot_product_attention": (Attention.self, ["q", "k", "v"]),
    "softmax": (Softmax.self, ["x"]),
  ]

  /// What other code composes: normalising several axes or without weights, averages that leave out
  /// padding, weighted classes, targets that are distributions.
  private static let composed: Set<String> = [
    "layer_norm_plain", "layer_norm_two_axes", "avg_pool_padding_not_counted",
    "cross_entropy_weights", "cross_entropy_probabilities",
  ]

  static func all() throws -> [TorchCase] {
    struct File: Decodable { let cases: [Lenient] }
    /// A case, or nil where its tensors hold nan or infinities, which are strings.
    struct Lenient: Decodable {
      let test: TorchCase?
      init(from decoder: any Decoder) throws { test = try? TorchCase(from: decoder) }
    }
    let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Reference/nn.json")
    let file = try JSONDecoder().decode(File.self, from: Data(contentsOf: url))
    return file.cases.compactMap(\.test).filter { ops[$0.op] != nil && !composed.contains($0.name) }
  }

  /// All tensors that the case reads, by name.
  var tensors: [(String, Tensor)] {
    get throws {
      try [inputs, parameters ?? [:], constants ?? [:]].flatMap { group in
        try group.sorted { $0.key < $1.key }.map { ($0.key, try $0.value.tensor()) }
      }
    }
  }

  func build(_ g: GraphBuilder, _ leaves: [String: GraphValue]) throws -> GraphValue {
    let (op, names) = TorchCase.ops[op]!
    let operands = try names.map { try #require(leaves[$0]) }
    let attributes = settings.filter { $0.key != "axes" && $0.key != "count_include_pad" }.map {
      (TorchCase.spelling[$0.key] ?? $0.key, $0.value.attribute)
    }
    let y = try g.append(makeOp(op, attributes, operands.map(\.type)), operands)[0]
    guard op == Conv2D.self, let bias = leaves["bias"] else { return y }
    return try g.add(y, try g.reshape(bias, to: [1, bias.shape[0], 1, 1]))
  }
}
