import Drawings
import Testing

struct AxisTests {
  private func labels(_ range: ClosedRange<Double>, _ fit: Axis.Fit = .init()) -> [String] {
    Axis(range, fit).ticks.map(\.label)
  }

  @Test func ticksAreOneTwoOrFiveTimesAPowerOfTen() {
    #expect(labels(0...1) == ["0", "0.2", "0.4", "0.6", "0.8", "1.0"])
    #expect(labels(-3.2...7.1) == ["-2", "0", "2", "4", "6"])
    #expect(labels(0...1797) == ["0", "500", "1000", "1500"])
    #expect(labels(0...3e-7, .init(wanted: 3)) == ["0", "1e-7", "2e-7", "3e-7"])
    #expect(labels(0...2.5e9) == ["0", "5e8", "1e9", "1.5e9", "2e9", "2.5e9"])
    #expect(labels(0...2, .init(isWhole: true)) == ["0", "1", "2"])
  }

  @Test func logarithmicTicksArePowersOfTen() {
    #expect(labels(1e-5...1, .init(isLogarithmic: true)) == ["1e-5", "1e-4", "0.001", "0.01", "0.1", "1"])
    #expect(labels(1.5...9, .init(isLogarithmic: true)) == ["2", "5"])
    #expect(labels(1e-30...1e30, .init(isLogarithmic: true)).count <= 6)
  }

  /// Ranges at which arithmetic of doubles breaks down: ticks are finite, increase, and lie on the axis.
  @Test(arguments: [
    0.0...0.0, 5e-324...5e-324, 0...5e-324, -1.7976931348623157e308...1.7976931348623157e308, 1e308...1.7e308, 1e16...1e16 + 2,
    1...1.0000000000000002, -1e-310...1e-310, 1e-300...1e300, -0.0...0.0,
  ])
  func extremeRangesHaveTicks(range: ClosedRange<Double>) {
    for fit in [Axis.Fit(), .init(extends: true), .init(isWhole: true), .init(wanted: 40, extends: true)] {
      let axis = Axis(range, fit)
      #expect(axis.low < axis.high && axis.low.isFinite && axis.high.isFinite)
      #expect(!axis.ticks.isEmpty || fit.isWhole && range.upperBound - range.lowerBound < 1)
      #expect(axis.ticks.count <= 100)
      #expect(zip(axis.ticks, axis.ticks.dropFirst()).allSatisfy { $0.value < $1.value })
      for tick in axis.ticks { #expect((-1e-9...1 + 1e-9).contains(axis.position(tick.value)), "\(tick) of \(range)") }
    }
  }

  @Test func axesWithoutValuesHaveTicks() {
    #expect(!Axis(nil, .init()).ticks.isEmpty)
    #expect(!Axis(nil, .init(isLogarithmic: true)).ticks.isEmpty)
  }
}
