import Support

/// What people write who come from another language, and what to write here.
enum Mistakes {
  /// Characters that look like an operator, or that a word processor put in.
  static let characterHelp: [String: String] = {
    let rows = [
      ("−–", "minus is `-`"), ("×·", "multiplication is `*`"), ("÷", "division is `/`"),
      ("≤", "write `<=`"), ("≥", "write `>=`"), ("≠", "write `!=`"), ("→", "write `->`"),
      ("∈", "write `in`"), ("…", "ranges are `...` and `..<`"),
      ("²", "power is `^`, as in `x^2`"), ("³", "power is `^`, as in `x^3`"),
      ("“”‘’'`", "strings are written in plain double quotes"),
      ("\u{A0}", "this is a no-break space; use a plain one"),
      ("&~", "logic is `and`, `or`, `not`"), ("|", "a pipe is `|>`; logic is `and`, `or`, `not`"),
      ("?", "a choice is `if c { a } else { b }`; help is `gradus help NAME`, in the terminal `?name`"),
      ("$", "names carry no `$`; a string takes `{name}`"),
      ("\\", "a line goes on inside brackets or after an operator"),
    ]
    return byKey(rows) { $0.map(String.init) }
  }()

  /// Words that begin statements elsewhere, by what to write here. They are ordinary names in Gradus, so
  /// this is asked only where the statement does not parse.
  static let statementHelp: [String: String] = {
    let rows = [
      ("def func function fun", "functions begin with `fn`: `fn f(x) = x`"),
      ("lambda", "a function value is `fn(x) = x`"),
      ("let var const val local", "a name is bound by `=` alone: `x = 1`"),
      ("elif elseif elsif", "write `else if`"),
      ("import from include", "other files come in by `use \"helpers.nn\"`"),
      ("class", "models begin with `model`: `model Linear(inputs, outputs) { … }`"),
      ("struct", "models begin with `model`; a record is `(name: \"a\", rate: 0.1)`"),
      ("print", "printing is a call: `print(x)`"),
      ("assert", "asserting is a call: `assert(x > 0)`"),
      ("del", "a value goes away when no name holds it"),
      ("pass", "an empty block is `{ }`"),
      ("until", "write `while not`"),
      ("unless", "write `if not`"),
      ("foreach", "write `for x in xs { … }`"),
      ("switch match", "write `if … { … } else if … { … }`"),
    ]
    return byKey(rows) { $0.split(separator: " ").map(String.init) }
  }()

  /// Spellings of constants elsewhere.
  static let constants: [String: (written: String, meant: Expression.Kind)] = [
    "True": ("true", .boolean(true)), "False": ("false", .boolean(false)), "None": ("none", .none),
  ]

  /// Operators elsewhere, by the operator here that is meant.
  static let operators: [TokenKind: (meant: TokenKind, help: String)] = [
    .starStar: (.caret, "power is `^`"),
    .ampersandAmpersand: (.and, "logical and is `and`"),
    .barBar: (.or, "logical or is `or`"),
  ]

  /// Returns how to write a number that `suffix` clings to.
  static func suffixHelp(digits: String, suffix: String) -> String? {
    if digits == "0", suffix.lowercased().first == "o" {
      return "numbers are decimal, `0x…` or `0b…`; there is no octal"
    }
    return switch suffix.lowercased() {
    case "k", "kb", "kib", "m", "mb", "mib", "g", "gb", "gib":
      "byte units are KiB, MiB and GiB: `\(digits)\(suffix.prefix(1).uppercased())iB`"
    case "f", "d", "l", "u", "f32", "f64":
      "numbers carry no type: write `\(digits)`, or `f32(\(digits))`"
    case "e": "an exponent needs a digit: `\(digits)e3`"
    default: "multiplication is written out: `\(digits) * \(suffix)`"
    }
  }

  /// Spreads rows of several keys.
  private static func byKey(
    _ rows: [(keys: String, help: String)], _ split: (String) -> [String]
  ) -> [String: String] {
    Dictionary(
      rows.flatMap { row in split(row.keys).map { ($0, row.help) } }, uniquingKeysWith: { $1 })
  }
}
