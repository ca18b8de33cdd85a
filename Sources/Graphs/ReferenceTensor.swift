import Tensors

/// A tensor of the slow, obvious evaluator: contiguous f64 whatever the dtype stands for.
package struct ReferenceTensor: Sendable {
  package let type: TensorType
  package var values: [Double]

  package init(_ type: TensorType, _ values: [Double]) {
    precondition(values.count == type.elementCount)
    self.type = type
    self.values = values
  }

  package init(_ tensor: Tensor) {
    self.init(tensor.type, tensor.doubles())
  }

  package var shape: Shape { type.shape }

  /// Calls `body` with each index tuple in row-major order.
  package static func forEachIndex(in shape: Shape, _ body: ([Int]) -> Void) {
    if shape.sizes.contains(0) { return }
    var index = [Int](repeating: 0, count: shape.rank)
    while true {
      body(index)
      var axis = shape.rank - 1
      while true {
        if axis < 0 { return }
        index[axis] += 1
        if index[axis] < shape[axis] { break }
        index[axis] = 0
        axis -= 1
      }
    }
  }

  /// The element at an index tuple.
  package subscript(index: [Int]) -> Double {
    get { values[offset(index)] }
    set { values[offset(index)] = newValue }
  }

  private func offset(_ index: [Int]) -> Int {
    var offset = 0
    for (axis, position) in index.enumerated() { offset = offset * shape[axis] + position }
    return offset
  }
}
