import Graphs
import Tensors

/// How far a kernel may be from the Float64 reference: `relative` of the element, plus `absolute` of the
/// largest finite element, since sums cancel.
struct Tolerance {
  let relative: Double
  let absolute: Double

  /// A few units of the last place for elements, some more for the scale of sums; exact for whole numbers.
  init(of dtype: DType) {
    switch dtype {
    case .f32: (relative, absolute) = (4e-6, 1e-6)
    case .f64: (relative, absolute) = (1e-13, 1e-14)
    case .f16: (relative, absolute) = (0x1p-10, 0x1p-24)
    case .bf16: (relative, absolute) = (0x1p-7, 0x1p-24)
    case .f8e4m3: (relative, absolute) = (0x1p-3, 0x1p-9)
    case .f8e5m2: (relative, absolute) = (0x1p-2, 0x1p-16)
    // Kernels find the codes of the definition.
    case .i32, .i64, .u8, .bool, .q8, .q8e4m3: (relative, absolute) = (0, 0)
    }
  }
}

/// Returns what is wrong with `actual` as an approximation of `expected`, or nil.
func difference(_ actual: Tensor, from expected: ReferenceTensor) -> String? {
  if actual.type != expected.type { return "the type is \(actual.type), not \(expected.type)" }
  let tolerance = Tolerance(of: actual.dtype)
  // The reference rounds to the dtype too, which tells what overflows.
  let rounded = Tensor(expected.values, dtype: actual.dtype, shape: actual.shape).doubles()
  let scale = rounded.filter(\.isFinite).reduce(0) { max($0, $1.magnitude) }
  for (position, (a, e)) in zip(actual.doubles(), rounded).enumerated() {
    if a == e || (a.isNaN && e.isNaN) { continue }
    let bound = tolerance.relative * e.magnitude + tolerance.absolute * scale
    if !((a - e).magnitude <= bound) {
      return "element \(position) of \(actual.type) is \(a), not \(e)"
    }
  }
  return nil
}
