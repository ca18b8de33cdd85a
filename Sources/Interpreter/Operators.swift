import Glibc
import Graphs
import Ops
import Support
import Tensors

/// The places of a binary expression.
struct BinarySites {
  let whole: Site
  let `operator`: Site
  let left: Site
  let right: Site
}
// What `+`, `@`, `<` and their kin mean for numbers, lists and tensors.

extension Interpreter {
  func binary(_ op: String, _ a: Value, _ b: Value, _ sites: BinarySites) throws(Failure) -> Value {
    switch (a, b) {
    case (.string(let a), .string(let b)) where op == "add":
      return try string(of: a.pieces + b.pieces, at: sites.operator)
    case (.list, .list), (.list, .int), (.list, .double), (.int, .list), (.double, .list):
      if let result = try elementwise(op, a, b, sites) { return result }
    default: break
    }
    guard isTensorLike(a), isTensorLike(b) else { throw badOperands(op, a, b, sites) }
    return try apply(OpTable.byName[op]!, [a, b], Attributes(), [sites.left, sites.right], at: sites.operator, sites.whole)
  }

  /// `+` and its kin on lists of host numbers stay lists: shapes are computed this way.
  private func elementwise(
    _ op: String, _ a: Value, _ b: Value, _ sites: BinarySites
  ) throws(Failure) -> Value? {
    func numbers(_ value: Value) -> [Value]? {
      guard case .list(let list) = value else { return nil }
      for item in list.items {
        switch item {
        case .int, .double: break
        case .tensor(let tensor) where tensor.isNumber: break
        default: return nil
        }
      }
      return list.items
    }
    let left = numbers(a)
    let right = numbers(b)
    if left == nil, case .list = a { return nil }
    if right == nil, case .list = b { return nil }
    let count = left?.count ?? right?.count ?? 0
    if let left, let right, left.count != right.count {
      throw Failure(
        "shape-mismatch", "lists of \(left.count) and \(right.count) numbers have no elementwise result",
        at: sites.operator,
        labels: [
          .init(site: sites.left, text: plural(left.count, "number")),
          .init(site: sites.right, text: plural(right.count, "number")),
        ], help: "`concat(a, b)` joins lists")
    }
    var items: [Value] = []
    for index in 0..<count {
      items.append(try scalar(op, left?[index] ?? a, right?[index] ?? b, sites))
    }
    return .list(ListValue(items, site: sites.whole))
  }

  private func scalar(_ op: String, _ a: Value, _ b: Value, _ sites: BinarySites) throws(Failure) -> Value {
    let left = ConstantNode(a, sites.left)
    let right = ConstantNode(b, sites.right)
    let node: Node =
      switch op {
      case Addition.op: AdditionNode(left, right, operatorSite: sites.operator, self, sites.whole)
      case Subtraction.op: SubtractionNode(left, right, operatorSite: sites.operator, self, sites.whole)
      case Multiplication.op: MultiplicationNode(left, right, operatorSite: sites.operator, self, sites.whole)
      case Division.op: DivisionNode(left, right, operatorSite: sites.operator, self, sites.whole)
      case FloorDivision.op: FloorDivisionNode(left, right, operatorSite: sites.operator, self, sites.whole)
      case Modulo.op: ModuloNode(left, right, operatorSite: sites.operator, self, sites.whole)
      default: PowerNode(left, right, operatorSite: sites.operator, self, sites.whole)
      }
    return try node.eval(top)
  }

  func power(_ a: Value, _ b: Value, _ sites: BinarySites) throws(Failure) -> Value {
    switch (a, b) {
    case (.int(let base), .int(let exponent)):
      if exponent < 0 { return .double(pow(Double(base), Double(exponent))) }
      var result = 1
      var factor = base
      var rest = exponent
      while true {
        if rest & 1 == 1 {
          let (product, overflow) = result.multipliedReportingOverflow(by: factor)
          if overflow { throw integerFailure(base, "^", exponent, at: sites.operator) }
          result = product
        }
        rest >>= 1
        if rest == 0 { return .int(result) }
        let (square, overflow) = factor.multipliedReportingOverflow(by: factor)
        if overflow { throw integerFailure(base, "^", exponent, at: sites.operator) }
        factor = square
      }
    case (.double(let base), .double(let exponent)): return .double(pow(base, exponent))
    case (.int(let base), .double(let exponent)): return .double(pow(Double(base), exponent))
    case (.double(let base), .int(let exponent)): return .double(pow(base, Double(exponent)))
    default:
      // A whole number to a negative power is a float, as outside a step: the sign becomes a guard.
      if isWholeNumber(a), isWholeNumber(b), try isNegative(b, at: sites.right) {
        let base = try cast(number: a, to: .f64, at: sites.left)
        return try binary("pow", base, cast(number: b, to: .f64, at: sites.right), sites)
      }
      return try binary("pow", a, b, sites)
    }
  }

  /// Whether it is a host number without a fraction, traced or not.
  private func isWholeNumber(_ value: Value) -> Bool {
    switch value {
    case .int: true
    case .tensor(let tensor): tensor.isNumber && tensor.dtype.isInteger
    default: false
    }
  }

  private func isNegative(_ number: Value, at site: Site) throws(Failure) -> Bool {
    if case .int(let number) = number { return number < 0 }
    return try truth(
      of: applyAll(
        OpTable.byName[Less.op]!, [number, .int(0)], Attributes(), [site, site], at: site, site)[0], at: site)
  }

  private func cast(number: Value, to dtype: DType, at site: Site) throws(Failure) -> Value {
    switch number {
    case .int(let number): return .double(Double(number))
    case .tensor(let tensor):
      do {
        return try build([tensor], at: site) { g, values in try g.cast(values[0], to: dtype) }
      } catch { throw Failure.from(error, at: site) }
    default: return number
    }
  }

  func unary(_ op: String, _ value: Value, at site: Site, operand: Site) throws(Failure) -> Value {
    guard isTensorLike(value) else {
      throw Failure("bad-operand", "cannot negate \(value.described)", at: site)
    }
    if case .list = value, op == "negate" {
      // As `-1 * list` does: numbers stay numbers.
      let sites = BinarySites(whole: site, operator: site, left: site, right: operand)
      if let list = try elementwise(Multiplication.op, .int(-1), value, sites) { return list }
    }
    return try apply(OpTable.byName[op]!, [value], Attributes(), [operand], at: site, site)
  }

  func matmul(_ a: Value, _ b: Value, _ sites: BinarySites) throws(Failure) -> Value {
    guard isTensorLike(a), isTensorLike(b) else { throw badOperands("@", a, b, sites) }
    let operands = [
      try tensorValue(a, at: sites.left), try tensorValue(b, at: sites.right),
    ]
    var dtype = operands[0].dtype.promoted(with: operands[1].dtype)
    if let lowPrecision, dtype == .f32 { dtype = lowPrecision }
    do {
      return try build(operands, at: sites.whole) { g, values in
        try g.matmul(try g.cast(values[0], to: dtype), try g.cast(values[1], to: dtype))
      }
    } catch {
      throw explain(error, operands, [sites.left, sites.right], op: "matmul", at: sites.operator)
    }
  }

  func compare(
    _ op: String, _ symbol: String, _ a: Value, _ b: Value, _ sites: BinarySites
  ) throws(Failure) -> Value {
    // Lists are equal or not as wholes; ordered against numbers they are tensors.
    let involvesTensor: Bool =
      switch (a, b) {
      case (.tensor, _), (_, .tensor): true
      case (.list, _), (_, .list): op != "equal" && op != "not_equal"
      default: false
      }
    if involvesTensor, isTensorLike(a), isTensorLike(b) {
      return try apply(
        OpTable.byName[op]!, [a, b], Attributes(), [sites.left, sites.right], at: sites.operator,
        sites.whole)
    }
    if op == "equal" { return .bool(try areEqual(a, b, at: sites.operator)) }
    if op == "not_equal" { return .bool(try !areEqual(a, b, at: sites.operator)) }
    if case .string(let a) = a, case .string(let b) = b {
      let (a, b) = (try a.text(at: sites.left), try b.text(at: sites.right))
      switch op {
      case "less": return .bool(a < b)
      case "less_equal": return .bool(a <= b)
      case "greater": return .bool(a > b)
      default: return .bool(a >= b)
      }
    }
    throw badOperands(symbol, a, b, sites)
  }

  private func badOperands(_ op: String, _ a: Value, _ b: Value, _ sites: BinarySites) -> Failure {
    // The operator of `x += y` has no place of its own.
    let symbol = sites.operator == sites.left ? op : sites.operator.text
    return Failure(
      "bad-operand", "`\(symbol)` cannot take \(a.described) and \(b.described)", at: sites.operator,
      labels: [
        .init(site: sites.left, text: a.typeDescription),
        .init(site: sites.right, text: b.typeDescription),
      ],
      help: {
        if op == Addition.op, case (.list, .list) = (a, b) { return "`concat(a, b)` joins lists" }
        return nil
      }())
  }
}
