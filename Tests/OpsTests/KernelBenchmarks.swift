import Foundation
import Graphs
import Kernels
import Ops
import Tensors
import Testing

/// Times of kernels on one thread and on all, printed where GRADUS_BENCHMARK is set:
///
///     GRADUS_BENCHMARK=1 swift test -c release --disable-testable-imports --disable-xctest \
///       --filter KernelBenchmarks
///
/// Its value may be a piece of the names of those to run.
@Suite struct KernelBenchmarks {
  private static let wanted = ProcessInfo.processInfo.environment["GRADUS_BENCHMARK"]

  @Test(.enabled(if: wanted != nil)) func times() throws {
    let all = ThreadPool.threadCount
    let cases = (rows + products + images).filter {
      KernelBenchmarks.wanted == "1" || $0.testDescription.contains(KernelBenchmarks.wanted!)
    }
    for test in cases {
      let op = try test.makeOp(test.types)
      let operands = test.types.enumerated().map { index, type in
        filled(type, test.sample.operands[index])
      }
      let results = try op.resultTypes(of: test.types).map { Tensor(uninitialized: $0) }
      let (views, targets) = (operands.map(\.view), results.map(\.view))
      Scratch.reserve(bytesPerThread: op.scratchByteCount(views, targets))
      var line = test.testDescription.padding(toLength: 60, withPad: " ", startingAt: 0)
      for count in [1, all] {
        ThreadPool.threadCount = count
        line += String(format: "%11.2f us", try best { try op.run(views, into: targets) } * 1e6)
      }
      withExtendedLifetime((operands, results)) {}
      print(line + "  scratch \(op.scratchByteCount(views, targets))")
    }
  }

  /// Seconds of the best of some trials.
  private func best(_ body: () throws -> Void) throws -> Double {
    let clock = ContinuousClock()
    try body()
    let once = try clock.measure(body) / .seconds(1)
    let count = max(1, Int(0.02 / once))
    var best = Double.infinity
    for _ in 0..<7 {
      best = min(best, try clock.measure { for _ in 0..<count { try body() } } / .seconds(1) / Double(count))
    }
    return best
  }

  private func filled(_ type: TensorType, _ operand: OpSample.Operand) -> Tensor {
    var state: UInt64 = 1
    let values = (0..<type.elementCount).map { _ in
      state = state &* 0x5851_F42D_4C95_7F2D &+ 0x1405_7B7E_F767_814F
      let unit = Double(state >> 40) * 0x1p-24
      switch operand.content {
      case .integers(let range): return (Double(range.count) * unit).rounded(.down) + Double(range.lowerBound)
      case .values(let values): return values[0]
      default: return 2 * unit - 1
      }
    }
    return Tensor(values, dtype: type.dtype, shape: type.shape)
  }

  private let rows: [OpCase] = [
    .of(Add.self, "4M", [.normal([4096, 1024]), .normal([4096, 1024])]),
    .of(Add.self, "256k", [.normal([256, 1024]), .normal([256, 1024])]),
    .of(Add.self, "8k", [.normal([64, 128]), .normal([64, 128])]),
    .of(Add.self, "10 numbers", [.normal([10]), .normal([10])]),
    .of(Add.self, "32x128", [.normal([32, 128]), .normal([32, 128])]),
    .of(Exp.self, "4M", [.normal([4096, 1024])]),
    .of(Cast.self, "4M to f16", [.normal([4096, 1024])], [("dtype", .dtype(.f16))]),
    .of(Sum.self, "all of 4M", [.normal([4096, 1024])]),
    .of(Sum.self, "rows of 4M", [.normal([4096, 1024])], [("axis", .int(1))]),
    .of(Sum.self, "columns of 4M", [.normal([4096, 1024])], [("axis", .int(0))]),
    .of(Sum.self, "columns of 32x128", [.normal([32, 128])], [("axis", .int(0))]),
    .of(Sum.self, "rows of 32x10", [.normal([32, 10])], [("axis", .int(1))]),
    .of(LogSumExp.self, "rows of 4M", [.normal([4096, 1024])], [("axis", .int(1))]),
    .of(Argmax.self, "rows of 4M", [.normal([4096, 1024])], [("axis", .int(1))]),
    .of(Softmax.self, "rows of 4M", [.normal([4096, 1024])], [("axis", .int(1))]),
    .of(Softmax.self, "columns of 4M", [.normal([4096, 1024])], [("axis", .int(0))]),
    .of(
      SoftmaxGradient.self, "rows of 4M", [.normal([4096, 1024]), .normal([4096, 1024])],
      [("axis", .int(1))]),
    .of(Sort.self, "256 rows of 1024", [.normal([256, 1024])]),
    .of(CrossEntropy.self, "32x10", [.normal([32, 10]), .integers([32], 0...9)]),
    .of(CrossEntropy.self, "4096x1000", [.normal([4096, 1000]), .integers([4096], 0...999)]),
    .of(
      CrossEntropyGradient.self, "4096x1000",
      [.normal([4096, 1000]), .integers([4096], 0...999), .normal([])]),
    .of(LayerNorm.self, "4M", [.normal([4096, 1024]), .normal([1024]), .normal([1024])]),
    .of(LayerNormGradient.self, "4M", [.normal([4096, 1024]), .normal([1024]), .normal([4096, 1024])]),
    .of(Concat.self, "columns of 4M", [.normal([4096, 512]), .normal([4096, 512])], [("axis", .int(1))]),
    .of(Normal.self, "4M", [.values([1, 2], [2], dtype: .i64)], [("shape", .ints([4096, 1024]))]),
    .of(Gather.self, "8192 rows of 256", [.normal([10_000, 256]), .integers([8192], 0...9999)]),
    .of(
      ScatterAdd.self, "8192 rows of 256", [.integers([8192], 0...9999), .normal([8192, 256])],
      [("size", .int(10_000))]),
  ]

  private let products: [OpCase] = [
    .of(MatMul.self, "1024^3", [.normal([1024, 1024]), .normal([1024, 1024])]),
    .of(MatMul.self, "512^3", [.normal([512, 512]), .normal([512, 512])]),
    .of(MatMul.self, "256^3", [.normal([256, 256]), .normal([256, 256])]),
    .of(MatMul.self, "32x64x128", [.normal([32, 64]), .normal([64, 128])]),
    .of(MatMul.self, "8x8x8", [.normal([8, 8]), .normal([8, 8])]),
    .of(MatMul.self, "4096x1024x4096", [.normal([4096, 1024]), .normal([1024, 4096])]),
    .of(MatMul.self, "256x16384x256", [.normal([256, 16384]), .normal([16384, 256])]),
    .of(MatMul.self, "64x65536x10", [.normal([64, 65536]), .normal([65536, 10])]),
    .of(MatMul.self, "64 of 128x64x128", [.normal([64, 128, 64]), .normal([64, 64, 128])]),
    .of(
      Attention.self, "32 heads of 256x64",
      [.normal([32, 256, 64]), .normal([32, 256, 64]), .normal([32, 256, 64])], [("causal", .bool(true))]),
    .of(
      AttentionGradient.self, "32 heads of 256x64",
      [.normal([32, 256, 64]), .normal([32, 256, 64]), .normal([32, 256, 64]), .normal([32, 256, 64])],
      [("causal", .bool(true))]),
    .of(
      Attention.self, "1 head of 2048x64",
      [.normal([1, 2048, 64]), .normal([1, 2048, 64]), .normal([1, 2048, 64])]),
    .of(
      AttentionGradient.self, "1 head of 2048x64",
      [.normal([1, 2048, 64]), .normal([1, 2048, 64]), .normal([1, 2048, 64]), .normal([1, 2048, 64])]),
  ]

  private let images: [OpCase] = [
    .of(
      Conv2D.self, "32x32x28x28, 64 of 3x3", [.normal([32, 32, 28, 28]), .normal([64, 32, 3, 3])],
      [("padding", .int(1))]),
    .of(
      Conv2D.self, "1x32x112x112, 64 of 3x3", [.normal([1, 32, 112, 112]), .normal([64, 32, 3, 3])],
      [("padding", .int(1))]),
    .of(
      Conv2DInputGradient.self, "32x32x28x28, 64 of 3x3",
      [.normal([32, 64, 28, 28]), .normal([64, 32, 3, 3])],
      [("size", .ints([28, 28])), ("padding", .int(1))]),
    .of(
      Conv2DWeightGradient.self, "32x32x28x28, 64 of 3x3",
      [.normal([32, 32, 28, 28]), .normal([32, 64, 28, 28])],
      [("size", .ints([3, 3])), ("padding", .int(1))]),
    .of(
      Conv2DWeightGradient.self, "256x1x28x28, 16 of 3x3",
      [.normal([256, 1, 28, 28]), .normal([256, 16, 28, 28])],
      [("size", .ints([3, 3])), ("padding", .int(1))]),
    .of(MaxPool.self, "32x64x28x28", [.normal([32, 64, 28, 28])], [("size", .int(2))]),
    .of(
      MaxPoolGradient.self, "32x64x28x28", [.normal([32, 64, 28, 28]), .normal([32, 64, 14, 14])],
      [("size", .int(2))]),
  ]
}

extension OpCase {
  fileprivate var types: [TensorType] {
    sample.operands.map { TensorType($0.dtype ?? dtype ?? .f32, $0.shape) }
  }
}
