import Support

/// What people write who come from another language, and what to write here.
enum Mistakes {
  /// Characters that look like an operator, or that a word processor put in.
  static let characterHelp: [String: String] = [
    "−": "minus is `-`", "–": "minus is `-`", "×": "multiplication is `*`", "·": "multiplication is `*`",
    "÷": "division is `/`", "≤": "write `<=`", "≥": "write `>=`", "≠": "write `!=`", "→": "write `->`",
    "“": "strings are written in plain double quotes", "”": "strings are written in plain double quotes",
    "‘": "strings are written in plain double quotes", "’": "strings are written in plain double quotes",
    "'": "strings are written in double quotes", "`": "strings are written in double quotes",
    "\u{A0}": "this is a no-break space; use a plain one", "∈": "write `in`", "…": "ranges are `...` and `..<`",
    "²": "power is `^`, as in `x^2`", "³": "power is `^`, as in `x^3`", "&": "logic is `and`, `or`, `not`",
    "|": "a pipe is `|>`; logic is `and`, `or`, `not`", "~": "logic is `and`, `or`, `not`",
    "!": "logic is `and`, `or`, `not`", "?": "a choice is `if c { a } else { b }`; help is `help(name)`",
    "$": "names carry no `$`; a string takes `{name}`", "\\": "a line goes on inside brackets or after an operator",
  ]

  /// Words that begin statements elsewhere, by what to write here. They are ordinary names in Gradus, so
  /// this is asked only where the statement does not parse.
  static let statementHelp: [String: String] = [
    "def": "functions begin with `fn`: `fn f(x) = x`", "func": "functions begin with `fn`: `fn f(x) = x`",
    "function": "functions begin with `fn`: `fn f(x) = x`", "fun": "functions begin with `fn`: `fn f(x) = x`",
    "lambda": "a function value is `fn(x) = x`", "let": "a name is bound by `=` alone: `x = 1`",
    "var": "a name is bound by `=` alone: `x = 1`", "const": "a name is bound by `=` alone: `x = 1`",
    "val": "a name is bound by `=` alone: `x = 1`", "local": "a name is bound by `=` alone: `x = 1`",
    "elif": "write `else if`", "elseif": "write `else if`", "elsif": "write `else if`",
    "import": "other files come in by `use \"helpers.nn\"`", "from": "other files come in by `use \"helpers.nn\"`",
    "include": "other files come in by `use \"helpers.nn\"`", "class": "models begin with `model`: `model Linear(inputs, outputs) { … }`",
    "struct": "models begin with `model`; a record is `(name: \"a\", rate: 0.1)`",
    "print": "printing is a call: `print(x)`", "assert": "asserting is a call: `assert(x > 0)`",
    "del": "a value goes away when no name holds it", "pass": "an empty block is `{ }`",
    "until": "write `while not`", "unless": "write `if not`", "foreach": "write `for x in xs { … }`",
    "switch": "write `if … { … } else if … { … }`", "match": "write `if … { … } else if … { … }`",
  ]

  /// Spellings of constants elsewhere.
  static let constants: [String: String] = ["True": "true", "False": "false", "None": "none"]

  /// Operators elsewhere, by the operator here that is meant.
  static let operators: [TokenKind: (meant: TokenKind, help: String)] = [
    .starStar: (.caret, "power is `^`"),
    .ampersandAmpersand: (.and, "logical and is `and`"),
    .barBar: (.or, "logical or is `or`"),
  ]

  /// Returns how to write a number that `suffix` clings to.
  static func suffixHelp(digits: String, suffix: String) -> String? {
    switch suffix.lowercased() {
    case "k", "kb", "kib", "m", "mb", "mib", "g", "gb", "gib":
      "byte units are KiB, MiB and GiB: `\(digits)\(suffix.prefix(1).uppercased())iB`"
    case "f", "d", "l", "u", "f32", "f64": "numbers carry no type: write `\(digits)`, or `f32(\(digits))`"
    case "e": "an exponent needs a digit: `\(digits)e3`"
    default: "multiplication is written out: `\(digits) * \(suffix)`"
    }
  }
}
