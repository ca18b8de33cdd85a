import Support

package struct Statement: Sendable {
  package let site: Site
  package let kind: Kind
  /// Whether the statement ends in `;`, which keeps its value from being echoed.
  package let isSilenced: Bool

  package init(_ kind: Kind, at site: Site, isSilenced: Bool = false) {
    self.kind = kind
    self.site = site
    self.isSilenced = isSilenced
  }

  package enum Kind: Sendable {
    case expression(Expression)
    /// `x = e`, `(a, b) = e`, `net.bias = e`, `x[i] = e`.
    case assignment(Target, Expression)
    /// `x += e` and its kin; `operator` is the arithmetic one.
    case compoundAssignment(Target, BinaryOperator, Expression)
    case function(FunctionDeclaration)
    case model(ModelDeclaration)
    case optimizer(OptimizerDeclaration)
    /// `step train(x, y) { … }`
    case step(FunctionDeclaration)
    /// `input epochs = 5`
    case input(Name, Expression)
    /// `use "helpers.nn"`
    case use(path: String, site: Site)
    case forLoop(Target, in: Expression, body: Block)
    case whileLoop(Expression, body: Block)
    case returned(Expression?)
    case broken
    case continued
  }
}

/// Statements in braces. Its value is that of its last statement where that is an expression.
package struct Block: Sendable {
  package let site: Site
  package let statements: [Statement]

  package init(_ statements: [Statement], at site: Site) {
    self.statements = statements
    self.site = site
  }
}

/// What an assignment, a `for` or a comprehension binds.
package indirect enum Target: Sendable {
  case name(Name)
  /// `(a, b)`; each part takes one element of a tuple, list or tensor's first axis.
  case tuple([Target], site: Site)
  /// `net.layers[0].weight`
  case member(Expression, Name)
  case index(Expression, [IndexItem], site: Site)

  package var site: Site {
    switch self {
    case .name(let name): name.site
    case .tuple(_, let site): site
    case .member(let base, let name): base.site.joined(with: name.site)
    case .index(_, _, let site): site
    }
  }
}

/// `fn name(parameters) -> [shape] = body` or `{ body }`, with or without `with grad: fn…`; steps too.
package struct FunctionDeclaration: Sendable {
  /// Empty for a function literal.
  package let name: Name?
  package let parameters: [Parameter]
  package let result: ShapeAnnotation?
  package let body: Block
  /// The function's own derivative: `with grad: fn(x, dy) = …`.
  package let gradient: Expression?
  /// From `fn` or `step` to the end of the body.
  package let site: Site
  /// The comment lines right above, without `#`, which `help` shows.
  package let documentation: String

  package init(
    name: Name?, parameters: [Parameter], result: ShapeAnnotation?, body: Block,
    gradient: Expression?, site: Site, documentation: String
  ) {
    self.name = name
    self.parameters = parameters
    self.result = result
    self.body = body
    self.gradient = gradient
    self.site = site
    self.documentation = documentation
  }
}

package struct Parameter: Sendable {
  package let name: Name
  package let annotation: ShapeAnnotation?
  package let defaultValue: Expression?

  package init(name: Name, annotation: ShapeAnnotation?, defaultValue: Expression?) {
    self.name = name
    self.annotation = annotation
    self.defaultValue = defaultValue
  }
}

/// `[b, t, 3 * d]`, `[.., n]`, `f32[n]`: what a parameter or result must look like.
package struct ShapeAnnotation: Sendable {
  package enum Dimension: Sendable {
    case name(Name)
    case number(Int, site: Site)
    /// `..`: any number of leading axes; at most one.
    case rest(site: Site)
    /// `_`: any size.
    case any(site: Site)
    /// Arithmetic on bound names: `3 * d`.
    case expression(Expression)
  }
  /// A dtype name before the bracket, if any.
  package let dtype: Name?
  package let dimensions: [Dimension]
  package let site: Site

  package init(dtype: Name?, dimensions: [Dimension], site: Site) {
    self.dtype = dtype
    self.dimensions = dimensions
    self.site = site
  }
}

/// `model Linear(inputs, outputs) { param … buffer … field = … fn … }`
package struct ModelDeclaration: Sendable {
  package enum Member: Sendable {
    case param(Name, Expression)
    case buffer(Name, Expression)
    /// An ordinary field, sub-models included.
    case field(Name, Expression)
    case function(FunctionDeclaration)
  }
  package let name: Name
  package let parameters: [Parameter]
  package let members: [Member]
  package let site: Site
  package let documentation: String

  package init(
    name: Name, parameters: [Parameter], members: [Member], site: Site, documentation: String
  ) {
    self.name = name
    self.parameters = parameters
    self.members = members
    self.site = site
    self.documentation = documentation
  }
}

/// `optimizer adamw(lr = 1e-3, …) { state m = … fn update(p, g, t) { … } }`
package struct OptimizerDeclaration: Sendable {
  package struct State: Sendable {
    package let name: Name
    package let value: Expression
    package init(name: Name, value: Expression) {
      self.name = name
      self.value = value
    }
  }
  package let name: Name
  package let parameters: [Parameter]
  package let states: [State]
  /// `update` and any helpers.
  package let functions: [FunctionDeclaration]
  package let site: Site
  package let documentation: String

  package init(
    name: Name, parameters: [Parameter], states: [State], functions: [FunctionDeclaration],
    site: Site, documentation: String
  ) {
    self.name = name
    self.parameters = parameters
    self.states = states
    self.functions = functions
    self.site = site
    self.documentation = documentation
  }
}
