import Graphs
import Ops
import Tensors
import Testing

/// One op on one of its samples in one dtype.
struct OpCase: Sendable, CustomTestStringConvertible {
  let op: any TensorOp.Type
  let sample: OpSample
  /// What the sample leaves open; nil where it fixes all dtypes.
  let dtype: DType?

  /// `softmax, middle axis, f32`
  var testDescription: String {
    [op.name, sample.name, dtype?.name].compactMap { $0 }.joined(separator: ", ")
  }

  static let all: [OpCase] = OpCatalog.all.flatMap { op in
    op.samples.flatMap { sample in
      let isOpen = sample.operands.contains { $0.dtype == nil }
      return isOpen
        ? op.dtypes.members.map { OpCase(op: op, sample: sample, dtype: $0) }
        : [OpCase(op: op, sample: sample, dtype: nil)]
    }
  }

  /// The cases on which derivatives make sense: smooth, and in the widest float.
  static let smooth: [OpCase] = all.filter { `case` in
    guard `case`.sample.isSmooth else { return false }
    if let dtype = `case`.dtype { return dtype == (`case`.op.dtypes.contains(.f64) ? .f64 : .f32) }
    return true
  }

  /// The sample's operands, the same in every run.
  var operands: [Tensor] {
    sample.operands.enumerated().map { index, operand in
      var random = Random(seed: "\(op.name)/\(sample.name)/\(index)")
      let type = TensorType(operand.dtype ?? dtype ?? .f32, operand.shape)
      let values = (0..<type.elementCount).map { index in
        operand.content.value(at: index, as: type.dtype, &random)
      }
      return Tensor(values, dtype: type.dtype, shape: type.shape)
    }
  }

  /// The op with the sample's attributes, those left out at their defaults.
  func makeOp(_ operands: [TensorType]) throws -> any TensorOp {
    try OpsTests.makeOp(op, sample.attributes, operands)
  }
}

func makeOp(
  _ op: any TensorOp.Type, _ given: [(String, AttributeValue)], _ operands: [TensorType]
) throws -> any TensorOp {
  var attributes = Attributes()
  for parameter in op.signature.parameters {
    if case .attribute = parameter.kind, let value = parameter.defaultValue {
      attributes.set(parameter.name, value)
    }
  }
  for (name, value) in given { attributes.set(name, value) }
  return try op.init(attributes, operands: operands)
}

extension OpSample.Operand.Content {
  func value(at index: Int, as dtype: DType, _ random: inout Random) -> Double {
    switch self {
    case .normal:
      let value = random.normal()
      if dtype == .bool { return value > 0 ? 1 : 0 }
      if dtype == .u8 { return (value.magnitude * 2).rounded() }
      return dtype.isInteger ? (value * 2).rounded() : value
    case .uniform(let range):
      let value = range.lowerBound + random.unit() * (range.upperBound - range.lowerBound)
      if dtype == .bool { return random.unit() < 0.5 ? 1 : 0 }
      if dtype.isFloating { return value }
      let low = max(range.lowerBound.rounded(.up), dtype == .u8 ? 0 : -1e9)
      return min(max(value.rounded(), low), max(low, range.upperBound.rounded(.down)))
    case .integers(let range):
      let count = Double(range.upperBound - range.lowerBound + 1)
      return Double(range.lowerBound) + (random.unit() * count).rounded(.down)
    case .booleans: return random.unit() < 0.5 ? 1 : 0
    case .values(let values): return values[index]
    }
  }
}

/// Random numbers for tests: a SplitMix64 stream for each name.
struct Random: RandomNumberGenerator {
  private var state: UInt64

  init(seed name: String) {
    state = 0xCBF2_9CE4_8422_2325
    for byte in name.utf8 { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// A number in 0..<1.
  mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// Nearly normal: the sum of twelve uniform numbers less 6.
  mutating func normal() -> Double { (0..<12).reduce(-6) { sum, _ in sum + unit() } }
}
