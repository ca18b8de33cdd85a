import Graphs
import Kernels
import Tensors

// What ops that look things up share: values in operand 0 or 1 and places in the other.

extension OpTraits {
  /// An op whose operands differ in role: values and indices.
  static let lookup = OpTraits(
    precision: .asIs, cost: .memoryBound, fusion: .alone, effect: .pure, promotion: .asIs,
    operands: .contiguous, broadcasts: false, inPlace: false)
  /// An op without operands.
  static let source = lookup
}

/// Refuses indices that are not whole numbers.
func requireIndices(_ indices: TensorType) throws(OpRejection) {
  if indices.dtype.isInteger { return }
  throw OpRejection(
    "indices are whole numbers, got \(indices)", code: "dtype-mismatch",
    help: indices.dtype == .bool ? "`where` chooses by a condition" : "convert them with `i64(...)`")
}

/// Refuses shapes that differ anywhere but along `axis`.
func requireSameBeside(_ axis: Int, _ a: TensorType, _ b: TensorType) throws(OpRejection) {
  var expected = a.shape
  if a.rank == b.rank { expected[axis] = b.shape[axis] }
  if expected == b.shape { return }
  throw OpRejection("\(a.shape) and \(b.shape) differ beside axis \(axis)")
}

/// Finds an index that names no place along an axis.
func checkIndices(_ indices: TensorView, axis: Int, size: Int) throws(KernelFault) {
  if let index = firstIndexOutOfRange(indices, size: size) {
    throw KernelFault("index \(index) is out of range for axis \(axis) of size \(size)")
  }
}

extension AllowedIndices {
  /// What `checkIndices` takes: places along an axis, negative ones counted from its end.
  init(along size: Int) { self.init(-size..<max(size, 0)) }
}

extension ReferenceTensor {
  /// The places that these indices name along an axis, negative ones counted from the end.
  func places(axis: Int, size: Int) throws(KernelFault) -> [Int] {
    var places: [Int] = []
    for value in values {
      let index = Int(value)
      guard (-size..<size).contains(index) else {
        throw KernelFault("index \(index) is out of range for axis \(axis) of size \(size)")
      }
      places.append(index < 0 ? index + size : index)
    }
    return places
  }

  static func zeros(_ type: TensorType) -> ReferenceTensor {
    ReferenceTensor(type, [Double](repeating: 0, count: type.elementCount))
  }
}
