import Support

package struct Expression: Sendable {
  package let site: Site
  package let kind: Kind

  package init(_ kind: Kind, at site: Site) {
    self.kind = kind
    self.site = site
  }

  package indirect enum Kind: Sendable {
    /// A whole number; byte literals (`64MiB`) too.
    case integer(Int)
    case number(Double)
    case boolean(Bool)
    case none
    case string([StringPart])
    case name(String)
    case list([Expression])
    /// `(a, b)`, `(name: "x", rate: 0.1)`; a one-element tuple is `(a,)`; `()` is empty.
    case record([Field])
    /// `[value for target in iterable if condition]`; later clauses nest inside earlier ones.
    case comprehension(Expression, [Clause])
    case unary(UnaryOperator, Expression)
    /// `operatorSite` is where the caret of a shape error points.
    case binary(BinaryOperator, Expression, Expression, operatorSite: Site)
    /// `a < b <= c`: each pair compared, joined by `and`.
    case comparisonChain(Expression, [(ComparisonOperator, Site, Expression)])
    case and(Expression, Expression)
    case or(Expression, Expression)
    /// `a...b` (closed) or `a..<b`.
    case range(Expression, Expression, isClosed: Bool)
    case call(Expression, [Argument])
    /// `x |> f(a)`: calls `f(x, a)`; `x |> f` calls `f(x)`. Kept apart so that errors can speak of the pipe.
    case pipe(Expression, into: Expression)
    case member(Expression, Name)
    case index(Expression, [IndexItem])
    case function(FunctionDeclaration)
    /// `train with (precision: f16, accumulate: 4)`, `train with budget: 24MiB`.
    case with(Expression, [Field])
    /// `if c { … } else { … }`; `else if` is an else block with one `if` in it.
    case conditional(Expression, then: Block, otherwise: Block?)
  }

  /// A field of a record or of `with`; positional where `name` is nil.
  package struct Field: Sendable {
    package let name: Name?
    package let value: Expression
    package init(name: Name?, value: Expression) {
      self.name = name
      self.value = value
    }
  }

  package struct Clause: Sendable {
    package let target: Target
    package let iterable: Expression
    package let conditions: [Expression]
    package init(target: Target, iterable: Expression, conditions: [Expression]) {
      self.target = target
      self.iterable = iterable
      self.conditions = conditions
    }
  }
}

/// A piece of a string literal.
package enum StringPart: Sendable {
  case text(String)
  /// `{value}` or `{value:.4}`; `format` is what stands after the colon.
  case interpolation(Expression, format: String?)
}

package struct Argument: Sendable {
  package let label: Name?
  package let value: Expression
  package init(label: Name?, value: Expression) {
    self.label = label
    self.value = value
  }
}

/// One axis of `x[…]`.
package enum IndexItem: Sendable {
  /// `i`: an integer, an integer tensor, a boolean tensor, or a range value.
  case at(Expression)
  /// `a:b`, `:`, `a:b:c`; missing bounds are nil.
  case slice(Expression?, Expression?, Expression?, site: Site)
  /// `..`: as many whole axes as fit.
  case rest(site: Site)
  /// `new`-axis is spelled `none` and arrives as `.at(none)`.
  package var site: Site {
    switch self {
    case .at(let expression): expression.site
    case .slice(_, _, _, let site): site
    case .rest(let site): site
    }
  }
}

package enum UnaryOperator: String, Sendable, CaseIterable {
  case negate = "-"
  case plus = "+"
  case not
}

package enum BinaryOperator: String, Sendable, CaseIterable {
  case add = "+"
  case subtract = "-"
  case multiply = "*"
  case divide = "/"
  case floorDivide = "//"
  case modulo = "%"
  case power = "^"
  case matmul = "@"
}

package enum ComparisonOperator: String, Sendable, CaseIterable {
  case equal = "=="
  case notEqual = "!="
  case less = "<"
  case lessOrEqual = "<="
  case greater = ">"
  case greaterOrEqual = ">="
  /// `x in list`
  case contained = "in"
}
