import Notebook
import Support
import Testing

@Suite struct SessionTests {
  @Test func echoesValuesOfExpressions() {
    let run = ScriptRun("x = 2\nx + 1\nx + 2;\nprint(\"text\")\n_ * 10")
    #expect(run.lines == ["3", "text", "30"])
    #expect(run.outcome == .finished)
  }

  @Test func stopsAtTheFirstError() {
    let run = ScriptRun("1\n[1, 2][5]\n2")
    #expect(run.lines == ["1"])
    #expect(run.codes == ["index-out-of-range"])
    #expect(run.outcome == .failed)
  }

  @Test func goesOnAfterAnExpectedError() {
    let run = ScriptRun("[1, 2][5]\n#! error[index-out-of-range]\n2")
    #expect(run.lines == ["2"])
    #expect(run.codes == ["index-out-of-range"])
    #expect(run.outcome == .finished)
  }

  @Test func stopsAtAnotherErrorThanTheExpected() {
    let run = ScriptRun("[1, 2][5]\n#! error[shape-mismatch]\n2")
    #expect(run.lines == [])
    #expect(run.outcome == .failed)
  }

  @Test func refusesAScriptWithMistakesBeforeItStarts() {
    let run = ScriptRun("print(\"started\")\nfn f(a) = a\nf(1, 2)\nunknown_thing\n(1 +")
    #expect(run.lines == [])
    #expect(run.codes == ["too-many-arguments", "unknown-name", "unclosed-bracket"])
    #expect(run.outcome == .failed)
  }

  @Test func mistakesOfSyntaxAndNamesCanBeExpected() {
    let text = """
      1
      (1 +
      #! error[unclosed-bracket]
      unknown_thing
      #! error[unknown-name]: no `unknown_thing` here
      fn f(a) = other_thing
      #! error[unknown-name]
      2
      """
    let run = ScriptRun(text)
    #expect(run.lines == ["1", "2"])
    #expect(run.codes == ["unclosed-bracket", "unknown-name", "unknown-name"])
    #expect(run.outcome == .finished)
  }

  @Test func oneExpectationDoesNotExcuseTwoMistakes() {
    #expect(ScriptRun("nothing_here + nowhere\n#! error[unknown-name]\n1").outcome == .failed)
    #expect(
      ScriptRun("nothing_here + nowhere\n#! error[unknown-name]\n#! error[unknown-name]\n1").outcome == .finished)
  }

  @Test func exitEndsWithItsCode() {
    let run = ScriptRun("1\nexit(3)\n2")
    #expect(run.lines == ["1"])
    #expect(run.outcome == .exited(3))
    #expect(run.outcome.exitCode == 3)
  }

  @Test func inputsThatAScriptDoesNotDeclareAreRefused() {
    let script = Script(SourceFile(name: "a.nn", text: "input epochs = 5\nepochs"))
    let recorder = Recorder()
    let session = Session(output: recorder)
    #expect(session.setInputs([("epochs", "9")], for: script).isEmpty)
    let mistakes = session.setInputs([("epoch", "9")], for: script)
    #expect(mistakes.map(\.code) == ["unknown-input"])
    #expect(mistakes[0].help == "did you mean `epochs`?")
    #expect(session.run(session.prepare(script)) == .finished)
    #expect(recorder.take().lines == ["9"])
  }

  @Test func resetForgetsNames() {
    let recorder = Recorder()
    let session = Session(output: recorder)
    #expect(session.run(session.makeInput("x = 3\nx")) == .finished)
    session.reset()
    #expect(session.run(session.makeInput("x")) == .failed)
    #expect(recorder.take().diagnostics.map(\.code) == ["unknown-name"])
    #expect(session.lastError?.code == "unknown-name")
  }

  @Test func stepsThatAreMadeAnewShareTheirPlans() {
    // Were the plans those of each closure, the ninth kind of argument would be the first of the ninth closure.
    let run = ScriptRun("fn f(x) {\n  step s(x) = sum(x)\n  s(x)\n}\nfor i in 1...9 { f(ones([i])) }\nfor i in 1...9 { f(ones([i])) }")
    #expect(run.codes == ["retraced"])
    let library = ScriptRun("for i in 1...12 { predict(fn(x) = x, ones([i, 2])) }")
    #expect(library.codes == [])
  }

  @Test func aBatchThatABudgetCutsIsAnnouncedOnce() {
    let run = ScriptRun(
      """
      net = MLP([16, 32, 32, 2])
      opt = sgd()
      step train(x) { minimize(mean(net(x)^2), net, opt) }
      x = ones([64, 16])
      f = fit(train with accumulate: auto, x)
      whole = [p for p in f.frontier if p.accumulate == 1][0]
      cut = train with (budget: f.smallest, accumulate: auto)
      kept = train with (budget: whole.total, accumulate: auto)
      f.smallest < whole.total
      cut(x); cut(x); kept(x);
      """)
    #expect(run.lines == ["true"])
    #expect(run.codes == ["in-pieces"])
  }

  @Test func stateThatDoesNotFitIsDroppedWithANote() {
    let run = ScriptRun(
      """
      model Weights() {
        param w = zeros([1])
        fn forward(x) = sum(w) * x
      }
      net = Weights()
      opt = momentum(lr: 0.1)
      step pull(x) = minimize(net(x), net, opt)
      pull(1.0);
      net.w = zeros([2])
      pull(1.0);
      pull(1.0);
      """)
    #expect(run.codes == ["state-dropped"])
  }
}
