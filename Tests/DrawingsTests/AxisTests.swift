import Drawings
import Testing

struct AxisTests {
  @Test func ticksAreNiceNumbers() {
    #expect(Axis(0...1, .init(wanted: 5)).ticks.map(\.label) == ["0", "0.2", "0.4", "0.6", "0.8", "1.0"])
  }
}
