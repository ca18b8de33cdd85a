extension DType {
  /// The dtype of a result whose tensor operands have these two dtypes. One table for every op:
  ///
  /// - bool gives way to integers, integers to floats;
  /// - among integers and among floats the wider wins; f16 with bf16 is f32;
  /// - host numbers take no part: the tensor's dtype wins over them.
  package func promoted(with other: DType) -> DType {
    if self == other { return self }
    if isFloating && other.isFloating {
      if self == .f64 || other == .f64 { return .f64 }
      return .f32
    }
    if isFloating { return self }
    if other.isFloating { return other }
    if self == .bool { return other }
    if other == .bool { return self }
    if self == .i64 || other == .i64 { return .i64 }
    return .i32
  }

  /// The dtype of true division, exponentials and the like: floats stay, all else becomes f32.
  package var floatingResult: DType { isFloating ? self : .f32 }
}
