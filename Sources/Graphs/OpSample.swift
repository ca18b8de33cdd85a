import Tensors

/// Legal operands of an op, for the contract tests: made up deterministically from the name.
package struct OpSample: Sendable {
  package struct Operand: Sendable {
    package enum Content: Sendable {
      case normal
      case uniform(ClosedRange<Double>)
      case integers(ClosedRange<Int>)
      case booleans
      case values([Double])
    }
    package let shape: Shape
    package let content: Content
    /// nil: takes each dtype of the op in turn.
    package let dtype: DType?

    package static func normal(_ shape: Shape) -> Operand {
      Operand(shape: shape, content: .normal, dtype: nil)
    }
    package static func uniform(_ shape: Shape, _ range: ClosedRange<Double>) -> Operand {
      Operand(shape: shape, content: .uniform(range), dtype: nil)
    }
    /// Whole numbers of i64 unless another dtype is named; `dtype: nil` takes each dtype of the op in turn.
    package static func integers(_ shape: Shape, _ range: ClosedRange<Int>, dtype: DType? = .i64) -> Operand {
      Operand(shape: shape, content: .integers(range), dtype: dtype)
    }
    package static func booleans(_ shape: Shape) -> Operand {
      Operand(shape: shape, content: .booleans, dtype: .bool)
    }
    package static func values(_ values: [Double], _ shape: Shape, dtype: DType? = nil) -> Operand {
      Operand(shape: shape, content: .values(values), dtype: dtype)
    }
  }

  package let name: String
  package let operands: [Operand]
  package let attributes: [(String, AttributeValue)]
  /// Whether central differences make sense here: false at kinks, ties and for non-smooth ops.
  package let isSmooth: Bool

  package init(
    _ name: String, _ operands: [Operand], _ attributes: [(String, AttributeValue)] = [],
    isSmooth: Bool = true
  ) {
    self.name = name
    self.operands = operands
    self.attributes = attributes
    self.isSmooth = isSmooth
  }

  /// Operands or attributes that the op must refuse.
  package struct Rejected: Sendable {
    package let name: String
    package let operands: [TensorType]
    package let attributes: [(String, AttributeValue)]
    /// A piece of the message.
    package let message: String

    package init(
      _ name: String, _ operands: [TensorType], _ attributes: [(String, AttributeValue)] = [],
      message: String
    ) {
      self.name = name
      self.operands = operands
      self.attributes = attributes
      self.message = message
    }
  }
}
