import Interpreter
import Support
import Tensors

/// A page of `help` that is about no name.
package struct HelpTopic: Sendable {
  package let name: String
  package let text: String
  /// Words that stand on the page and have none of their own.
  private let words: Set<String>

  private init(name: String, text: String, words: Set<String> = []) {
    self.name = name
    self.text = text
    self.words = words
  }

  package static var names: [String] { all.map(\.name) }

  package static func named(_ name: String) -> HelpTopic? { all.first { $0.name == name || $0.words.contains(name) } }

  /// Columns of a page.
  static let width = 80

  static let all: [HelpTopic] = [
    HelpTopic(name: "commands", text: commands),
    HelpTopic(name: "dtypes", text: dtypes),
    HelpTopic(name: "mixed_precision", text: mixedPrecision),
    HelpTopic(
      name: "policies", text: policies, words: Set(Policy.all.map(\.name)).union(["kahan", "selective", "stochastic", "with"])),
    HelpTopic(name: "scripts", text: scripts),
    HelpTopic(name: "syntax", text: syntax),
  ]

  /// Lays words out in lines, indented by two.
  static func columns(_ words: [String]) -> String {
    var lines: [String] = []
    var line = " "
    for word in words {
      if line.count + 1 + word.count > width, line != " " {
        lines.append(line)
        line = " "
      }
      line += " " + word
    }
    return (lines + [line]).joined(separator: "\n")
  }

  private static var commands: String {
    let width = Command.allCases.map(\.usage.count).max() ?? 0
    return Command.allCases.map { command in
      "  " + command.usage + String(repeating: " ", count: width - command.usage.count + 2) + command.summary
    }.joined(separator: "\n") + """


        _        the last value echoed
        Out[n]   the value of input n, of the last \(KeptOutputs.countLimit) and up to \(KeptOutputs.byteLimit >> 20) MiB; `Out` lists them
        x;       no echo, and the value is not kept
        Tab      completes names, members, keyword arguments, policies after `with`, and paths inside strings
        Up       goes back through inputs that begin like the line; Ctrl-R searches in them
        Ctrl-C   drops the line; stops what runs, all names stay

      Each session begins with $XDG_CONFIG_HOME/gradus/init.nn (~/.config/gradus/init.nn), unless `--no-init` is given.
      """
  }

  /// The one promotion table, from the rule itself.
  private static var dtypes: String {
    let dtypes = DTypeSet.all.members
    let width = 6
    func row(_ cells: [String]) -> String {
      ("  " + cells.map { $0 + String(repeating: " ", count: width - $0.count) }.joined()).trimmedAtEnd
    }
    var lines = [
      "Operands of two dtypes meet in one; `cast(x, dtype)` or the dtype's own name, `f64(x)`, converts.", "",
      row([""] + dtypes.map(\.name)),
    ]
    for dtype in dtypes { lines.append(row([dtype.name] + dtypes.map { dtype.promoted(with: $0).name })) }
    lines += [
      "",
      "Numbers of the program are 64-bit integers or f64, and take the dtype of the tensor they meet;",
      "f32 where they meet none. `/`, exp and the like make f32 of integers.",
      "",
      row(["bytes"] + dtypes.map { "\($0.byteCount)" }),
      "",
      "f16, bf16, f8e4m3, f8e5m2, q8 and q8e4m3 store numbers in fewer bytes; `help cast` has their rules, `help adamw`",
      "what `with state: q8` and `f8e4m3` do. f8e4m3, f8e5m2, q8 and q8e4m3 are converted back before anything is",
      "computed with them.",
    ]
    return lines.joined(separator: "\n")
  }

  private static let mixedPrecision = """
    A step computes in 16 bits where that pays; params stay in f32, the master weights.

      train with precision: bf16               or f16, or f32: as without it
      train with (precision: f16, loss_scale: 1024)
                                               dynamic, what f16 takes by itself, a number, or none
      train.scale, train.scales, train.skipped
                                               of a dynamic scale: the next one, the curve so far, the steps not applied
      r = minimize(loss, net, opt)             r.applied, r.reason: which params were not finite, and in how many values
      explain(train, x, y)                     which op runs in what, and why

    A dynamic scale begins with 65536, doubles after 2000 clean steps in a row, and halves where a gradient is infinite or
    nan; that step is skipped and leaves nothing behind. Below 1 it is an error that names the params. For a test of all
    gradients they must all be there before the first update: that is memory, which bf16 does without. A number is no
    scale to be tested: what overflows under it is applied.

    Params wholly in bf16 have no master. Their updates and the optimizer's state are computed in f32 all the same.

      net = bf16(net)
      opt with rounding: stochastic            an update is rounded up or down by chance: right in the mean
      opt with rounding: kahan                 what rounding loses is kept, 2 bytes a param, and added before the next update

    What 16 bits make of numbers, before a step is made:

      bits(0.1, f16)                           sign, exponent, mantissa, and the neighbours
      histogram(g, f16)                        what underflows, what overflows, the loss scales that keep everything
      histogram(updates, bf16, weights: net)   also which updates are too small beside their weights
    """

  private static var policies: String {
    return """
      `with` gives another way to run a step, or to update; net, optimizer and step stay what they are.

        small = train with (accumulate: 4, precision: bf16)

      Of a step:

      \(section(Policy.Subject.step))

      Of an optimizer:

      \(section(Policy.Subject.optimizer))
        lr: 1e-3              another value of any hyperparameter; a function of the step number is a schedule
      """
  }

  private static func section(_ subject: Policy.Subject) -> String {
    let margin = String(repeating: " ", count: 24)
    var lines: [String] = []
    for form in Policy.all.filter({ $0.subjects.contains(subject) }).flatMap(\.forms) {
      let head = "  " + form.usage
      // What is too long for the column has its text below.
      lines.append(head.count < margin.count ? head + margin.dropFirst(head.count) : head + "\n" + margin)
      lines[lines.count - 1] += form.lines.joined(separator: "\n" + margin)
    }
    return lines.joined(separator: "\n")
  }

  private static let scripts = """
    A script is a notebook whose outputs are its tests.

      accuracy(net, data.test)
      #> 0.97                     expected output; numbers are compared to the decimals written
      time(train, x, y)
      #~ 1.2 ms                   shown, never compared
      [1, 2] @ [1, 2, 3]
      #! error[shape-mismatch]    expected error: the script goes on
      long_table()
      #> first line
      #> ...                      any number of lines
      #> last line

    `gradus test FILE` compares, `gradus test FILE --bless` rewrites the lines that changed.
    `gradus doc FILE` prints the script with the outputs of this run, `gradus export FILE -o OUT` writes it as OUT.ipynb,
    OUT.html or OUT.md, and `gradus watch FILE` runs it again from the first changed cell at each save.
    Cells begin with `# %% Title`, prose in comments with `# %% [markdown]`.
    `gradus check FILE` finds mistakes of names and shapes and plans the memory of steps without computing; `gradus FILE`
    does that first, and refuses a script that would certainly come to one. `--no-check` runs it all the same.
    At the head of a file: `# inputs: epochs=1` sets inputs for the test, `# requires: FILE` skips it without the file.
    """

  private static let syntax = """
      x = [[1, 2], [3, 4]]                     a list; where a tensor is meant, a numeric list becomes one
      h = x @ w |> relu                        @ is matmul, * elementwise, ^ power; x |> f(a) is f(x, a)
      h[0], h[:, 1], h[1:3], h.shape, h.T      slices and members
      "loss {loss:.4}"                         interpolation
      p = (name: "a", rate: 0.1)               a record
      fn f(x, scale = 2) = x * scale           a function; fn(x) = x * 2 has no name
      for i in 0..<3 { … }   while c { … }     loops; 1...10 includes its end
      if c { … } else { … }                    a value too
      model Linear(n, m) { param w = … fn forward(x) = … }
      optimizer sgd(lr = 0.1) { fn update(p, g, t) = p - lr * g }
      step train(x, y) { loss = …; minimize(loss, net, opt); loss }
      input epochs = 5                         gradus FILE -- epochs=9
      use "helpers.nn"
    """
}
