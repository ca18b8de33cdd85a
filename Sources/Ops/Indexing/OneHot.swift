import Graphs
import Kernels
import Tensors

/// `one_hot(indices, classes, dtype)`: a row with a single one for each index.
package struct OneHot: TensorOp {
  package let classCount: Int
  package let dtype: DType

  package static let name = "one_hot"
  package static let documentation = """
    Makes a row of zeros with a one at the index, for each index.

    Shapes: indices [..] -> [.., classes]. An index outside 0 ..< classes is an error.

    >>> one_hot([2, 0], 3)
    f32[2, 3]
    [[0., 0., 1.],
     [1., 0., 0.]]
    """
  package static let signature = Signature(
    .indices("indices"), .attribute("classes", .int),
    .attribute("dtype", .dtype, default: .dtype(.f32)))
  package static let dtypes = DTypeSet.integers
  package static let traits = OpTraits.lookup

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    classCount = try attributes.int("classes")
    dtype = try attributes.dtype("dtype")
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try OneHot.requireDTypes(of: operands)
    guard classCount >= 0 else {
      throw OpRejection("a number of classes cannot be negative, got \(classCount)", code: "bad-shape")
    }
    let shape = Shape(operands[0].shape.sizes + [classCount])
    guard shape.checkedElementCount != nil else {
      throw OpRejection("\(shape) has too many elements", code: "out-of-memory")
    }
    return [TensorType(dtype, shape)]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .places(rank: operands[0].rank, operands: 1, attributes: self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let shape = Shape(operands[0].shape.sizes + [classCount])
    var result = ReferenceTensor.zeros(TensorType(dtype, shape))
    for (row, index) in operands[0].values.enumerated() {
      guard (0..<classCount).contains(Int(index)) else { throw outOfRange(Int(index)) }
      result.values[row * classCount + Int(index)] = 1
    }
    return [result]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    if let index = firstIndexOutOfRange(operands[0], size: classCount, allowingNegative: false) {
      throw outOfRange(index)
    }
    oneHot(operands[0], into: results[0])
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { 0 }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { true }

  private func outOfRange(_ index: Int) -> KernelFault {
    KernelFault("index \(index) is out of range for \(classCount) classes")
  }

  package var gradient: Gradient { .zero(because: "an index does not vary smoothly") }

  package static let samples = [
    OpSample("a row of indices", [.integers([4], 0...2, dtype: nil)], [("classes", .int(3))]),
    OpSample("a table", [.integers([2, 3], 0...4)], [("classes", .int(5)), ("dtype", .dtype(.i32))]),
    OpSample("truths", [.integers([4], 0...1)], [("classes", .int(2)), ("dtype", .dtype(.bool))]),
    OpSample("one index", [.values([1], [], dtype: .i64)], [("classes", .int(3))]),
    OpSample("no indices", [.integers([0], 0...2)], [("classes", .int(3))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "floats", [TensorType(.f32, [3])], [("classes", .int(3))],
      message: "one_hot expects i32, i64 or u8, got f32"),
    .init(
      "negative", [TensorType(.i64, [3])], [("classes", .int(-1))],
      message: "a number of classes cannot be negative, got -1"),
  ]
}
