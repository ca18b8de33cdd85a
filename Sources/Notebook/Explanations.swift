extension Explanation {
  /// Every code, in alphabetical order. Tests compare the list with the codes in the sources, and run the examples.
  package static let all: [Explanation] = [
    Explanation(
      "assertion-failed",
      "An `assert` did not hold. Inside a step asserts are checked at every call, before anything is updated.",
      wrong: "rate = -0.1\nassert(rate > 0, \"the rate must be positive\")",
      right: "rate = 0.1\nassert(rate > 0, \"the rate must be positive\")"),
    Explanation(
      "assignment-in-step",
      """
      A step is traced once and then run as a plan. What it changes it changes through `minimize`, and through buffers;
      fields, params and elements of tensors cannot be assigned inside it, nor inside a function that `grad` looks at.
      """,
      wrong: "x = zeros([2])\nstep go(y) {\n  x[0] = 1.0\n  y\n}\ngo([1.0])",
      right: "x = zeros([2])\nstep go(y) = y\ngo([1.0])\nx[0] = 1.0"),
    Explanation(
      "bad-argument", "An argument is not of the kind that the function takes. `help` with its name shows what it takes.",
      wrong: "softmax([1.0, 2.0], axis: \"rows\")", right: "softmax([1.0, 2.0], axis: 0)"),
    Explanation(
      "bad-assignment",
      "The left side of `=` names a place that cannot hold a value: an element of a string or a number, for example.",
      wrong: "n = 5\nn[0] = 1", right: "n = [5]\nn[0] = 1"),
    Explanation(
      "bad-axis",
      """
      Axes count from 0, or from -1 backwards. A tensor of rank r has the axes 0 to r - 1; no axis may be named twice.
      """,
      wrong: "sum([[1.0, 2.0]], axis: 2)", right: "sum([[1.0, 2.0]], axis: 1)"),
    Explanation(
      "bad-batch",
      """
      `accumulate: n` cuts a batch into n pieces: the rows of the step's first argument, and of all others that have as
      many, or of those that `batch:` names. There must be n rows at least, and named arguments must have equally many.
      """,
      wrong: "step total(x) = sum(x)\n(total with accumulate: 4)(ones([3]))",
      right: "step total(x) = sum(x)\n(total with accumulate: 3)(ones([3]))"),
    Explanation(
      "bad-character",
      "The character has no meaning in a program; often it came along from a word processor.",
      wrong: "2 × 3", right: "2 * 3"),
    Explanation(
      "bad-command", "A command of the terminal lacks what it works on. `:help` shows what each command takes."),
    Explanation(
      "bad-condition",
      """
      `if`, `while`, `and`, `or` and `not` take true or false. A number, a list or a tensor of many elements is neither:
      compare it, or ask `any` or `all`.
      """,
      wrong: "if [1, 2] > 1 { \"yes\" }\nif 1 { \"yes\" }", right: "if 1 != 0 { \"yes\" }"),
    Explanation(
      "bad-data", "Data that is to be cut into batches needs rows: tensors with a first axis, all of one length.",
      wrong: "batches(5, 2)", right: "batches([[1.0], [2.0]], 2);"),
    Explanation(
      "bad-einsum",
      """
      The pattern of `einsum` names the axes of each operand, by words between spaces, with commas between operands, and
      those of the result after `->`.
      """,
      wrong: "einsum(\"i j\", [[1.0]])", right: "einsum(\"i j -> j i\", [[1.0]])"),
    Explanation(
      "bad-escape",
      "In strings a backslash begins `\\n`, `\\t`, `\\\\`, `\\\"`, `\\{`, `\\}` or `\\u{…}`; braces enclose values.",
      wrong: "\"C:\\data\"", right: "\"C:\\\\data\""),
    Explanation(
      "bad-format",
      """
      Behind the colon of `{x:.4}` stands how to write the value: `.4` four decimals, `.3e` scientific, `8.2` width and
      decimals, `<8` and `>8` alignment, `,` thousands, `%` percent. Numbers and strings take them, tensors do not.
      """,
      wrong: "\"{[1.0, 2.0]:.4q}\"", right: "\"{0.5:.4}\""),
    Explanation(
      "bad-gradient",
      """
      A function's own derivative, `with grad: fn(x, dy) = …`, takes the arguments and the cotangent of the result, and
      gives a cotangent for each argument, in the argument's shape.
      """,
      wrong: "fn f(x) = sum(x^2) with grad: fn(x, dy) = zeros([5])\ngrad(f)([1.0, 2.0])",
      right: "fn f(x) = sum(x^2) with grad: fn(x, dy) = dy * 2 * x\ngrad(f)([1.0, 2.0])"),
    Explanation(
      "bad-index", "An index is a whole number, a slice such as `1:3`, `..`, or a tensor of whole numbers or of bool.",
      wrong: "[1, 2, 3][f32([0.5, 1.5])]", right: "[1, 2, 3][i64([0, 1])]"),
    Explanation(
      "bad-input",
      "A value given on the command line must be of the same kind as the default that `input` has in the script."),
    Explanation(
      "bad-key", "An op that makes random numbers was given something else than the random counter as its key."),
    Explanation(
      "bad-logits",
      "A random choice needs logits that give probabilities: no nan, no +inf, and one at least above -inf in each row."),
    Explanation(
      "bad-loss",
      """
      Derivatives are taken of one number. Bring a tensor down to one, with `mean` or `sum`; and it must come from floats
      that the loss was computed from.
      """,
      wrong: "grad(fn(x) = x^2)([1.0, 2.0])", right: "grad(fn(x) = sum(x^2))([1.0, 2.0])"),
    Explanation(
      "bad-number",
      "The digits make no number, or one too large: whole numbers have 64 bits, others reach to 1.8e308.",
      wrong: "99999999999999999999", right: "1e20"),
    Explanation(
      "bad-operand", "The operator or function does not take values of this kind.",
      wrong: "\"a\" * 2", right: "\"a{2}\""),
    Explanation(
      "bad-optimizer",
      "An optimizer is one function `update(p, g, t)` over a parameter, its gradient and the step number, and its states.",
      wrong: "optimizer still(lr = 0.1) {\n  fn other(p) = p\n}",
      right: "optimizer still(lr = 0.1) {\n  fn update(p, g, t) = p - lr * g\n}"),
    Explanation(
      "bad-param",
      "Parameters are trained, so they hold floats. Keep whole numbers in a `buffer` or an ordinary field.",
      wrong: "model M() {\n  param w = i64([1, 2])\n}\nM()", right: "model M() {\n  param w = f32([1, 2])\n}\nM();"),
    Explanation(
      "bad-policy",
      """
      Settings that exclude each other, or have nothing to act on. A `budget` or `accumulate: auto` chooses the checkpointing
      for each kind of arguments, so such a step names none. The `rounding` of an optimizer is for params in bf16: `net = bf16(net)`
      makes them so; and `rounding: kahan` needs the name `compensation` for a state of its own.
      """,
      wrong: """
        net = MLP([8, 8, 2])
        step train(x) { minimize(sum(net(x)^2), net, sgd()) }
        train with (checkpoint: sqrt, budget: 4MiB)
        """,
      right: """
        net = MLP([8, 8, 2])
        step train(x) { minimize(sum(net(x)^2), net, sgd()) }
        train with budget: 4MiB;
        """),
    Explanation(
      "bad-shape", "A shape is a list of whole numbers, none negative.",
      wrong: "zeros([2, -3])", right: "zeros([2, 3])"),
    Explanation(
      "bad-slice", "A slice is `start:end` or `start:end:step` with a step that is not 0; `..` stands once in an index.",
      wrong: "[1, 2, 3][0:2:0]", right: "[1, 2, 3][0:2:1]"),
    Explanation(
      "bad-target",
      "On the left of `=` stands a name, a member, an element, or a tuple of these; not an expression or a constant.",
      wrong: "1 + x = 2", right: "x = 2 - 1"),
    Explanation(
      "bad-tie",
      "`tied(other.weight)` makes a param another model's parameter; it stands right behind `param name =`.",
      wrong: "model M() {\n  param w = tied(5)\n}\nM()",
      right: "model A() {\n  param w = zeros([2])\n}\nmodel B(a) {\n  param w = tied(a.w)\n}\nB(A());"),
    Explanation(
      "bad-unpack", "A tuple of names takes a list, a record or a tensor with just as many elements.",
      wrong: "(a, b) = [1, 2, 3]", right: "(a, b) = [1, 2]"),
    Explanation(
      "batch-statistics",
      """
      A note: under `accumulate: n` a layer such as BatchNorm takes the statistics of each piece, not of the batch, so the
      step is not quite that of the whole batch. Its running means move once, by the mean over the pieces.
      """),
    Explanation(
      "circular-model",
      "The parts of a model form a tree, so that each param has one path; a model cannot be a part of itself.",
      wrong: "model Box() { part = none }\nbox = Box()\nbox.part = box",
      right: "model Box() { part = none }\nbox = Box()\nbox.part = Box()"),
    Explanation(
      "circular-use",
      "A file takes in another that takes in the first. Move what both need to a third file, and `use` it in both."),
    Explanation(
      "division-by-zero", "Whole numbers divide by anything but 0. (Floats divide by 0 to inf or nan.)",
      wrong: "7 // 0", right: "7 // 2"),
    Explanation(
      "dtype-mismatch",
      "An op takes tensors of certain dtypes: indices and targets are whole numbers, masks are bool, layers take floats.",
      wrong: "any([1.0, 0.0])", right: "any([1.0, 0.0] != 0)"),
    Explanation(
      "duplicate-argument", "An argument is given by place and by name, or by name twice.",
      wrong: "fn f(a, b = 1) = a + b\nf(1, a: 2)", right: "fn f(a, b = 1) = a + b\nf(1, b: 2)"),
    Explanation(
      "duplicate-member", "Two members of a model or optimizer have one name.",
      wrong: "model M() {\n  a = 1\n  a = 2\n}", right: "model M() {\n  a = 1\n  b = 2\n}"),
    Explanation(
      "duplicate-name", "Two parameters have one name, or an optimizer's state has that of a parameter.",
      wrong: "fn f(a, a) = a", right: "fn f(a, b) = a + b"),
    Explanation(
      "escaped-value",
      """
      A value of a traced function was kept beyond it, in a variable of outside. While a step is traced its values are
      places in a plan, not numbers: return what is wanted.
      """),
    Explanation("exit", "`exit(code)` ends the program with this code."),
    Explanation("file-damaged", "The bytes are not what the format asks for: the file is cut off or altered, or is of another kind."),
    Explanation(
      "file-mismatch",
      """
      What `save` wrote is read into a model of the same form: the same paths with the same shapes, and where an optimizer
      is read too, the one that was saved. Make the model with the sizes it had when it was saved.
      """),
    Explanation(
      "file-missing",
      """
      There is no file with this name. Paths of data are relative to the folder you are in, the path of `use` to the file
      it stands in.
      """,
      wrong: "load(\"nowhere.csv\")\nuse \"nowhere.nn\""),
    Explanation("file-too-large", "The file's contents do not fit in memory."),
    Explanation("file-unreadable", "The system does not let the file be read, or it is a folder or device."),
    Explanation("file-unsupported", "The file is sound, but uses a part of its format that Gradus does not read."),
    Explanation("file-unwritable", "The system does not let the file be written. The old one, if any, is as it was."),
    Explanation(
      "gradient-mismatch",
      """
      `check_grad` compared the gradient with differences of the function, and they disagree: an own derivative is wrong,
      or the function has a kink or a jump near the point.
      """,
      wrong: "fn f(x) = sum(x^2) with grad: fn(x, dy) = dy * 3 * x\ncheck_grad(f, [1.0, 2.0])",
      right: "fn f(x) = sum(x^2) with grad: fn(x, dy) = dy * 2 * x\ncheck_grad(f, [1.0, 2.0])"),
    Explanation(
      "in-pieces",
      """
      A note: under `accumulate: auto` the batch was cut, so that the step keeps its budget, or fits in memory. The gradients
      are those of the whole batch, but their sums are taken in another order, so that the last bits differ.
      """),
    Explanation(
      "index-out-of-range", "An axis of size n has the indices 0 to n - 1, and -1 to -n from its end.",
      wrong: "[1, 2, 3][3]", right: "[1, 2, 3][2]"),
    Explanation(
      "inspection-in-step",
      """
      `memory`, `timeline`, `compare` and `time` look at the plan of a step from outside. Inside a step, while it is traced,
      its arguments have no values yet, and a plan in a plan would say nothing. Nor can a step `ask`: it is traced once.
      """),
    Explanation(
      "integer-overflow",
      "Whole numbers have 64 bits, and the result needs more. They never wrap around; use floats for larger numbers.",
      wrong: "2^62 * 4", right: "2.0^62 * 4"),
    Explanation("internal", "A mistake in Gradus itself. Please report the program that brought it about."),
    Explanation("interrupted", "Ctrl-C stopped the evaluation. Names keep their values; a step that had not begun to update has changed nothing."),
    Explanation(
      "misplaced-declaration",
      "Models, optimizers, `input` and `use` stand at the top level of a file, outside functions and blocks.",
      wrong: "fn f() {\n  model M() { a = 1 }\n  M()\n}", right: "model M() { a = 1 }\nfn f() = M()"),
    Explanation(
      "missing-argument", "The function has a parameter without a default, and the call gives nothing for it.",
      wrong: "fn f(a, b) = a + b\nf(1)", right: "fn f(a, b = 2) = a + b\nf(1)"),
    Explanation(
      "model-in-step",
      "A step uses models; it cannot make them, since their parameters would be lost with the call.",
      wrong: "step s(x) = Linear(2, 2)(x)\ns([[1.0, 2.0]])",
      right: "net = Linear(2, 2)\nstep s(x) = net(x)\ns([[1.0, 2.0]]);"),
    Explanation(
      "nesting-too-deep",
      """
      Expressions and blocks nest to a depth of 500: give a part a name first. Lists and records hold each other to a depth
      of 10,000, models to one of 1,000: keep many things in one list.
      """,
      wrong: "x = []\nfor i in 1...20000 { x = [x] }", right: "x = []\nfor i in 1...20000 { x = append(x, i) }"),
    Explanation(
      "no-answer",
      """
      `ask` waits for a line from a person, and there is nobody: standard input is at its end, or the program is a test, or
      the notebook runs by itself. What a program must be able to run without is an `input`, which has a default.
      """,
      wrong: "name = ask(\"name? \")", right: "input name = \"Ada\""),
    Explanation(
      "no-editor",
      """
      `:edit` opens the program that $VISUAL names, else that of $EDITOR, else vi, and it did not start or ended with an error.
      A notebook has no editor: its cells are edited in their place.
      """),
    Explanation(
      "no-error",
      """
      `gradus check` went through the statement above a `#!` line and saw that the error it expects cannot come: names and
      shapes fit. `gradus test` would say so after running it.
      """),
    Explanation(
      "no-history",
      """
      `minimize` belongs in a `step`: a step records how its loss came about. Outside, `grad` gives the gradient of a
      function.
      """,
      wrong: "net = Linear(2, 1)\nminimize(mean(net([[1.0, 2.0]])), net, sgd(lr: 0.1))",
      right: "net = Linear(2, 1)\nopt = sgd(lr: 0.1)\nstep train(x) {\n  loss = mean(net(x)^2)\n  minimize(loss, net, opt)\n  loss\n}\ntrain([[1.0, 2.0]]);"),
    Explanation(
      "no-parameters", "What is to be trained, frozen or counted holds no parameters.",
      wrong: "freeze([1, 2])", right: "freeze(Linear(2, 2))"),
    Explanation(
      "not-callable", "Only functions, models with `forward`, and dtypes are called.",
      wrong: "x = 5\nx(2)", right: "x = 5\nx * 2"),
    Explanation(
      "not-differentiable",
      "Derivatives are taken by floats: numbers, float tensors, models, and lists and records of these.",
      wrong: "grad(fn(s) = 1.0)(\"text\")", right: "grad(fn(x) = x^2)(1.0)"),
    Explanation("not-indexable", "Only lists, strings, ranges and tensors have elements.",
      wrong: "true[0]", right: "[true][0]"),
    Explanation("not-iterable", "A loop goes through lists, ranges, tensors, strings and batches.",
      wrong: "for i in 5 { print(\"{i}\") }", right: "for i in 0..<5 { print(\"{i}\") }"),
    Explanation(
      "not-kept",
      """
      `Out[n]` is the value of input n of a session in the terminal or a notebook. Only the last few are kept, and no more
      than so many bytes of them; an input that ends in `;` or prints nothing has none. `Out` lists what there is.
      """),
    Explanation(
      "not-separable",
      """
      `accumulate: n` runs the pieces of a batch one after the other and adds up what they give. That is the same as the
      whole batch only if the loss is a sum over rows: a row's part of it may depend on that row, on parameters, and on
      what depends on no parameter (counts, masks, statistics of the input). A loss in which rows meet, or a function of the
      whole loss such as its root, is not. The line that is named is where rows meet.
      """,
      wrong:
        "net = Linear(2, 1)\nopt = sgd()\nstep train(x) { minimize(sqrt(mean(net(x)^2)), net, opt) }\n(train with accumulate: 2)(ones([4, 2]))",
      right:
        "net = Linear(2, 1)\nopt = sgd()\nstep train(x) { minimize(mean(net(x)^2), net, opt) }\n(train with accumulate: 2)(ones([4, 2]))"),
    Explanation("out-of-memory", "The tensor or the step needs more memory than this machine, or the limit it runs under, has.",
      wrong: "zeros([1000000, 1000000])", right: "zeros([1000, 1000]);"),
    Explanation("outside-function", "`return` ends a function, and there is none around it.",
      wrong: "return 5", right: "fn f() { return 5 }\nf()"),
    Explanation("outside-loop", "`break` and `continue` act on a loop, and there is none around them.",
      wrong: "break", right: "while true { break }"),
    Explanation(
      "over-budget",
      """
      No plan that was found runs the step within its budget, which bounds all that a run takes: what is there before it,
      the arena and the kernels' workspace. `fit(train, x, y)` lists the plans. Fewer rows, a smaller model or an
      optimizer with less state take less; checkpointing only does away with activations. `accumulate: auto` beside the
      budget lets it cut the batch as well.
      """,
      wrong: """
        net = MLP([8, 8, 2])
        opt = sgd()
        step train(x) { minimize(sum(net(x)^2), net, opt) }
        small = train with budget: 100
        small(ones([4, 8]))
        """,
      right: """
        net = MLP([8, 8, 2])
        opt = sgd()
        step train(x) { minimize(sum(net(x)^2), net, opt) }
        small = train with budget: 4MiB
        small(ones([4, 8]));
        """),
    Explanation("ragged-list", "A list becomes a tensor only if its rows are of one length all the way down.",
      wrong: "sum([[1, 2], [3]])", right: "sum([[1, 2], [3, 4]])"),
    Explanation("recursion-too-deep", "Calls nest to a depth of 10,000. A recursion needs a case that ends it.",
      wrong: "fn f(n) = f(n + 1)\nf(0)", right: "fn f(n) = if n == 10 { n } else { f(n + 1) }\nf(0)"),
    Explanation(
      "retraced",
      """
      A step is traced anew for each kind of arguments: other shapes, other dtypes, another function or number that decides
      a shape or a branch. Tracing costs milliseconds, running microseconds; pad the last batch or leave it out.
      """),
    Explanation(
      "scale-too-small",
      """
      Under `precision: f16` a step whose gradients are not finite is skipped, and the loss scale halved. Here they were
      not finite even with a scale of 1, so no smaller one would help: the loss or the activations are beyond 65504, or
      no numbers at all. Look at the loss in f32, or use bf16, whose range is that of f32.
      """),
    Explanation(
      "shape-mismatch",
      """
      The operands of an op do not fit together. Elementwise ops want equal sizes, counted from the last axis, or 1 where
      they differ; `@` wants the columns of the left to be the rows of the right; an annotation wants what it says.
      """,
      wrong: "zeros([32, 128]) @ zeros([64, 10])", right: "zeros([32, 128]) @ zeros([128, 10]);"),
    Explanation(
      "state-dropped",
      """
      An optimizer keeps state for each param, made for its shape and dtype. The param was given another shape, so the state
      is made anew.
      """),
    Explanation(
      "step-in-grad",
      "A step updates models, so it has no derivative. Call the functions that it calls.",
      wrong: "step s(x) = sum(x^2)\ngrad(fn(x) = s(x))([1.0])",
      right: "fn f(x) = sum(x^2)\ngrad(f)([1.0])"),
    Explanation("syntax", "The text is no program at this place; the message says what would be.",
      wrong: "x = = 5", right: "x = 5"),
    Explanation("too-many-arguments", "The call gives more arguments than the function takes.",
      wrong: "fn f(a) = a\nf(1, 2)", right: "fn f(a) = a\nf(1)"),
    Explanation("too-many-names", "A session holds some four million names; this one has used them up."),
    Explanation(
      "torn-model",
      """
      A second Ctrl-C stopped a step while it was writing its updates, so the model is neither the old nor the new one.
      Load it or make it anew.
      """),
    Explanation(
      "traced-condition",
      """
      A step is traced before it knows numbers, so an `if` or `while` in it cannot look at a tensor's. `where(c, a, b)` chooses
      element by element; an `if` on shapes or on plain numbers is fine.
      """,
      wrong: "step s(x) = if sum(x) > 0 { x } else { -x }\ns([1.0])",
      right: "step s(x) = where(sum(x) > 0, x, -x)\ns([1.0])"),
    Explanation(
      "traced-value",
      "While a step is traced, its tensors have shapes but no elements yet; this needs an element.",
      wrong: "step s(x) = x[x > 0]\ns([1.0, -1.0])", right: "step s(x) = where(x > 0, x, 0.0)\ns([1.0, -1.0])"),
    Explanation("tree-mismatch", "`map` over several trees wants trees of one form; so does `apply_gradients` of a model and its gradients.",
      wrong: "map(fn(a, b) = a + b, [1, 2], [1])", right: "map(fn(a, b) = a + b, [1, 2], [3, 4])"),
    Explanation(
      "unchecked",
      """
      `gradus check` computes nothing, so what depends on the elements of a tensor is not known to it: a condition such as
      `if loss < best`, the number of rows that a mask selects. It goes through both sides of such an `if`, and lists the
      places that it could not look at; a run looks at them.
      """),
    Explanation("unclosed-bracket", "A bracket is opened and not closed where its statement or block ends.",
      wrong: "x = (1 + 2\ny = 3", right: "x = (1 + 2)\ny = 3"),
    Explanation("unclosed-string", "A string ends on the line it began on. Write `\\n` for a new line in it.",
      wrong: "print(\"hello)", right: "print(\"hello\")"),
    Explanation("unknown-argument", "The function has no parameter of this name.",
      wrong: "softmax([1.0, 2.0], axes: 0)", right: "softmax([1.0, 2.0], axis: 0)"),
    Explanation("unknown-code", "`gradus explain` knows the codes that stand in brackets: `error[shape-mismatch]`."),
    Explanation("unknown-command", "The terminal has no such command; `:help` lists them."),
    Explanation("unknown-dtype", "The dtypes are f32 f16 bf16 f64 i32 i64 u8 bool.",
      wrong: "fn f(x: float[2]) = x", right: "fn f(x: f32[2]) = x"),
    Explanation("unknown-input", "The command line gives a value for an `input` that the script does not declare."),
    Explanation("unknown-member", "The value has no member of this name. Tab behind the dot lists those it has.",
      wrong: "p = (rate: 0.1)\np.rat", right: "p = (rate: 0.1)\np.rate"),
    Explanation(
      "unknown-name",
      "Nothing has this name here. Names are looked up before a script starts, so a slip near the end costs no training run.",
      wrong: "loss = 0.5\nprint(\"{los}\")", right: "loss = 0.5\nprint(\"{loss}\")"),
    Explanation("unknown-policy", "There is no such policy of a step. Policies say how a step runs, not what it computes.",
      wrong: "step s(x) = x\nt = s with speed: 2"),
    Explanation("unmatched-bracket", "A closing bracket belongs to no opening one, or to one of another kind.",
      wrong: "x = [1, 2)", right: "x = [1, 2]"),
    Explanation(
      "unreached-parameter",
      """
      The loss does not depend on this parameter, so it never learns. Often a layer was made and not called in `forward`,
      or a value was passed through `stop_gradient`, an index or a comparison. `freeze` it if that is meant.
      """),
    Explanation("unset-name", "The name is assigned somewhere, but that place has not run yet.",
      wrong: "print(\"{later}\")\nlater = 1", right: "later = 1\nprint(\"{later}\")"),
    Explanation(
      "unsupported-dtype",
      """
      The dtype cannot be used so. f8e4m3, f8e5m2, q8 and q8e4m3 only store numbers: a tensor comes into them by conversion,
      and out of them before anything is computed with it, or looked up in it.
      """,
      wrong: "q8([1.0, 2.0]) + 1", right: "f32(q8([1.0, 2.0])) + 1"),
  ]
}
