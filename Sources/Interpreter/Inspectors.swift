import Drawings
import Glibc
import Support
import Tensors

/// What `bits(value, dtype)` gives: a number as a float stores it.
final class BitPicture: ObjectValue {
  private let given: Double
  private let dtype: DType
  private let float: FloatFormat
  private let pattern: UInt64

  init(_ given: Double, _ dtype: DType, _ float: FloatFormat) {
    self.given = given
    self.dtype = dtype
    self.float = float
    pattern = bitPattern(of: Tensor([given], dtype: dtype, shape: .scalar))
  }

  private var sign: UInt64 { pattern >> UInt64(float.bitCount - 1) }
  private var exponentField: Int { Int(pattern >> UInt64(float.mantissaBits)) & ((1 << float.exponentBits) - 1) }
  private var mantissaField: UInt64 { pattern & ((1 << UInt64(float.mantissaBits)) - 1) }
  private var stored: Double { value(pattern) }

  private func value(_ pattern: UInt64) -> Double { number(ofBits: pattern, dtype) }

  override var kind: String { "bits" }
  override var memberNames: [String] { ["sign", "exponent", "mantissa", "value", "error", "spacing"] }
  override func member(_ name: String) -> Value? {
    switch name {
    case "sign": .string(digits(sign, 1))
    case "exponent": .string(digits(UInt64(exponentField), float.exponentBits))
    case "mantissa": .string(digits(mantissaField, float.mantissaBits))
    case "value": .double(stored)
    case "error": .double(stored - given)
    case "spacing": .double(spacing)
    default: nil
    }
  }

  private func digits(_ bits: UInt64, _ count: Int) -> String {
    let text = String(bits, radix: 2)
    return String(repeating: "0", count: max(0, count - text.count)) + text
  }

  /// The neighbours nearer to zero and farther from it.
  private var neighbours: (inner: Double, outer: Double) {
    let magnitude = pattern & ~(1 << UInt64(float.bitCount - 1))
    let signBit = sign << UInt64(float.bitCount - 1)
    let smallest = value(1)
    let inner = magnitude == 0 ? (sign == 1 ? smallest : -smallest) : value(signBit | (magnitude - 1))
    return (inner, value(signBit | (magnitude + 1)))
  }

  private var spacing: Double { abs(neighbours.outer - stored) }

  override var summary: String {
    let fields = [digits(sign, 1), digits(UInt64(exponentField), float.exponentBits), digits(mantissaField, float.mantissaBits)]
    let names = ["S", "exponent", "mantissa"]
    let widths = zip(fields, names).map { max($0.count, $1.count) }
    let top = " " + zip(fields, widths).map { padded($0, $1) }.joined(separator: " ")
    let below = " " + zip(names, widths).map { padded($0, $1) }.joined(separator: " ")
    let remark = distance
    return "\(top)   \(dtype)  \(meaning)\n" + (remark.isEmpty ? below.trimmedAtEnd : "\(below)   \(remark)")
  }

  private func short(_ number: Double, _ digits: Int = 4) -> String {
    Interpreter.shortNumber(number, digits)
  }

  private var meaning: String {
    let signText = sign == 1 ? "-" : "+"
    if stored.isNaN { return "not a number" }
    if stored.isInfinite { return "\(signText)infinity: beyond \(short(float.largest, 6)), the largest number" }
    if stored == 0 { return "\(signText)0" }
    let isSubnormal = exponentField == 0
    let exponent = isSubnormal ? 1 - float.bias : exponentField - float.bias
    let significand = abs(stored) / Double(sign: .plus, exponent: exponent, significand: 1)
    let note = isSubnormal ? "  subnormal: no leading 1, fewer digits" : ""
    return "\(signText)\(plain(significand)) × 2^\(exponent)  =  \(plain(stored))\(note)"
  }

  private func plain(_ number: Double) -> String {
    let text = "\(number)"
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }

  private var distance: String {
    if given.isNaN || stored.isNaN { return "" }
    if stored.isInfinite { return given.isInfinite ? "" : "\(plain(given)) overflows" }
    let (inner, outer) = neighbours
    let off = stored - given
    // A number of the program is an f64 itself.
    let start = dtype == .f64 ? "f64 has it" : off == 0 ? "\(plain(given)) is exact" : stored == 0 ? "\(plain(given)) is lost" : "\(plain(given)) is off by \(short(abs(off), 2))"
    // As many digits as tell neighbours apart.
    let digits = 2 + (float.mantissaBits + 1) * 3 / 10
    let (low, high) = inner < outer ? (inner, outer) : (outer, inner)
    return "\(start); the neighbours are \(short(low, digits)) and \(short(high, digits)) (\(short(spacing, 2)) apart)"
  }
}

/// What `histogram(tree, dtype)` gives: how many of its numbers have which power of two, and which of them a float of that
/// dtype would lose.
final class FloatHistogram: ObjectValue {
  /// The numbers of one tensor.
  struct Part {
    let path: String
    /// By exponent of two.
    var counts: [Int: Int] = [:]
    var zeros = 0
    var nonFinite = 0
    /// Of those that are not 0 and finite.
    var smallest = Double.infinity
    var largest = 0.0
    var lost = 0
    var overflowing = 0
    /// Of updates: how many do not change their weight.
    var swamped = 0
    /// Of updates, by the exponent of their size over that of their weight, where neither is 0.
    var ratios: [Int: Int] = [:]
    var total = 0

    init(_ path: String) { self.path = path }

    mutating func join(_ other: Part) {
      counts.merge(other.counts, uniquingKeysWith: +)
      zeros += other.zeros
      nonFinite += other.nonFinite
      smallest = min(smallest, other.smallest)
      largest = max(largest, other.largest)
      lost += other.lost
      overflowing += other.overflowing
      swamped += other.swamped
      ratios.merge(other.ratios, uniquingKeysWith: +)
      total += other.total
    }
  }

  private let dtype: DType
  private let float: FloatFormat
  private let parts: [Part]
  private let all: Part
  private let comparesWeights: Bool

  init(_ parts: [Part], _ dtype: DType, _ float: FloatFormat, comparesWeights: Bool) {
    self.parts = parts
    self.dtype = dtype
    self.float = float
    self.comparesWeights = comparesWeights
    var all = Part("all")
    for part in parts { all.join(part) }
    self.all = all
  }

  /// Counts the numbers of a tensor; beside `weights`, an update counts as swamped where it changes nothing.
  static func part(_ path: String, _ tensor: Tensor, _ dtype: DType, _ float: FloatFormat, weights: Tensor?) -> Part {
    var part = Part(path)
    let values = tensor.doubles()
    part.total = values.count
    for value in values {
      let size = abs(value)
      if size == 0 {
        part.zeros += 1
      } else if !size.isFinite {
        part.nonFinite += 1
      } else {
        part.counts[Int(size.exponent), default: 0] += 1
        part.smallest = min(part.smallest, size)
        part.largest = max(part.largest, size)
        if size <= float.underflow { part.lost += 1 }
        if size >= float.overflow { part.overflowing += 1 }
      }
    }
    if let weights {
      let exact = weights.doubles()
      let old = Tensor(exact, dtype: dtype, shape: weights.shape).doubles()
      let new = Tensor(zip(old, values).map { $0 + $1 }, dtype: dtype, shape: weights.shape).doubles()
      for index in values.indices where values[index] != 0 && values[index].isFinite {
        if new[index] == old[index] { part.swamped += 1 }
        let ratio = abs(values[index] / exact[index])
        if ratio > 0, ratio.isFinite { part.ratios[Int(ratio.exponent), default: 0] += 1 }
      }
    }
    return part
  }

  override var kind: String { "histogram" }
  override var memberNames: [String] { ["lost", "overflow", "swamped", "zeros", "non_finite", "low", "high", "paths"] }
  override func member(_ name: String) -> Value? {
    let nonZero = max(all.total - all.zeros, 1)
    return switch name {
    case "lost": .double(Double(all.lost) / Double(nonZero))
    case "overflow": .double(Double(all.overflowing) / Double(nonZero))
    case "swamped": .double(Double(all.swamped) / Double(nonZero))
    case "zeros": .int(all.zeros)
    case "non_finite": .int(all.nonFinite)
    // The powers of two between which a scale loses nothing.
    case "low": window(all).map { .int($0.low) } ?? Value.none
    case "high": window(all).map { .int($0.high) } ?? Value.none
    case "paths": .list(parts.map { part in
      .record([
        "path": .string(part.path), "lost": .double(Double(part.lost) / Double(max(part.total - part.zeros, 1))),
        "swamped": .double(Double(part.swamped) / Double(max(part.total - part.zeros, 1))),
        "low": window(part).map { .int($0.low) } ?? Value.none, "high": window(part).map { .int($0.high) } ?? Value.none,
      ])
    })
    default: nil
    }
  }

  /// The powers of two by which all may be multiplied so that nothing is lost; empty where low is above high.
  private func window(_ part: Part) -> (low: Int, high: Int)? {
    guard part.largest > 0 else { return nil }
    return (float.scales(keeping: part.smallest).lowerBound, float.scales(keeping: part.largest).upperBound)
  }

  /// The smallest power of two with which at most half as many are lost.
  private var halving: Int? {
    guard all.lost > 1, let lowest = all.counts.keys.min() else { return nil }
    // Whole powers of two move whole columns, but for what lies on the edge itself.
    let edge = float.underflowExponent
    return (1...max(1, edge - lowest)).first { shift in
      2 * all.counts.reduce(0) { $0 + ($1.key + shift < edge ? $1.value : 0) } <= all.lost
    }
  }

  // MARK: Text

  private static let mostColumns = 60

  /// Below this exponent an update is lost beside its weight: half of the distance between neighbours, at most.
  private var swampingEdge: Int { -float.mantissaBits - 1 }

  /// The exponents that a picture shows.
  private func range(_ counts: [Int: Int], edges: [Int]) -> ClosedRange<Int> {
    var low = (counts.keys.min() ?? 0) - 1
    var high = (counts.keys.max() ?? 0) + 1
    // The lines come in where they are near; what is farthest below is counted in the first column.
    for edge in edges {
      if edge <= low, low - edge < 20 { low = edge - 1 }
      if edge >= high, edge - high < 20 { high = edge + 1 }
    }
    if high - low >= FloatHistogram.mostColumns { low = high - FloatHistogram.mostColumns + 1 }
    return low...max(high, low + 8)
  }

  private var edges: [Int] { [float.underflowExponent, Int(float.largest.exponent)] }

  private func share(_ count: Int, of part: Part) -> String {
    let nonZero = part.total - part.zeros
    return nonZero == 0 ? "0 %" : (format(100 * Double(count) / Double(nonZero), spec: ".3g") ?? "0") + " %"
  }

  override var summary: String {
    guard all.largest > 0 else { return "histogram of \(grouped(all.total)) numbers: all of them \(all.zeros == all.total ? "0" : "0 or not finite")" }
    let edge = edges[0]
    var lines = picture(all.counts, "log2|x|", from: edge, to: edges[1], "\(dtype) keeps what lies between the lines")
    lines.append("")
    if all.zeros > 0 { lines.append(" \(grouped(all.zeros)) of \(grouped(all.total)) are 0") }
    if all.nonFinite > 0 { lines.append(" \(grouped(all.nonFinite)) are infinite or no numbers") }
    lines.append(
      all.lost == 0
        ? " none \(all.zeros + all.nonFinite > 0 ? "of the others " : "")falls to 2^\(edge) or below" : " \(share(all.lost, of: all)) \(all.zeros + all.nonFinite > 0 ? "of the others " : "")fall to 2^\(edge) or below, and are lost in \(dtype)")
    if all.overflowing > 0 { lines.append(" \(share(all.overflowing, of: all)) are beyond \(Interpreter.shortNumber(float.largest, 6)), the largest \(dtype)") }
    if comparesWeights { lines.append(" \(share(all.swamped, of: all)) of the updates are too small beside their weights: w + u is w") }
    if let window = window(all) {
      lines.append(
        window.low <= window.high
          ? " scales that keep everything: 2^\(window.low) … 2^\(window.high)"
          : " no scale keeps everything: the smallest wants 2^\(window.low), the largest bears 2^\(window.high)")
    }
    if let halving { lines.append(" × \(halving > 20 ? "2^\(halving)" : grouped(1 << halving)) would already keep half of the lost") }
    if comparesWeights, !all.ratios.isEmpty {
      lines.append("")
      lines += picture(all.ratios, "log2|u/w|", from: swampingEdge, to: nil, "left of the line w + u is w in \(dtype)")
    }
    if parts.count > 1 { lines += [""] + table }
    return lines.joined(separator: "\n")
  }

  /// Columns for powers of two, a line before the first that is kept and one behind the last.
  private func picture(_ counts: [Int: Int], _ name: String, from edge: Int, to end: Int?, _ legend: String) -> [String] {
    let range = range(counts, edges: [edge] + (end.map { [$0] } ?? []))
    let heights = range.map { exponent -> Int in
      var count = counts[exponent] ?? 0
      if exponent == range.lowerBound { count = counts.reduce(0) { $0 + ($1.key <= exponent ? $1.value : 0) } }
      if exponent == range.upperBound { count = counts.reduce(0) { $0 + ($1.key >= exponent ? $1.value : 0) } }
      return count
    }
    let top = max(heights.max() ?? 1, 1)
    var axis = [Character](repeating: " ", count: range.count + 2)
    var picture = ""
    var marker = [Character](repeating: " ", count: range.count + 2)
    var column = 0
    for (exponent, count) in zip(range, heights) {
      if exponent == edge {
        marker[column] = "└"
        picture += "│"
        column += 1
      }
      picture.append(count == 0 ? " " : count * 8 < top ? "·" : Bars.eighths[count * 8 / top])
      if exponent % 8 == 0 {
        let label = Array("\(exponent)")
        let start = column - label.count + 1
        if start >= 0 { for (index, character) in label.enumerated() { axis[start + index] = character } }
      }
      column += 1
      if exponent == end {
        picture += "│"
        marker[min(column, marker.count - 1)] = "┘"
        column += 1
      }
    }
    let margin = " \(name) "
    let indent = String(repeating: " ", count: margin.count)
    var lines = [margin + String(axis).trimmedAtEnd, indent + picture.trimmedAtEnd]
    if marker.contains("└") || marker.contains("┘") { lines.append(indent + String(marker).trimmedAtEnd + " " + legend) }
    return lines
  }

  private var table: [String] {
    var rows = [["", "largest", "smallest", "lost"] + (comparesWeights ? ["swamped"] : []) + ["scales that keep all"]]
    for part in parts {
      let window = window(part)
      rows.append(
        [part.path.isEmpty ? "value" : part.path, part.largest > 0 ? "2^\(Int(part.largest.exponent))" : "—",
         part.largest > 0 ? "2^\(Int(part.smallest.exponent))" : "—", share(part.lost, of: part)]
          + (comparesWeights ? [share(part.swamped, of: part)] : [])
          + [window.map { $0.low <= $0.high ? "2^\($0.low) … 2^\($0.high)" : "none" } ?? "—"])
    }
    return aligned(rows, gap: 2).map { " " + $0 }
  }

  // MARK: SVG

  override var svg: String? {
    let ranges = [range(all.counts, edges: [edges[0], edges[1] + 1])] + (comparesWeights ? [range(all.ratios, edges: [swampingEdge])] : [])
    let width = Double(ranges.map(\.count).max()!) * FloatHistogram.barWidth
    var svg = SVG(width: max(FloatHistogram.left + width + 80, 560), height: 290 * Double(ranges.count))
    svg.useSeries(2)
    panel(
      all.counts, ranges[0], top: 56, "log2 of \(grouped(all.total)) magnitudes, and what \(dtype) keeps",
      [(edges[0], "lost"), (edges[1] + 1, "overflow")], on: &svg)
    if comparesWeights {
      panel(
        all.ratios, ranges[1], top: 346,
        "log2 of updates over their weights: \(share(all.swamped, of: all)) change nothing in \(dtype)",
        [(swampingEdge, "w + u is w")], on: &svg)
    }
    return svg.document
  }

  private static let left = 60.0
  private static let barWidth = 12.0

  /// Bars for powers of two with lines before some of them.
  private func panel(
    _ counts: [Int: Int], _ range: ClosedRange<Int>, top: Double, _ title: String,
    _ rules: [(exponent: Int, label: String)], on svg: inout SVG
  ) {
    let height = 200.0
    let exponents = Axis(
      low: Double(range.lowerBound), high: Double(range.upperBound + 1),
      ticks: range.filter { $0 % 8 == 0 }.map { .init(Double($0) + 0.5, "\($0)") })
    let most = Axis(
      0...Double(max(range.map { counts[$0] ?? 0 }.max() ?? 1, 1)), .init(wanted: 4, extends: true, isWhole: true))
    let frame = SVGFrame(
      left: FloatHistogram.left, top: top, width: Double(range.count) * FloatHistogram.barWidth, height: height, exponents, most)
    frame.draw(on: &svg, title: nil)
    svg.text(title, frame.left, top - 32, attributes: " font-size=\"14\"")
    for exponent in range {
      guard let count = counts[exponent] else { continue }
      let y = frame.y(Double(count))
      svg.rectangle(
        frame.x(Double(exponent)) + 0.5, y, width: FloatHistogram.barWidth - 1, height: top + height - y,
        class: SVG.fillClass(0), title: "2^\(exponent): \(grouped(count))")
    }
    for (exponent, label) in rules where range.contains(exponent) {
      let x = frame.x(Double(exponent))
      svg.line(x, top - 8, x, top + height, class: SVG.lineClass(1))
      svg.text(label, x, top - 12, .middle)
    }
  }
}

/// The bits of a single number as it is stored.
private func bitPattern(of tensor: Tensor) -> UInt64 {
  var pattern: UInt64 = 0
  withUnsafeMutableBytes(of: &pattern) { bytes in
    bytes.copyMemory(from: UnsafeRawBufferPointer(start: tensor.firstElement, count: tensor.dtype.byteCount))
  }
  return pattern
}

/// The number that bits of a dtype stand for.
private func number(ofBits pattern: UInt64, _ dtype: DType) -> Double {
  let tensor = Tensor(uninitialized: TensorType(dtype, .scalar))
  withUnsafeBytes(of: pattern) { bytes in
    tensor.firstElement.copyMemory(from: bytes.baseAddress!, byteCount: dtype.byteCount)
  }
  return tensor.scalar
}

extension Interpreter {
  /// A number in so many digits: `6.1e-05` is `6.1e-5`.
  static func shortNumber(_ number: Double, _ digits: Int) -> String {
    var text = format(number, spec: ".\(digits)g") ?? "\(number)"
    if let mark = text.firstIndex(of: "e") {
      let exponent = Int(text[text.index(after: mark)...]) ?? 0
      text = text[..<mark] + "e\(exponent)"
    }
    return text
  }
}

var inspectorBuiltins: [Builtin] {
  [
    Builtin(
      "bits", "value, dtype = f32",
      """
      A number as a float of a dtype stores it: sign, exponent and mantissa, the number that they stand for, how far that
      is from the one given, and the numbers next to it. Its fields: sign, exponent, mantissa (texts of 0 and 1), value,
      error, spacing.

      >>> bits(0.1, f16)
       0 01011    1001100110   f16  +1.599609375 × 2^-4  =  0.0999755859375
       S exponent mantissa     0.1 is off by 2.4e-5; the neighbours are 0.099915 and 0.10004 (6.1e-5 apart)
      """
    ) { call throws(Failure) in
      let value = try call.double(0, "the number")
      let dtype = try call.dtype(1, default: .f32)
      guard let float = dtype.format else {
        throw Failure("bad-argument", "`bits` is for floats, got \(dtype)", at: call.sites[1])
      }
      return .object(BitPicture(value, dtype, float))
    },
    Builtin(
      "summary", "tree",
      """
      A line for each tensor of a tree or a model, from one reading of its elements: bytes, the least, how they are spread,
      the greatest, mean, deviation, and how many are nan or infinite, which all the others leave out. The spread is of at
      most 16,384 elements, evenly chosen. Its fields, over all tensors: count, bytes, min, max, mean, deviation, nan, inf;
      rows, a list with the same of each, its path and type.

      >>> summary([1, 2, 3, 4])
      f32[4]  16 B  1  │█  █  █  █│  4  mean 2.5  deviation 1.291
      >>> summary((w: [0.5, nan], b: 1.0)).nan
      1
      """
    ) { call throws(Failure) in
      try requireWalkable(call[0], at: call.sites[0])
      return .object(try TensorSummary(pathsOfTensors(call[0], call, 0), call))
    },
    Builtin(
      "histogram", "tree, dtype = none, weights = none, bins = none, title = none",
      """
      How the numbers of a tensor or a tree are spread: `histogram(x)`, in so many `bins` of one width or as many as they
      bear. Its fields: counts, edges, non_finite.

      With a float dtype, how their sizes are spread over powers of two and what that dtype makes of them: what underflows,
      what overflows, the loss scales that keep everything, by path. With `weights`, a tree of the same form, the numbers
      are updates: also their sizes over those of their weights, and which are swamped, too small to change their weight in
      that dtype (f16 where none is given). Its fields: lost, overflow, swamped (shares), zeros, non_finite, low, high
      (powers of two), paths (a list with path, lost, swamped, low, high). `save("h.svg", histogram(g, f16))` draws it.

      >>> histogram([1, 2, 2, 3, 3, 3]).counts
      [1, 2, 3]
      >>> histogram([1e-9, 1e-3, 0.5], f16).lost
      0.3333333333333333
      """
    ) { call throws(Failure) in
      if call.isMissing(1), call.isMissing(2) { return try plainHistogram(call) }
      for (index, name) in [(3, "bins"), (4, "title")] where !call.isMissing(index) {
        throw Failure(
          "bad-argument", "`\(name)` is for a histogram of values: one through a dtype has powers of two", at: call.sites[index])
      }
      let dtype = try call.dtype(1, default: .f16)
      guard let float = dtype.format else {
        throw Failure("bad-argument", "`histogram` looks through a float dtype, got \(dtype)", at: call.sites[1])
      }
      try requireWalkable(call[0], at: call.sites[0])
      let found = try pathsOfTensors(call[0], call, 0)
      let weights = call.isMissing(2) ? nil : try pathsOfTensors(call[2], call, 2)
      if let weights, !weights.map({ $0.tensor.shape }).elementsEqual(found.map { $0.tensor.shape }) {
        throw Failure("tree-mismatch", "`histogram`: the weights differ in form from the updates", at: call.sites[2])
      }
      var parts: [FloatHistogram.Part] = []
      for (index, entry) in found.enumerated() {
        try call.interpreter.checkInterrupt(at: call.site)
        parts.append(FloatHistogram.part(entry.path, entry.tensor, dtype, float, weights: weights?[index].tensor))
      }
      return .object(FloatHistogram(parts, dtype, float, comparesWeights: weights != nil))
    },
  ]
}

private func plainHistogram(_ call: BuiltinCall) throws(Failure) -> Value {
  try requireWalkable(call[0], at: call.sites[0])
  let bins = call.isMissing(3) ? nil : try call.int(3, "the number of bins")
  if let bins, !(1...10_000).contains(bins) {
    throw Failure("bad-argument", "`histogram` has 1 to 10,000 bins, got \(grouped(bins))", at: call.sites[3])
  }
  let title = call.isMissing(4) ? nil : try call.string(4, "`title`")
  return try histogramOfValues(pathsOfTensors(call[0], call, 0).map(\.tensor), bins: bins, title: title, call)
}

/// The tensors of a tree with their paths; of a model its params.
private func pathsOfTensors(
  _ value: Value, _ call: BuiltinCall, _ argument: Int
) throws(Failure) -> [(path: String, tensor: Tensor)] {
  var found: [(path: String, tensor: Tensor)] = []
  func walk(_ value: Value, _ path: String) throws(Failure) {
    func inner(_ name: String) -> String { path.isEmpty ? name : path + "." + name }
    switch value {
    case .model: try walk(parameterTree(of: value) ?? .none, path)
    case .record(let record):
      for (index, item) in record.items.enumerated() { try walk(item, inner(record.names[index] ?? "\(index)")) }
    case .list(let list) where !call.interpreter.isTensorLike(value) || list.items.contains(where: { if case .tensor = $0 { true } else { false } }):
      for (index, item) in list.items.enumerated() { try walk(item, inner("\(index)")) }
    case .none: break
    default:
      guard let real = try call.interpreter.tensorValue(value, at: call.sites[argument]).tensor else {
        throw Failure(
          "traced-value", "`\(call.name)` looks at numbers, which a step does not have while it is traced", at: call.sites[argument])
      }
      found.append((path, real))
    }
  }
  try walk(value, "")
  return found
}
