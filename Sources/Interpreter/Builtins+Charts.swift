import Drawings
import Kernels
import Support
import Tensors

var chartBuiltins: [Builtin] {
  [
    Builtin(
      "plot", "values…, x = none, title = none, x_label = none, y_label = none, log = none, name: argument…",
      """
      Draws numbers as a curve: `plot(y)`, `plot(x, y)`; several with a name each: `plot(loss: a, accuracy: b)`, or as
      fields of a record, or as rows of a matrix. With `log: "y"`, "x" or "xy" such axes are logarithmic. Numbers that
      are not finite are gaps. `save("loss.svg", plot(…))` writes it as a drawing.

      >>> plot([1, 4, 9, 16], title: "squares")
      squares
      20 ┤
         │
      15 ┤                                                                     ⣀⣀⠤⠤⠒⠒⠉
         │                                                             ⢀⣀⠤⠤⠒⠒⠉⠉
         │                                                     ⢀⣀⡠⠤⠔⠒⠊⠉⠁
      10 ┤                                            ⢀⣀⣀⠤⠤⠔⠒⠊⠉⠁
         │                                  ⣀⣀⡠⠤⠤⠔⠒⠒⠉⠉⠁
       5 ┤                       ⣀⣀⣀⡠⠤⠤⠒⠒⠊⠉⠉
         │      ⢀⣀⣀⣀⡠⠤⠤⠤⠤⠒⠒⠒⠒⠉⠉⠉⠉
       0 ┤⠒⠒⠊⠉⠉⠉⠁
         └┬────────────────────────┬────────────────────────┬────────────────────────┬
          0                        1                        2                        3
      """
    ) { call throws(Failure) in try plot(call) },
    Builtin(
      "scatter", "x, y = none, labels = none, title = none, x_label = none, y_label = none",
      """
      Draws points: `scatter(x, y)`, or the two columns of a matrix, `scatter(points)`. `labels` are whole numbers or texts,
      one a point, that colours tell apart, and characters where there are none. `save("points.svg", scatter(…))` draws.

      >>> scatter([0, 1, 2], [0, 1, 4], labels: ["a", "b", "b"]).points
      3
      """
    ) { call throws(Failure) in try scatter(call) },
    Builtin(
      "heatmap", "matrix, title = none",
      """
      Draws a matrix, its first row on top: as colours, and as shades where there are none. A large one is drawn by the
      means of its parts. `save("weights.svg", heatmap(w))` draws.

      >>> heatmap([[0, 1, 2], [3, 4, 5]])
      0 ┤  ░░▒▒│
      1 ┤▓▓████│
        └─┬─┬─┬
          0 1 2
         0 │  ░░▒▒▓▓██│ 5
      """
    ) { call throws(Failure) in try heatmap(call) },
  ]
}

// MARK: - Numbers to draw

/// The most series of one plot and groups of one scatter plot.
private let mostSeries = 64

extension BuiltinCall {
  /// The numbers of a value, row by row, and its shape; numbers of the program keep all their digits.
  fileprivate func numbers(_ value: Value, at site: Site) throws(Failure) -> (values: [Double], shape: Shape) {
    switch value {
    case .int(let number): return ([Double(number)], .scalar)
    case .double(let number): return ([number], .scalar)
    case .bool(let flag): return ([flag ? 1 : 0], .scalar)
    case .range(let range):
      try interpreter.checkFits(elements: range.count, at: site)
      return ((range.start..<range.end).map(Double.init), [range.count])
    case .tensor(let tensor):
      guard let real = tensor.tensor else {
        throw Failure(
          "traced-value", "`\(name)` looks at numbers, which a step does not have while it is traced", at: site,
          help: "return them, and call `\(name)` outside the step")
      }
      try interpreter.checkFits(elements: real.elementCount, at: site)
      return (real.doubles(), real.shape)
    case .list(let list):
      try requireWalkable(value, at: site)
      var values: [Double] = []
      var inner: Shape?
      for item in list.items {
        let part = try numbers(item, at: site)
        if let inner, inner != part.shape {
          throw Failure("shape-mismatch", "the parts of the list differ in shape, \(inner) and \(part.shape)", at: site)
        }
        inner = part.shape
        values += part.values
      }
      return (values, Shape([list.items.count] + (inner ?? .scalar).sizes))
    case .object(let object) where object.count != nil:
      var values: [Double] = []
      for item in try self.list(of: value, at: site) { values.append(try hostDouble(item, "each number", at: site)) }
      return (values, [values.count])
    default:
      throw Failure("bad-argument", "`\(name)` draws numbers, got \(value.described)", at: site)
    }
  }

  private func list(of value: Value, at site: Site) throws(Failure) -> [Value] {
    var items: [Value] = []
    let iterator = try interpreter.iterate(value, at: site)
    while let item = try iterator.next() { items.append(item) }
    return items
  }

  /// Numbers in a row.
  fileprivate func row(_ value: Value, _ what: String, at site: Site) throws(Failure) -> [Double] {
    let (values, shape) = try numbers(value, at: site)
    guard shape.rank == 1 else {
      throw Failure(
        "bad-argument", "\(what) of `\(name)` is a list of numbers, got \(shape.rank == 0 ? "one number" : "the shape \(shape)")",
        at: site)
    }
    return values
  }

  fileprivate func text(_ index: Int, _ what: String) throws(Failure) -> String? {
    isMissing(index) ? nil : try string(index, what)
  }
}

// MARK: - plot

private func plot(_ call: BuiltinCall) throws(Failure) -> Value {
  var positional: [Int] = []
  var named: [Int] = []
  var place: Int?
  var setting = LineChart.Setting()
  for index in call.values.indices {
    switch call.labels[index] {
    case nil: positional.append(index)
    case "x": place = call.isMissing(index) ? nil : index
    case "title": setting.title = try call.text(index, "`title`")
    case "x_label": setting.horizontalName = try call.text(index, "`x_label`")
    case "y_label": setting.verticalName = try call.text(index, "`y_label`")
    case "log": if let axes = try call.text(index, "`log`") { setting.isLogarithmic = try logarithmic(axes, call, index) }
    case _?: named.append(index)
    }
  }
  // What stands before the series is where their points lie.
  if place == nil, positional.count == 2 || positional.count == 1 && !named.isEmpty { place = positional.removeFirst() }
  guard positional.count <= 1, !(positional.isEmpty && named.isEmpty), positional.isEmpty || named.isEmpty else {
    throw Failure(
      "bad-argument", "`plot` draws one series, or several with names", at: call.site,
      help: "write `plot(y)`, `plot(x, y)` or `plot(loss: a, accuracy: b)`")
  }
  var series: [(name: String?, values: [Double], site: Site)] = []
  if let index = positional.first { series = try allSeries(call[index], call, at: call.sites[index]) }
  for index in named {
    let name = call.labels[index] ?? ""
    series.append((name, try call.row(call[index], "`\(name)`", at: call.sites[index]), call.sites[index]))
  }
  guard series.count <= mostSeries else {
    throw Failure(
      "bad-argument", "`plot` draws up to \(mostSeries) series, got \(grouped(series.count))", at: call.site,
      notes: ["each row of a matrix is one"], help: "turn the matrix, `m.T`, or draw it as a `heatmap`")
  }
  var shared: [Double]?
  if let place { shared = try call.row(call[place], "`x`", at: call.sites[place]) }
  if let shared, let other = series.first(where: { $0.values.count != shared.count }) {
    throw Failure(
      "shape-mismatch", "`plot`: x has \(plural(shared.count, "number")), \(other.name.map { "`\($0)`" } ?? "y") has \(other.values.count)",
      at: other.site)
  }
  let chart = LineChart(
    series.map { series in
      LineChart.Series(
        name: series.name, curve: Curve(x: shared ?? series.values.indices.map(Double.init), y: series.values))
    }, setting)
  return .object(
    Chart(
      "plot", members: ["series": .int(series.count), "gaps": .int(chart.missing.notFinite + chart.missing.notPositive)],
      text: chart.text, svg: { chart.svg }))
}

private func logarithmic(
  _ axes: String, _ call: BuiltinCall, _ index: Int
) throws(Failure) -> (horizontal: Bool, vertical: Bool) {
  guard ["x", "y", "xy", "yx"].contains(axes) else {
    throw Failure("bad-argument", "`log` names axes, \"x\", \"y\" or \"xy\", got \"\(axes)\"", at: call.sites[index])
  }
  return (axes.contains("x"), axes.contains("y"))
}

/// One series, the rows of a matrix, or the fields of a record.
private func allSeries(
  _ value: Value, _ call: BuiltinCall, at site: Site
) throws(Failure) -> [(name: String?, values: [Double], site: Site)] {
  if case .record(let record) = value {
    var series: [(name: String?, values: [Double], site: Site)] = []
    for (index, item) in record.items.enumerated() {
      let name = record.names[index] ?? String(index)
      series.append((name, try call.row(item, "`\(name)`", at: site), site))
    }
    return series
  }
  // Series of a list need not be of one length.
  if case .list(let list) = value, list.items.contains(where: isRow) {
    var series: [(name: String?, values: [Double], site: Site)] = []
    for (index, item) in list.items.enumerated() {
      series.append((String(index), try call.row(item, "each series", at: site), site))
    }
    return series
  }
  let (values, shape) = try call.numbers(value, at: site)
  if shape.rank == 2 {
    let count = shape[1]
    return (0..<shape[0]).map { (String($0), Array(values[$0 * count..<($0 + 1) * count]), site) }
  }
  return [(nil, try call.row(value, "y", at: site), site)]
}

private func isRow(_ value: Value) -> Bool {
  switch value {
  case .list, .range: true
  case .tensor(let tensor): tensor.type.rank > 0
  default: false
  }
}

// MARK: - scatter

private func scatter(_ call: BuiltinCall) throws(Failure) -> Value {
  var (x, y): ([Double], [Double])
  if call.isMissing(1) {
    let (values, shape) = try call.numbers(call[0], at: call.sites[0])
    guard shape.rank == 2, shape[1] == 2 else {
      throw Failure(
        "bad-argument", "`scatter` without `y` draws a matrix of two columns, got the shape \(shape)", at: call.sites[0],
        help: "write `scatter(x, y)`")
    }
    x = (0..<shape[0]).map { values[2 * $0] }
    y = (0..<shape[0]).map { values[2 * $0 + 1] }
  } else {
    x = try call.row(call[0], "`x`", at: call.sites[0])
    y = try call.row(call[1], "`y`", at: call.sites[1])
    guard x.count == y.count else {
      throw Failure(
        "shape-mismatch", "`scatter`: x has \(plural(x.count, "number")), y has \(y.count)", at: call.sites[1])
    }
  }
  let (groups, names) = call.isMissing(2) ? ([], []) : try labels(call, count: x.count)
  var setting = LineChart.Setting()
  setting.title = try call.text(3, "`title`")
  setting.horizontalName = try call.text(4, "`x_label`")
  setting.verticalName = try call.text(5, "`y_label`")
  let chart = ScatterChart(x: x, y: y, groups: groups, names: names, setting)
  return .object(
    Chart("scatter plot", members: ["points": .int(x.count)], text: chart.text, svg: { chart.svg }))
}

/// The group of each point, and the names of the groups: texts as they come, numbers by their size.
private func labels(_ call: BuiltinCall, count: Int) throws(Failure) -> (groups: [Int], names: [String]) {
  let site = call.sites[2]
  var texts: [String] = []
  var names: [String] = []
  if case .list(let list) = call[2], list.items.contains(where: { if case .string = $0 { true } else { false } }) {
    for item in list.items {
      guard case .string(let string) = item else {
        throw Failure("bad-argument", "`labels` are all texts or all whole numbers, got \(item.described)", at: site)
      }
      texts.append(try string.text(at: site))
    }
    var seen: Set<String> = []
    names = texts.filter { seen.insert($0).inserted }
  } else {
    let values = try call.row(call[2], "`labels`", at: site)
    if let value = values.first(where: { $0 != $0.rounded() || abs($0) > 0x1p53 }) {
      throw Failure("bad-argument", "`labels` are whole numbers or texts, got \(format(number: value))", at: site)
    }
    texts = values.map { String(Int($0)) }
    names = Set(values).sorted().map { String(Int($0)) }
  }
  guard texts.count == count else {
    throw Failure(
      "shape-mismatch", "`scatter`: there \(count == 1 ? "is 1 point" : "are \(count) points") and \(plural(texts.count, "label"))",
      at: site)
  }
  guard names.count <= mostSeries else {
    throw Failure("bad-argument", "`scatter` tells up to \(mostSeries) labels apart, got \(grouped(names.count))", at: site)
  }
  let numbers = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, $0) })
  return (texts.map { numbers[$0]! }, names)
}

// MARK: - heatmap

private func heatmap(_ call: BuiltinCall) throws(Failure) -> Value {
  let (values, shape) = try call.numbers(call[0], at: call.sites[0])
  guard shape.rank == 1 || shape.rank == 2 else {
    throw Failure(
      "bad-argument", "`heatmap` draws a matrix, got \(shape.rank == 0 ? "one number" : "the shape \(shape)")", at: call.sites[0],
      help: shape.rank > 2 ? "draw one of them, or make it a matrix with `reshape`" : nil)
  }
  let (rows, columns) = shape.rank == 1 ? (1, shape[0]) : (shape[0], shape[1])
  let chart = HeatmapChart(rows: rows, columns: columns, values: values, title: try call.text(1, "`title`"))
  return .object(
    Chart("heatmap", members: ["rows": .int(rows), "columns": .int(columns)], text: chart.text, svg: { chart.svg }))
}

// MARK: - histogram

/// The numbers of a tree by their size.
func histogramOfValues(
  _ tensors: [Tensor], bins: Int?, title: String?, _ call: BuiltinCall
) throws(Failure) -> Value {
  var all = Statistics()
  // As far as a sample shows: bins around whole numbers hold all others too.
  var isWhole = true
  for tensor in tensors {
    try call.interpreter.checkInterrupt(at: call.site)
    let found = statistics(of: tensor.view)
    all.join(found)
    if tensor.dtype.isFractional, found.sample.contains(where: { $0.isFinite && $0 != $0.rounded() }) { isWhole = false }
  }
  let range = all.finiteCount > 0 ? all.least...all.greatest : nil
  var histogram = Histogram(range, count: all.finiteCount, isWhole: isWhole, bins: bins)
  for tensor in tensors {
    try call.interpreter.checkInterrupt(at: call.site)
    let (dtype, base) = (tensor.dtype, tensor.storage.base)
    tensor.forEachOffset { offset in
      let value = dtype.load(at: base, index: offset)
      if value.isFinite { histogram.add(value) }
    }
  }
  var remark = "\(grouped(all.count)) value\(all.count == 1 ? "" : "s")"
  if all.finiteCount > 0 { remark += ", mean \(Interpreter.shortNumber(all.mean, 4))" }
  if all.finiteCount > 1 { remark += ", deviation \(Interpreter.shortNumber(all.deviation, 4))" }
  if all.nanCount > 0 { remark += ", \(grouped(all.nanCount)) nan" }
  if all.infiniteCount > 0 { remark += ", \(grouped(all.infiniteCount)) infinite" }
  let (drawn, text) = (histogram, remark)
  return .object(
    Chart(
      "histogram",
      members: [
        "counts": .list(drawn.counts.map { .int($0) }), "edges": .list(drawn.edges.map { .double($0) }),
        "non_finite": .int(all.nanCount + all.infiniteCount),
      ], text: { drawn.text(title: title, remark: text, on: $0) }, svg: { drawn.svg(title: title, remark: text) }))
}
