/// A rectangular array of numbers: a dtype, a shape and a window on shared storage. A value: nothing changes one that exists.
package struct Tensor: @unchecked Sendable {
  package var storage: Storage
  package let dtype: DType
  package let layout: Layout

  package init(storage: Storage, dtype: DType, layout: Layout) {
    self.storage = storage
    self.dtype = dtype
    self.layout = layout
  }

  /// A contiguous tensor on fresh storage, elements not initialised.
  package init(uninitialized type: TensorType) {
    storage = Storage(byteCount: type.byteCount)
    dtype = type.dtype
    layout = Layout(contiguous: type.shape)
  }

  /// A contiguous tensor of zeros: in every dtype those are bytes of 0.
  package static func zeros(_ type: TensorType) -> Tensor {
    let tensor = Tensor(uninitialized: type)
    tensor.storage.base.initializeMemory(as: UInt8.self, repeating: 0, count: type.byteCount)
    return tensor
  }

  /// A tensor of which only dtype and shape are known.
  package static func phantom(_ type: TensorType) -> Tensor {
    Tensor(storage: Storage(phantom: type.byteCount), dtype: type.dtype, layout: Layout(contiguous: type.shape))
  }

  package var shape: Shape { layout.shape }
  package var type: TensorType { TensorType(dtype, layout.shape) }
  package var elementCount: Int { layout.shape.elementCount }

  /// This tensor's elements as a kernel sees them.
  package var view: TensorView {
    TensorView(
      base: storage.base + layout.offset * dtype.byteCount, dtype: dtype, shape: layout.shape.sizes,
      strides: layout.strides)
  }

  /// Builds a tensor from numbers in row-major order, each converted to `dtype`
  /// (integers saturate; bool is "not zero").
  package init(_ values: [Double], dtype: DType, shape: Shape) {
    precondition(values.count == shape.elementCount)
    self.init(uninitialized: TensorType(dtype, shape))
    let base = storage.base
    if dtype.isBlocked {
      QuantizedBlock.quantize(values.map { Float($0) }, into: base, as: dtype)
      return
    }
    for (index, value) in values.enumerated() { dtype.store(value, at: base, index: index) }
  }

  /// Builds a tensor of whole numbers, exact for all of i64.
  package init(integers values: [Int], dtype: DType = .i64, shape: Shape) {
    precondition(values.count == shape.elementCount)
    self.init(uninitialized: TensorType(dtype, shape))
    let base = storage.base
    if dtype.isBlocked {
      QuantizedBlock.quantize(values.map { Float($0) }, into: base, as: dtype)
      return
    }
    for (index, value) in values.enumerated() { dtype.store(integer: value, at: base, index: index) }
  }

  /// The elements in row-major order as f64 (i64 beyond 2^53 rounds).
  package func doubles() -> [Double] {
    var result: [Double] = []
    result.reserveCapacity(elementCount)
    forEachOffset { result.append(dtype.load(at: storage.base, index: $0)) }
    return result
  }

  /// The elements in row-major order as integers; floats are truncated, saturating.
  package func integers() -> [Int] {
    var result: [Int] = []
    result.reserveCapacity(elementCount)
    forEachOffset { result.append(dtype.loadInteger(at: storage.base, index: $0)) }
    return result
  }

  /// The element of a tensor that has one.
  package var scalar: Double { dtype.load(at: storage.base, index: layout.offset) }
  package var integerScalar: Int { dtype.loadInteger(at: storage.base, index: layout.offset) }

  /// Calls `body` with the storage index of each element in row-major order.
  package func forEachOffset(_ body: (Int) -> Void) {
    let sizes = layout.shape.sizes
    if sizes.contains(0) { return }
    if sizes.isEmpty { return body(layout.offset) }
    var index = [Int](repeating: 0, count: sizes.count)
    var offset = layout.offset
    while true {
      body(offset)
      var axis = sizes.count - 1
      while true {
        index[axis] += 1
        offset += layout.strides[axis]
        if index[axis] < sizes[axis] { break }
        offset -= layout.strides[axis] * sizes[axis]
        index[axis] = 0
        axis -= 1
        if axis < 0 { return }
      }
    }
  }

  /// Returns the tensor with contiguous elements, itself where they are already.
  package func contiguous() -> Tensor {
    if layout.isContiguous { return self }
    let result = Tensor(uninitialized: type)
    let size = dtype.byteCount
    var target = result.storage.base
    forEachOffset { offset in
      target.copyMemory(from: storage.base + offset * size, byteCount: size)
      target += size
    }
    return result
  }
}

/// A borrowed, possibly strided window on elements, as kernels take it.
package struct TensorView: @unchecked Sendable {
  /// The first element.
  package var base: UnsafeMutableRawPointer
  package let dtype: DType
  package let shape: [Int]
  /// In elements; 0 along a broadcast axis.
  package let strides: [Int]

  package init(base: UnsafeMutableRawPointer, dtype: DType, shape: [Int], strides: [Int]) {
    self.base = base
    self.dtype = dtype
    self.shape = shape
    self.strides = strides
  }

  package var elementCount: Int {
    var count = 1
    for size in shape { count &*= size }
    return count
  }
}

extension DType {
  /// Reads one element as f64. For printing and small host work, not for loops over tensors.
  package func load(at base: UnsafeRawPointer, index: Int) -> Double {
    switch self {
    case .f32: Double(base.load(fromByteOffset: index * 4, as: Float.self))
    case .f64: base.load(fromByteOffset: index * 8, as: Double.self)
    case .f16: Double(base.load(fromByteOffset: index * 2, as: Float16.self))
    case .bf16:
      Double(Float(bitPattern: UInt32(base.load(fromByteOffset: index * 2, as: UInt16.self)) << 16))
    case .i32: Double(base.load(fromByteOffset: index * 4, as: Int32.self))
    case .i64: Double(base.load(fromByteOffset: index * 8, as: Int64.self))
    case .u8: Double(base.load(fromByteOffset: index, as: UInt8.self))
    case .bool: base.load(fromByteOffset: index, as: UInt8.self) != 0 ? 1 : 0
    case .f8e4m3: Double(Float8.e4m3.value(of: base.load(fromByteOffset: index, as: UInt8.self)))
    case .f8e5m2: Double(Float8.e5m2.value(of: base.load(fromByteOffset: index, as: UInt8.self)))
    case .q8, .q8e4m3: Double(QuantizedBlock.element(index, at: base, of: self))
    }
  }

  /// Reads one element as an integer; floats are truncated, NaN is 0.
  package func loadInteger(at base: UnsafeRawPointer, index: Int) -> Int {
    switch self {
    case .i64: Int(base.load(fromByteOffset: index * 8, as: Int64.self))
    case .i32: Int(base.load(fromByteOffset: index * 4, as: Int32.self))
    case .u8: Int(base.load(fromByteOffset: index, as: UInt8.self))
    case .bool: base.load(fromByteOffset: index, as: UInt8.self) != 0 ? 1 : 0
    case .f32, .f64, .f16, .bf16, .f8e4m3, .f8e5m2, .q8, .q8e4m3: Int(saturating: load(at: base, index: index))
    }
  }

  /// Writes one element, converted: floats round to nearest even, integers truncate and saturate.
  /// - Requires: elements do not come in blocks.
  package func store(_ value: Double, at base: UnsafeMutableRawPointer, index: Int) {
    switch self {
    case .f32: base.storeBytes(of: Float(value), toByteOffset: index * 4, as: Float.self)
    case .f64: base.storeBytes(of: value, toByteOffset: index * 8, as: Double.self)
    case .f16: base.storeBytes(of: Float16(value), toByteOffset: index * 2, as: Float16.self)
    case .bf16: base.storeBytes(of: bfloat16Bits(value), toByteOffset: index * 2, as: UInt16.self)
    case .i32, .i64, .u8: store(integer: Int(saturating: value), at: base, index: index)
    case .bool: base.storeBytes(of: value != 0 ? 1 : 0, toByteOffset: index, as: UInt8.self)
    case .f8e4m3:
      base.storeBytes(of: Float8.e4m3.pattern(of: roundedToOdd(value)), toByteOffset: index, as: UInt8.self)
    case .f8e5m2:
      base.storeBytes(of: Float8.e5m2.pattern(of: roundedToOdd(value)), toByteOffset: index, as: UInt8.self)
    case .q8, .q8e4m3: preconditionFailure("elements of \(self) come in blocks")
    }
  }

  package func store(integer value: Int, at base: UnsafeMutableRawPointer, index: Int) {
    switch self {
    case .i64: base.storeBytes(of: Int64(value), toByteOffset: index * 8, as: Int64.self)
    case .i32: base.storeBytes(of: Int32(clamping: value), toByteOffset: index * 4, as: Int32.self)
    case .u8: base.storeBytes(of: UInt8(clamping: value), toByteOffset: index, as: UInt8.self)
    case .bool: base.storeBytes(of: value != 0 ? 1 : 0, toByteOffset: index, as: UInt8.self)
    case .f32, .f64, .f16, .bf16, .f8e4m3, .f8e5m2, .q8, .q8e4m3: store(Double(value), at: base, index: index)
    }
  }
}

/// Rounds to bfloat16, nearest even, straight from f64 so that nothing rounds twice (ml_dtypes goes by way of f32);
/// NaN is the quiet one of its sign.
private func bfloat16Bits(_ value: Double) -> UInt16 {
  if value.isNaN { return value.sign == .minus ? 0xFFC0 : 0x7FC0 }
  let single = roundedToOdd(value)
  let bits = single.bitPattern
  if single.isInfinite { return UInt16(bits >> 16) }
  return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16)
}

/// The float next to `value` whose last bit is set if anything was dropped: a second rounding, to fewer bits, then
/// sees what the first one dropped.
private func roundedToOdd(_ value: Double) -> Float {
  var single = Float(value)
  if single.isFinite, Double(single) != value {
    if abs(Double(single)) > abs(value) {
      single = value > 0 ? single.nextDown : single.nextUp
    }
    single = Float(bitPattern: single.bitPattern | 1)
  }
  return single
}

extension Int {
  /// The whole part of `value`, clamped to what an Int holds; 0 for NaN.
  package init(saturating value: Double) {
    if value.isNaN {
      self = 0
    } else if value >= 0x1p63 {
      self = .max
    } else if value <= -0x1p63 {
      self = .min
    } else {
      self = Int(value)
    }
  }
}
