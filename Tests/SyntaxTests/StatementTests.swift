import Support
import Syntax
import Testing

@Suite struct StatementTests {
  /// Every form of statement, declaration and literal with its tree.
  @Test(arguments: [
    (#"fn(x) = x |> f + 1"#, #"(fn _ (x) (do (|> x (+ f 1))))"#),
    (#"xs |> map(fn(x) = x, 1)"#, #"(|> xs (call map (fn _ (x) (do x)) 1))"#),
    (#"fn(x) { x }"#, #"(fn _ (x) (do x))"#),
    (
      #"fn(x: [b, _, 3 * d], y: f32[.., n] = 1, z: i64) -> f32[] = x"#,
      #"(fn _ ((x : [b _ (* 3 d)]) (y : f32[.. n] = 1) (z : i64[..])) -> f32[] (do x))"#
    ),
    (
      #"fn f(x) = x with grad: fn(x, dy) = dy"#,
      #"(fn f (x) (do x) (grad (fn _ (x dy) (do dy))))"#
    ),
    (#"fn(x) = x with grad: g"#, #"(fn _ (x) (do x) (grad g))"#),
    (
      #"fn f(x) = g(fn(y) = y with grad: h) with grad: k"#,
      #"(fn f (x) (do (call g (fn _ (y) (do y) (grad h)))) (grad k))"#
    ),
    (#"fn f(x) = fn(y) = y with grad: k"#, #"(fn f (x) (do (fn _ (y) (do y))) (grad k))"#),
    (
      #"fn f(x) { x } with grad: fn(x, dy) = dy"#,
      #"(fn f (x) (do x) (grad (fn _ (x dy) (do dy))))"#
    ),
    (#"fn f(x) = x with training: on"#, #"(fn f (x) (do (with x training: on)))"#),
    (#"fn(x) = x with training: on"#, #"(fn _ (x) (do (with x training: on)))"#),
    (#"(a, b) = c"#, #"(= (tuple a b) c)"#),
    (#"a, (b, c) = d, e"#, #"(= (tuple a (tuple b c)) (record d e))"#),
    (#"a[0], b.c = f()"#, #"(= (tuple (index a 0) (. b c)) (call f))"#),
    (
      #"x[1:2, ::3, :, .., none, 1...2, a:b:c] = 1"#,
      #"(= (index x (slice 1 2 _) (slice _ _ 3) (slice _ _ _) .. none (... 1 2) (slice a b c)) 1)"#
    ),
    (
      #"x += 1; y @= z;"#,
      #"""
      (silent (+= x 1))
      (silent (@= y z))
      """#
    ),
    (
      #"x //= 2; y"#,
      #"""
      (silent (//= x 2))
      y
      """#
    ),
    (#"return_ = 1"#, #"(= return_ 1)"#),
    (
      #"for a, (b, c) in xs { break; continue }"#,
      #"(for (tuple a (tuple b c)) xs (do (silent (break)) (continue)))"#
    ),
    (#"while a { if b { break } }"#, #"(while a (do (if b (do (break)))))"#),
    (
      #"fn f() { return; return a, b }"#,
      #"(fn f () (do (silent (return)) (return (record a b))))"#
    ),
    (#"if a { 1 } else if b { 2 } else { 3 }"#, #"(if a (do 1) (do (if b (do 2) (do 3))))"#),
    (
      #"""
      x = if a { 1 }
      else { 2 }
      """#,
      #"(= x (if a (do 1) (do 2)))"#
    ),
    (
      #"""
      if a { b }
      c
      """#,
      #"""
      (if a (do b))
      c
      """#
    ),
    (#"()"#, #"(record)"#),
    (#"(a,)"#, #"(record a)"#),
    (#"(a)"#, #"a"#),
    (#"(a: 1, "b")"#, #"(record a: 1 "b")"#),
    (#"[]"#, #"(list)"#),
    (
      #"""
      [[1, 2],
       [3, 4],]
      """#,
      #"(list (list 1 2) (list 3 4))"#
    ),
    (
      #"[x for x in xs if a if b for (y, z) in ys]"#,
      #"(each x (for x xs (if a) (if b)) (for (tuple y z) ys))"#
    ),
    (#""""#, #""""#),
    (#""a{{b}}\{c\}\n\u{1F600}""#, #""a{b}{c}\n😀""#),
    (
      #""{x} and {f("{y}", a[1:2], z: 1):>8.3f}""#,
      #"(string x " and " (format (call f (string y) (index a (slice 1 2 _)) z: 1) ">8.3f"))"#
    ),
    (
      #"64MiB, 1.5KiB, 0x1F, 0b101, 1_000, 1e-3, 1.5E+3, 9_223_372_036_854_775_807"#,
      #"(record 67108864 1536 31 5 1000 0.001 1500.0 9223372036854775807)"#
    ),
    (#"-9223372036854775808"#, #"-9223372036854775808"#),
    (#"-9223372036854775808.0"#, #"(- 9.223372036854776e+18)"#),
    (
      #"""
      x
        |> f

        # comment
        |> g
      y
      """#,
      #"""
      (|> (|> x f) g)
      y
      """#
    ),
    (
      #"""
      a +
      b
      """#,
      #"(+ a b)"#
    ),
    (
      #"""
      f(a,
        b: c
      )
      """#,
      #"(call f a b: c)"#
    ),
    (
      #"""
      f(fn(x) {
        y = x
        y
      }, 2)
      """#,
      #"(call f (fn _ (x) (do (= y x) y)) 2)"#
    ),
    (
      #"""
      a
      -b
      """#,
      #"""
      a
      (- b)
      """#
    ),
    (
      #"""
      a
      [b]
      """#,
      #"""
      a
      (list b)
      """#
    ),
    (
      #"""
      a
      (b)
      """#,
      #"""
      a
      b
      """#
    ),
    (
      #"""
      (a
      (b))
      """#,
      #"(call a b)"#
    ),
    (
      #"""
      train
        with a: b
      """#,
      #"(with train a: b)"#
    ),
    (#"use "a.nn""#, #"(use "a.nn")"#),
    (#"input epochs = 5"#, #"(input epochs 5)"#),
    (
      #"""
      # Doc.
      #  more
      model M(a, b = 1) {
        param w = a; buffer m = b
        x = 1
        # Runs.
        fn forward(x) = x
      }
      """#,
      #"(model M (a (b = 1)) (param w a) (buffer m b) (field x 1) (fn forward (x) (do x) (doc "Runs.")) (doc "Doc.\n more"))"#
    ),
    (
      #"""
      optimizer sgd(lr = 1) {
        state m = p
        fn update(p, g, t) { p }
        fn help() = 1
      }
      """#,
      #"(optimizer sgd ((lr = 1)) (state m p) (fn update (p g t) (do p)) (fn help () (do 1)))"#
    ),
    (#"step train(x) -> [] { x }"#, #"(step train (x) -> [] (do x))"#),
    (
      #"""
      step = 3
      step(x)
      p.state + state
      input[0]
      """#,
      #"""
      (= step 3)
      (call step x)
      (+ (. p state) state)
      (index input 0)
      """#
    ),
    (#"f(state: q8, in: 1) with state: q8"#, #"(with (call f state: q8 in: 1) state: q8)"#),
    (
      #"param = buffer + model.optimizer - use"#,
      #"(= param (- (+ buffer (. model optimizer)) use))"#
    ),
    (#"state in input"#, #"(in state input)"#),
    (
      #"""
      # %% Cell
      fn f() = 1
      """#,
      #"(fn f () (do 1))"#
    ),
    (
      #"""
      #> out
      # doc
      fn f() = 1
      """#,
      #"(fn f () (do 1) (doc "doc"))"#
    ),
    (#"f(x)(y)[z].w"#, #"(. (index (call (call f x) y) z) w)"#),
    (
      #"""
      a; b
      c;
      """#,
      #"""
      (silent a)
      b
      (silent c)
      """#
    ),
    (#"βeta = naïve_2 + 变量"#, #"(= βeta (+ naïve_2 变量))"#),
    (#"x.in.with"#, #"(. (. x in) with)"#),
    (#"x.step = 3"#, #"(= (. x step) 3)"#),
    (#"fn step(state) = state"#, #"(fn step (state) (do state))"#),
    (
      #"print(1); x"#,
      #"""
      (silent (call print 1))
      x
      """#
    ),
  ])
  func forms(source: String, tree: String) {
    let (program, diagnostics) = parse(source)
    #expect(diagnostics.map(summary) == [])
    #expect(dump(program) == tree)
  }

  @Test(arguments: Corpus.all)
  func corpusParses(source: String) {
    #expect(parse(source).diagnostics.map(summary) == [])
  }

  @Test func windowsLineEndsAndByteOrderMarks() {
    let (program, diagnostics) = parse("\u{FEFF}x = 1\r\n# doc\r\nfn f() = \"a\"\r\n")
    #expect(diagnostics.map(summary) == [])
    #expect(dump(program) == "(= x 1)\n(fn f () (do \"a\") (doc \"doc\"))")
  }

  @Test func documentationIsWhatStandsRightAbove() {
    let program = parse(
      """
      # %% Cell
      # First.
      #
      #   second
      fn f() = 1
      # apart

      fn g() = 1
      #> 3
      fn h() = 1
      x = 1  # of x
      fn i() = 1
      """
    ).program
    #expect(
      dump(program).split(separator: "\n") == [
        #"(fn f () (do 1) (doc "First.\n\n  second"))"#, "(fn g () (do 1))", "(fn h () (do 1))",
        "(= x 1)", "(fn i () (do 1))",
      ])
  }
}
