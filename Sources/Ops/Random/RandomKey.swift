import Graphs
import Kernels
import Tensors

// Random ops are pure functions. Operand 0, which programs do not write, is the key: i64[2] holding the
// program's seed and the tick of this eager call or step. The attribute `ordinal`, also not written, is
// the op's place in the trace. Seed, tick, ordinal and an element's index give the element, so a
// recomputed node draws what it drew before, and two nodes of one trace never draw alike.

/// The type of operand 0 of random ops: (seed, tick).
package let randomKeyType = TensorType(.i64, [2])

/// A key that also says at which element of a larger tensor the numbers begin.
package let placedRandomKeyType = TensorType(.i64, [3])

/// Refuses operands whose first is no key. The interpreter supplies it, so this speaks to its authors.
func requireKey(_ operands: [TensorType], count: Int = 1) throws(OpRejection) {
  guard operands.count == count, operands[0] == randomKeyType || operands[0] == placedRandomKeyType else {
    let given = operands.map(\.description).joined(separator: ", ")
    throw OpRejection("a random op wants its key i64[2] as operand 0, got \(given)", code: "bad-key")
  }
}

/// Returns f32 or f64, the dtypes in which random numbers are made.
func requireRandomDType(_ dtype: DType) throws(OpRejection) -> DType {
  guard DTypeSet.wideFloating.contains(dtype) else {
    throw OpRejection(
      "random numbers are made in f32 or f64, not \(dtype)", code: "dtype-mismatch",
      help: "draw f32 and cast: `cast(x, \(dtype))`")
  }
  return dtype
}

extension Attributes {
  /// The place in the trace, 0 where an op is made by hand.
  func ordinal() throws(OpRejection) -> Int {
    self["ordinal"] == .none ? 0 : try int("ordinal")
  }
}

extension RandomStream {
  /// The numbers of a node whose key operand is `key`, for reference implementations.
  init(_ key: ReferenceTensor, ordinal: Int) {
    self.init(
      seed: Int(key.values[0]), tick: Int(key.values[1]), ordinal: ordinal,
      first: key.values.count > 2 ? Int(key.values[2]) : 0)
  }
}

extension OpTraits {
  /// Traits of ops that draw random numbers: never folded, fused or merged, and cheap to draw again.
  static let random = OpTraits(
    precision: .asIs, cost: .memoryBound, fusion: .alone, effect: .random, promotion: .asIs,
    operands: .contiguous, broadcasts: false, inPlace: false)
}

extension OpSample.Operand {
  /// A key for samples.
  static let randomKey = values([7, 3], [2], dtype: .i64)
}

extension AxisMap {
  /// Of ops that draw numbers of a shape: a piece of it is drawn with a key that says where it begins.
  static func drawing(_ rank: Int, _ attributes: [AnyHashable]) -> AxisMap {
    AxisMap(results: [[Int?]?](repeating: [nil], count: rank), attributes: attributes)
  }
}
