import Support
import Tensors

extension Interpreter {
  /// `:type`: what an expression gives, from a trace of it: nothing is computed.
  ///
  /// - Parameter thunk: a function of nothing whose body is the expression.
  /// - Returns: nil where a trace does not tell, as of what makes a model or looks at a value.
  package func typeByTracing(_ thunk: Value) -> String? {
    guard case .callable(let callable) = thunk, let function = callable as? FunctionValue else { return nil }
    return StepValue(function).typeOfResult(self)
  }

  /// A value's type and bytes: `f32[2, 3]   24 B`.
  package func typeText(of value: Value) -> String {
    var bytes = 0
    if (try? requireWalkable(value, at: nowhere)) != nil {
      try? forEachLeaf(of: value) { leaf in
        if case .tensor(let tensor) = leaf, !tensor.isNumber { bytes += tensor.type.byteCount }
      }
    }
    var text = value.typeDescription
    switch value {
    case .model, .optimizer:
      var tally = StorageTally()
      bytes = tally.add(value)
      text = note(on: value)
    case .list, .record, .callable: text = note(on: value)
    default: break
    }
    return bytes > 0 ? "\(text)   \(grouped(bytes)) B" : text
  }

  private var nowhere: Site { Site(file: SourceFile(name: "<type>", text: ""), start: 0, end: 0) }
}
