import Drawings
import Testing

struct ChartTests {
  @Test func peaksSurviveThinning() {
    var values = [Double](repeating: 0, count: 1_000_000)
    values[123_456] = 1
    values[654_321] = -1
    values[200_000] = .nan
    let curve = Curve(x: values.indices.map(Double.init), y: values)
    let axis = Axis(-1...1, .init())
    let runs = curve.runs(Axis(0...999_999, .init()), axis, columns: 150)
    #expect(runs.count == 2)
    let places = runs.flatMap { $0 }
    #expect(places.count < 4 * 152)
    #expect(places.map(\.y).max() == 1 && places.map(\.y).min() == 0)
    // Neighbours stay in order.
    for run in runs { #expect(zip(run, run.dropFirst()).allSatisfy { $0.x <= $1.x }) }
  }

  @Test func dotsAreThoseOfBraille() {
    var canvas = Canvas(columns: 2, rows: 1)
    canvas.dot(0, 0)
    canvas.dot(3, 3)
    canvas.dot(4, 0)
    canvas.dot(0, -1)
    #expect(canvas.lines(on: .plain) == ["⠁⢀"])
  }

  @Test func coloursNeverChangeTheShape() {
    var setting = LineChart.Setting()
    setting.title = "t"
    let chart = LineChart([.init(name: "a", curve: Curve(x: [0, 1, 2], y: [1, 4, 2]))], setting)
    let plain = chart.text(on: .plain)
    let colored = chart.text(on: Surface(width: 80, colors: .full))
    #expect(colored != plain)
    let codes = try! Regex("\u{1B}\\[[0-9;]*m")
    #expect(colored.replacing(codes, with: "") == plain)
  }

  @Test(arguments: [0, 50, 63, 80, 200, 100_000])
  func linesFitTheSurface(width: Int) {
    let surface = Surface(width: width, colors: .none)
    let values = (0..<500).map { Double($0 * $0 % 97) * 1e7 }
    let places = values.indices.map(Double.init)
    let long = String(repeating: "name ", count: 20)
    let line = LineChart([.init(name: long, curve: Curve(x: places, y: values)), .init(name: "b", curve: Curve(x: places, y: places))], .init())
    let scatter = ScatterChart(x: places, y: values, groups: places.map { Int($0) % 3 }, names: ["a", "b", "c"], .init())
    let heatmap = HeatmapChart(rows: 5, columns: 100, values: values, title: nil)
    var histogram = Histogram(0...9.7e8, count: 500, isWhole: false, bins: 300)
    values.forEach { histogram.add($0) }
    #expect(histogram.counts.reduce(0, +) == 500)
    for text in [
      line.text(on: surface), scatter.text(on: surface), heatmap.text(on: surface),
      histogram.text(title: nil, remark: "", on: surface),
    ] {
      let widest = text.split(separator: "\n").map(\.count).max()!
      #expect(widest <= surface.width, "\(text)")
    }
  }

  /// Lightness rises in even steps, so that the ramp is one in grey too.
  @Test func theRampIsEven() {
    func luminance(_ color: Color) -> Double {
      0.2126 * Double(color.red) + 0.7152 * Double(color.green) + 0.0722 * Double(color.blue)
    }
    let levels = (0...20).map { luminance(ColorRamp.color(at: Double($0) / 20)) }
    #expect(zip(levels, levels.dropFirst()).allSatisfy { $0 < $1 })
    #expect(ColorRamp.color(at: -1) == ColorRamp.color(at: 0) && ColorRamp.color(at: 2) == ColorRamp.color(at: 1))
  }

  @Test func textOfAProgramIsEscaped() {
    var setting = LineChart.Setting()
    setting.title = "<script>&\"\u{1B}[31m"
    let svg = LineChart([.init(name: "<b>", curve: Curve(x: [0, 1], y: [0, 1]))], setting).svg
    #expect(!svg.contains("<script>") && !svg.contains("<b>") && !svg.contains("\u{1B}"))
    #expect(svg.contains("&lt;script&gt;&amp;&quot;"))
  }

  @Test func edgesDecideTheBin() {
    var histogram = Histogram(0...1, count: 11, isWhole: false, bins: 10)
    for value in [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0] { histogram.add(value) }
    for (edge, value) in zip(histogram.edges, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]) {
      #expect(abs(edge - value) < 1e-15)
    }
    #expect(histogram.counts.reduce(0, +) == 11)
  }
}
