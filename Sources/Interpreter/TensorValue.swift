import Graphs
import Support
import Tensors

/// A tensor, or a host number inside a trace, as programs hold it.
///
/// Outside traces it has a real tensor. In a step's trace it has only a place in the graph; while `grad`
/// records outside a step it has both; under `check` it has neither outside of traces. One type serves all four.
package final class TensorValue {
  package let type: TensorType
  /// The real elements, where known.
  package let tensor: Tensor?
  /// The graph value, while `trace` records.
  let value: GraphValue?
  /// The trace that `value` belongs to.
  let trace: Trace?
  /// A traced host number: f64, i64 or bool without axes. It takes the dtype of the tensor it meets.
  let isNumber: Bool
  /// Whether it comes from a list of whole numbers, which is i64 where an index or a target is meant.
  let isWholeList: Bool
  /// The expression that made it, for error messages.
  package let made: Site?

  init(_ tensor: Tensor, made: Site?, isWholeList: Bool = false) {
    type = tensor.type
    self.tensor = tensor.storage.isPhantom ? nil : tensor
    value = nil
    trace = nil
    isNumber = false
    self.isWholeList = isWholeList
    self.made = made
  }

  init(
    _ value: GraphValue, in trace: Trace, concrete: Tensor?, isNumber: Bool, isWholeList: Bool = false,
    made: Site?
  ) {
    type = value.type
    tensor = concrete
    self.value = value
    self.trace = trace
    self.isNumber = isNumber
    self.isWholeList = isWholeList
    self.made = made
  }

  /// A tensor or host number of which `check` knows the type alone.
  init(abstract type: TensorType, isNumber: Bool = false, isWholeList: Bool = false, made: Site?) {
    self.type = type
    tensor = nil
    value = nil
    trace = nil
    self.isNumber = isNumber
    self.isWholeList = isWholeList
    self.made = made
  }

  /// Whether it is of an abstract run: no elements, and no place in a graph either.
  var isAbstract: Bool { tensor == nil && value == nil }

  /// Why there are no elements where the program needs them: nobody computes them, or a step has not run yet.
  func missing(at site: Site) -> Failure {
    if let trace, trace.isStep { return Trace.escaped(at: site) }
    return .unchecked("it depends on the elements of a tensor", at: site)
  }

  package var shape: Shape { type.shape }
  package var dtype: DType { type.dtype }
  package var isTraced: Bool { value != nil }
}
