import Foundation
import Kernels
import Tensors
import Testing

struct StatisticsTests {
  /// What the definition says of elements, in two passes.
  private func expect(_ tensor: Tensor, within tolerance: Double = 1e-12, _ comment: Comment) {
    let found = statistics(of: tensor.view)
    let all = tensor.doubles()
    let finite = all.filter(\.isFinite)
    #expect(found.count == all.count, comment)
    #expect(found.nanCount == all.count { $0.isNaN }, comment)
    #expect(found.infiniteCount == all.count { $0.isInfinite }, comment)
    guard !finite.isEmpty else { return }
    #expect(found.least == finite.min()! && found.greatest == finite.max()!, comment)
    let mean = finite.reduce(0, +) / Double(finite.count)
    #expect(abs(found.mean - mean) <= tolerance * max(1, abs(mean)), comment)
    if finite.count > 1 {
      let squares = finite.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
      let deviation = (squares / Double(finite.count - 1)).squareRoot()
      #expect(abs(found.deviation - deviation) <= 1e-9 * max(1, deviation), comment)
    }
  }

  private func values(_ count: Int, _ special: [Double] = []) -> [Double] {
    (0..<count).map { index in
      !special.isEmpty && index % 37 == 5 ? special[index / 37 % special.count] : Double(index * 7919 % 1009 - 504) / 64
    }
  }

  @Test(arguments: [1, 2, 63, 64, 65, 4095, 4096, 4097, 70_001])
  func agreesWithTheDefinition(count: Int) {
    for dtype in DType.allCases {
      let tensor = Tensor(values(count), dtype: dtype, shape: [count])
      expect(tensor, "\(dtype)[\(count)]")
    }
    for dtype in [DType.f32, .f64, .f16, .bf16] {
      expect(Tensor(values(count, [.nan, .infinity, -.infinity]), dtype: dtype, shape: [count]), "\(dtype)[\(count)]")
      expect(Tensor([Double](repeating: .nan, count: count), dtype: dtype, shape: [count]), "\(dtype)[\(count)]")
    }
  }

  @Test func stridesAreFollowed() {
    let base = Tensor(values(6000), dtype: .f32, shape: [60, 100])
    for layout in [
      Layout(shape: [100, 60], strides: [1, 100]), Layout(shape: [30, 50], strides: [200, 2], offset: 1),
      Layout(shape: [100], strides: [-1], offset: 99), Layout(shape: [3, 100], strides: [0, 1]),
      Layout(shape: [0, 100], strides: [100, 1]), Layout(shape: [], strides: [], offset: 5),
    ] {
      expect(Tensor(storage: base.storage, dtype: .f32, layout: layout), "\(layout)")
    }
  }

  /// Far from zero a sum of squares would have no digits left.
  @Test func nothingIsLostFarFromZero() {
    let count = 100_000
    let tensor = Tensor((0..<count).map { 1e9 + Double($0 % 2) }, dtype: .f64, shape: [count])
    let found = statistics(of: tensor.view)
    #expect(abs(found.deviation - 0.5) < 1e-5)
    #expect(abs(found.mean - 1e9 - 0.5) < 1e-6)
  }

  @Test func bitsDoNotDependOnThreads() {
    let tensor = Tensor(values(300_000, [.nan]), dtype: .f32, shape: [300_000])
    let before = ThreadPool.threadCount
    defer { ThreadPool.threadCount = before }
    let results = [1, 2, 5].map { count in
      ThreadPool.threadCount = count
      return statistics(of: tensor.view)
    }
    #expect(Set(results.map(\.mean.bitPattern)).count == 1)
    #expect(Set(results.map(\.deviation.bitPattern)).count == 1)
    #expect(results.allSatisfy { $0.sample.count == results[0].sample.count })
  }
}
