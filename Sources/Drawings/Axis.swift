import Tensors

#if canImport(Glibc)
  import Glibc
#endif

/// How numbers lie along one side of a drawing, and which of them are written there.
package struct Axis: Sendable {
  package struct Tick: Sendable {
    package let value: Double
    package let label: String

    package init(_ value: Double, _ label: String) {
      self.value = value
      self.label = label
    }
  }

  package let low: Double
  package let high: Double
  package let isLogarithmic: Bool
  package let ticks: [Tick]
  /// The logarithms of the ends.
  private let logarithms: (low: Double, high: Double)

  package init(low: Double, high: Double, isLogarithmic: Bool = false, ticks: [Tick]) {
    self.low = low
    self.high = high
    self.isLogarithmic = isLogarithmic
    self.ticks = ticks
    logarithms = isLogarithmic ? (log10(low), log10(high)) : (0, 0)
  }

  /// Where a value lies, from 0 to 1 for those within, and no further off than -1 and 2; in the middle where the ends are
  /// one number, or too near to each other to tell.
  package func position(_ value: Double) -> Double {
    let position: Double
    if isLogarithmic {
      position = (log10(value) - logarithms.low) / (logarithms.high - logarithms.low)
    } else {
      let span = high - low
      // The distance of two numbers can be beyond the largest.
      position = span.isFinite ? (value - low) / span : (value / 2 - low / 2) / (high / 2 - low / 2)
    }
    return position.isNaN ? 0.5 : min(max(position, -1), 2)
  }

  /// Whether a value has a place on it.
  package func holds(_ value: Double) -> Bool { value.isFinite && (!isLogarithmic || value > 0) }

  // MARK: Fitting

  /// How an axis is fitted to values.
  package struct Fit {
    /// About how many ticks.
    package var wanted = 5
    package var isLogarithmic = false
    /// Whether the ends move out to ticks.
    package var extends = false
    /// Whether values are whole, so that nothing is written between them.
    package var isWhole = false

    package init(wanted: Int = 5, isLogarithmic: Bool = false, extends: Bool = false, isWhole: Bool = false) {
      self.wanted = wanted
      self.isLogarithmic = isLogarithmic
      self.extends = extends
      self.isWhole = isWhole
    }
  }

  /// - Parameter range: of finite values, for a logarithmic axis of positive ones; nil where there are none.
  package init(_ range: ClosedRange<Double>?, _ fit: Fit) {
    var (low, high) = range.map { ($0.lowerBound, $0.upperBound) } ?? (fit.isLogarithmic ? (1, 10) : (0, 1))
    if low == high { (low, high) = Axis.around(low, fit) }
    let wanted = max(fit.wanted, 2)
    if fit.isLogarithmic {
      self.init(low: low, high: high, isLogarithmic: true, ticks: Axis.decades(low, high, wanted))
      return
    }
    guard let step = Step(low, high, wanted, isWhole: fit.isWhole) else {
      self.init(low: low, high: high, ticks: [low, high].map { Tick($0, Axis.label(of: $0, digits: 6)) })
      return
    }
    if fit.extends { (low, high) = (step.value(step.below(low)), step.value(step.above(high))) }
    self.init(low: low, high: high, ticks: step.ticks(low, high))
  }

  /// A range around one value.
  private static func around(_ value: Double, _ fit: Fit) -> (Double, Double) {
    if fit.isLogarithmic {
      let (low, high) = (value / 2, value * 2)
      return (low > 0 ? low : value, high.isFinite ? high : value)
    }
    let distance = fit.isWhole ? 1 : value == 0 ? 1 : max(abs(value) / 2, .leastNonzeroMagnitude)
    return (max(value - distance, -.greatestFiniteMagnitude), min(value + distance, .greatestFiniteMagnitude))
  }

  // MARK: Ticks

  /// A distance between ticks: 1, 2 or 5 times a power of ten.
  private struct Step {
    let digit: Int
    let exponent: Int

    /// nil where doubles are too coarse, or too few, for a step.
    init?(_ low: Double, _ high: Double, _ wanted: Int, isWhole: Bool) {
      let raw = high / Double(wanted) - low / Double(wanted)
      guard raw.isNormal, max(abs(low), abs(high)) / raw < 1e12, raw > 1e-290 else { return nil }
      var exponent = Int(log10(raw).rounded(.down))
      let digit = raw / Axis.power(exponent)
      // The nearest of them by ratio.
      var chosen = digit < 2.0.squareRoot() ? 1 : digit < 10.0.squareRoot() ? 2 : digit < 50.0.squareRoot() ? 5 : 10
      if chosen == 10 { (chosen, exponent) = (1, exponent + 1) }
      if isWhole, exponent < 0 { (chosen, exponent) = (1, 0) }
      (self.digit, self.exponent) = (chosen, exponent)
    }

    var size: Double { value(1) }

    func value(_ count: Double) -> Double {
      let whole = count * Double(digit)
      let value = exponent >= 0 ? whole * Axis.power(exponent) : whole / Axis.power(-exponent)
      return min(max(value, -.greatestFiniteMagnitude), .greatestFiniteMagnitude)
    }

    func below(_ value: Double) -> Double { (value / size + 1e-9).rounded(.down) }
    func above(_ value: Double) -> Double { (value / size - 1e-9).rounded(.up) }

    func ticks(_ low: Double, _ high: Double) -> [Tick] {
      let (first, last) = (above(low), below(high))
      if first > last { return [] }
      let values = stride(from: first, through: last, by: 1).map { value($0) }
      let greatest = values.reduce(0) { max($0, abs($1)) }
      return values.map { value in
        // Minus nothing is nothing.
        if value == 0 { return Tick(0, "0") }
        if greatest >= 1e6 || greatest < 1e-3 {
          let digits = Int(log10(abs(value)).rounded(.down)) - exponent + 1
          return Tick(value, Axis.scientific(value, digits: max(digits, 1)))
        }
        return Tick(value, format(value, spec: ".\(max(0, -exponent))f") ?? "")
      }
    }
  }

  private static func decades(_ low: Double, _ high: Double, _ wanted: Int) -> [Tick] {
    let first = Int((log10(low) - 1e-9).rounded(.up))
    let last = Int((log10(high) + 1e-9).rounded(.down))
    if last > first {
      let every = max(1, Int((Double(last - first + 1) / Double(wanted)).rounded()))
      return stride(from: first, through: last, by: every).map { Tick(power($0), label(of: power($0), digits: 1)) }
    }
    // Too few powers of ten: 1, 2 and 5 times them, or any.
    let exponents = (Int(log10(low).rounded(.down)))...(Int(log10(high).rounded(.up)))
    let some = exponents.flatMap { exponent in [1.0, 2, 5].map { $0 * power(exponent) } }.filter { low <= $0 && $0 <= high }
    if some.count > 1 { return some.map { Tick($0, label(of: $0, digits: 2)) } }
    return Step(low, high, wanted, isWhole: false)?.ticks(low, high) ?? [low, high].map { Tick($0, label(of: $0, digits: 6)) }
  }

  /// Ten to a whole power; 1 over it where it is negative, which is nearer to the decimal.
  private static func power(_ exponent: Int) -> Double {
    exponent >= 0 || exponent < -300 ? pow(10, Double(exponent)) : 1 / pow(10, Double(-exponent))
  }

  // MARK: Labels

  /// A number in so many digits at most, without zeros at its end: `0.25`, `1e-6`.
  package static func label(of value: Double, digits: Int) -> String {
    if value == 0 { return "0" }
    if !value.isFinite { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
    let size = abs(value)
    if size >= 1e6 || size < 1e-3 { return scientific(value, digits: digits) }
    let exponent = Int(log10(size).rounded(.down))
    return withoutZeros(format(value, spec: ".\(max(0, digits - 1 - exponent))f") ?? "")
  }

  private static func scientific(_ value: Double, digits: Int) -> String {
    let text = format(value, spec: ".\(min(digits, 17) - 1)e") ?? ""
    guard let mark = text.firstIndex(of: "e") else { return text }
    let exponent = Int(text[text.index(after: mark)...].drop { $0 == "+" }) ?? 0
    return withoutZeros(String(text[..<mark])) + "e\(exponent)"
  }

  private static func withoutZeros(_ text: String) -> String {
    guard text.contains(".") else { return text }
    var text = text
    while text.last == "0" { text.removeLast() }
    if text.last == "." { text.removeLast() }
    return text
  }
}
