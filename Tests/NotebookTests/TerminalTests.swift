import Interpreter
import Notebook
import Testing

@Suite struct TranscriptTests {
  @Test func ordinaryTextIsOneInput() {
    #expect(inputs(inPastedText: "a = 1\nb = 2\n#> x") == ["a = 1\nb = 2\n#> x"])
  }

  @Test func promptsAndOutputsAreStripped() {
    let text = "Gradus 0.1\nnn> a = 1\nnn> a\n1\nnn> (1 +\n...> 2)\n3\nnn> \nnn> b\nerror[unknown-name]: no `b` here"
    #expect(inputs(inPastedText: text) == ["a = 1", "a", "(1 +\n2)", "b"])
  }
}

@Suite struct CommandTests {
  @Test func commandsAreRead() {
    #expect(Command.parse(":help relu") == .command(.help, argument: "relu"))
    #expect(Command.parse("  :q") == .command(.quit, argument: ""))
    #expect(Command.parse("?relu") == .command(.help, argument: "relu"))
    #expect(Command.parse("net.weight?") == .command(.help, argument: "net.weight"))
    #expect(Command.parse("exit") == .command(.quit, argument: ""))
    #expect(Command.parse(":time  f(x) ") == .command(.time, argument: "f(x)"))
    #expect(Command.parse(":varz") == .unknown("varz"))
    #expect(Command.parse("x = 1") == nil)
    #expect(Command.parse("exits") == nil)
    #expect(Command.parse("\"what?\"") == nil)
    #expect(Command.unknown("varz").help == "did you mean `:vars`?")
  }
}

@Suite struct CompletionTests {
  private func completion(_ text: String, after setup: String = "") -> Completion {
    let session = Session(output: Recorder())
    _ = session.run(session.makeInput(setup))
    return session.completion(of: text)
  }

  @Test func namesAreCompleted() {
    #expect(completion("x = soft").candidates.contains("softmax"))
    #expect(completion("thr", after: "threshold = 5").candidates == ["threshold"])
    #expect(completion("wh").candidates.contains("while"))
    #expect(completion("x = thr").start == 4)
    #expect(completion("").candidates.isEmpty)
  }

  @Test func membersAreCompleted() {
    #expect(completion("p.", after: "p = (rate: 1, name: \"a\")").candidates == ["name", "rate"])
    #expect(completion("1 + p.ra", after: "p = (rate: 1)").candidates == ["rate"])
    #expect(completion("t.sh", after: "t = zeros([2])").candidates == ["shape"])
    #expect(completion("ps[1].ra", after: "ps = [1, (rate: 1)]").candidates == ["rate"])
    #expect(completion("p.q.de", after: "p = (q: (deep: 1))").candidates == ["deep"])
    #expect(completion("f(1).", after: "fn f(x) = (a: x)").candidates.isEmpty)
    #expect(completion("nowhere.").candidates.isEmpty)
    #expect(completion("1...").candidates.contains("softmax"))
  }

  @Test func fieldsAndFunctionsOfModelsAreCompleted() {
    let setup = "model M() {\n  param weight = zeros([2])\n  fn forward(x) = x * weight\n}\nnet = M()"
    #expect(completion("net.", after: setup).candidates == ["forward", "weight"])
    #expect(completion("net.weight.sh", after: setup).candidates == ["shape"])
  }

  @Test func keywordArgumentsAreCompleted() {
    let setup = "fn f(value, amount = 2) = value"
    #expect(completion("f(amo", after: setup).candidates == ["amount:"])
    #expect(completion("f([1, 2], amo", after: setup).candidates == ["amount:"])
    #expect(completion("f(am", after: setup).candidates == ["amount:", "amsgrad"])
    #expect(completion("f(", after: setup).candidates == ["amount:", "value:"])
    #expect(completion("f(1, ", after: setup).candidates == ["amount:", "value:"])
    #expect(completion("f(1 + ", after: setup).candidates.contains("softmax"))
    #expect(!completion("f(1)\nam", after: setup).candidates.contains("amount:"))
  }

  @Test func pathsAreCompletedInStrings() {
    #expect(completion("load(\"da").subject == .path)
    #expect(completion("load(\"da").start == 6)
    #expect(completion(":load da").subject == .path)
    #expect(completion("\"{thr", after: "threshold = 5").candidates == ["threshold"])
    #expect(completion("\"a\" + thr", after: "threshold = 5").candidates == ["threshold"])
  }

  @Test func commandsAreCompleted() {
    #expect(completion(":re").candidates == [":reload", ":reset"])
    #expect(completion(":help soft").candidates.contains("softmax"))
    #expect(completion("?soft").candidates.contains("softmax"))
    #expect(completion(":explain shape-").candidates == ["shape-mismatch"])
  }
}

@Suite struct HelpTests {
  @Test func pagesNameKindAndPlace() throws {
    let session = Session(output: Recorder())
    _ = session.run(session.makeInput("# Adds one.\nfn successor(x) = x + 1\nn = 5"))
    let page = try #require(session.helpPage(of: "successor"))
    #expect(page.hasPrefix("successor(x)"))
    #expect(page.contains("function, <repl 1>:2"))
    #expect(page.contains("\n  Adds one."))
    #expect(session.helpPage(of: "n") == "n: int = 5")
    #expect(session.helpPage(of: "nonsensical") == nil)
    #expect(session.helpPage(of: "dtypes")?.contains("f64") == true)
    #expect(session.unknownHelp("softmx").help == "did you mean `softmax`?")
  }

  @Test func everyBuiltinHasAPage() throws {
    let session = Session(output: Recorder())
    for name in session.interpreter.main.parent?.names ?? [] {
      guard case .callable(let callable)? = session.interpreter.value(of: name) else { continue }
      #expect(!callable.documentation.isEmpty, "\(name) says nothing")
    }
  }
}
