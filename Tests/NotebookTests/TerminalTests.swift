import Foundation
import Interpreter
import Notebook
import Support
import Testing

@Suite struct TranscriptTests {
  @Test func ordinaryTextIsOneInput() {
    #expect(inputs(inPastedText: "a = 1\nb = 2\n#> x") == ["a = 1\nb = 2\n#> x"])
  }

  @Test func promptsAndOutputsAreStripped() {
    let text = "Gradus 0.1\nnn> a = 1\nnn> a\n1\nnn> (1 +\n...> 2)\n3\nnn> \nnn> b\nerror[unknown-name]: no `b` here"
    #expect(inputs(inPastedText: text) == ["a = 1", "a", "(1 +\n2)", "b"])
  }

  @Test func blocksPastedIntoATranscriptStayWhole() {
    let text = "nn> fn f(x) {\n\n  x + 1\n}\nnn> f(1)\n#> 2\n2"
    #expect(inputs(inPastedText: text) == ["fn f(x) {\n\n  x + 1\n}", "f(1)"])
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
    #expect(Command.parse("??adamw") == .command(.source, argument: "adamw"))
    #expect(Command.parse("net.layers[0]??") == .command(.source, argument: "net.layers[0]"))
    #expect(Command.parse("help") == .command(.help, argument: ""))
    #expect(Command.parse(":doc x") == .command(.help, argument: "x"))
    #expect(Command.parse(":!ls -l") == .command(.shell, argument: "ls -l"))
    #expect(Command.parse(":! ls") == .command(.shell, argument: "ls"))
    #expect(Command.parse(":timeit f(x)") == .command(.bench, argument: "f(x)"))
    #expect(Command.parse(":time f(\n  x)") == .command(.time, argument: "f(\n  x)"))
    #expect(Command.parse(":load a\nb") == nil)
    #expect(Command.isIncomplete(":time f("))
    #expect(!Command.isIncomplete(":load f("))
    #expect(!Command.isIncomplete("f("))
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

  @Test func pathsAreCompletedOnlyWhereAFileIsMeant() {
    #expect(completion("use \"he").subject == .path)
    #expect(completion("save(\"ru").subject == .path)
    #expect(completion("exists(  \"ru").subject == .path)
    #expect(completion("load(\"a.csv\", \"b").subject == .words)
    #expect(completion("print(\"da").subject == .words)
    #expect(completion("print(\"da").candidates.isEmpty)
    #expect(completion("x = \"so").candidates.isEmpty)
    #expect(completion("f(1, \"da", after: "fn f(x, path) = x").subject == .path)
    #expect(completion("f(path: \"da", after: "fn f(x, path) = x").subject == .path)
    #expect(completion("f(\"da", after: "fn f(x, path) = x").subject == .words)
    #expect(completion(":load \"da").start == 7)
    #expect(completion("# soft").candidates.isEmpty)
    #expect(completion("\"#\" + soft").candidates.contains("softmax"))
  }

  @Test func bracketsInStringsAreNone() {
    let setup = "fn f(value, amount = 2) = value"
    #expect(completion("f(\")\", amo", after: setup).candidates == ["amount:"])
    #expect(completion("f(\"{1}(\") + amo", after: setup).candidates.isEmpty)
    #expect(completion("f(\"(\namo", after: setup).candidates == ["amount:"])
    #expect(completion("\"{f(amo", after: setup).candidates == ["amount:"])
    #expect(completion("\"{f(1)} {thr", after: setup + "\nthreshold = 1").candidates == ["threshold"])
  }

  @Test func signaturesAndShapesStandBesideNames() {
    func detail(_ text: String, _ setup: String = "") -> String? { completion(text, after: setup).items.first?.detail }
    #expect(detail("softmax") == "(x, axis = -1)")
    #expect(detail("weights", "weights = zeros([64, 128])") == "f32[64, 128]")
    #expect(detail("thr", "threshold = 5") == "int 5")
    #expect(detail("softmax(x, ax") == "= -1")
    #expect(detail("p.ra", "p = (rate: 0.5)") == "number 0.5")
    #expect(detail("net.we", "model M() {\n  param weight = zeros([2])\n}\nnet = M()") == "f32[2]")
    #expect(detail(":va") == Command.vars.summary)
    #expect(completion("softm").items.first?.kind == "function")
    #expect(completion("whil").items.first?.kind == "keyword")
    #expect(completion("adamw").items.first?.kind == "optimizer")
  }

  @Test func pathsOfParametersAreCompleted() {
    let setup = "net = MLP([4, 3, 2])"
    #expect(completion("net.", after: setup).candidates == ["activation", "forward", "layers", "sizes"])
    let paths = completion("net.lay", after: setup)
    #expect(paths.candidates.contains("layers[1].weight"))
    #expect(paths.items.first { $0.text == "layers[1].weight" }?.detail == "f32[3, 2]")
    #expect(completion("net.layers[0].we", after: setup).candidates == ["weight"])
  }

  @Test func policiesAreCompletedAfterWith() {
    let setup = """
      net = MLP([4, 2])
      opt = adamw()
      step train(x) = minimize(mean(net(x)), net, opt)
      p = (first: 1)
      words = f16
      """
    func candidates(_ text: String) -> [String] { completion(text, after: setup).candidates }
    #expect(candidates("train with ") == Policy.names(of: .step).map { $0 + ":" }.sorted())
    #expect(candidates("train with pre") == ["precision:"])
    #expect(candidates("train with (accumulate: 4, ch") == ["checkpoint:"])
    #expect(candidates("train with (\n  accumulate: 4,\n  ch") == ["checkpoint:"])
    #expect(candidates("train with precision: b") == ["bf16"])
    #expect(candidates("train with (training: on, precision: w") == ["words"])
    #expect(candidates("net with ") == ["precision:", "training:"])
    #expect(candidates("opt with st") == ["state:"])
    #expect(candidates("opt with be") == ["beta1:", "beta2:"])
    #expect(candidates("adamw(lr: 1e-3) with no") == ["no_decay:"])
    #expect(candidates("opt with rounding: ") == ["kahan", "nearest", "net", "opt", "p", "stochastic", "train", "words"])
    #expect(candidates("p with ") == ["first:"])
    #expect(candidates("unknown_thing with check") == ["checkpoint:"])
    // Labels of a call are no policies.
    #expect(candidates("f(precision: soft").contains("softmax"))
  }

  @Test func policiesAreKnownToHelpAndErrors() {
    let session = Session(output: Recorder())
    for policy in Policy.all {
      #expect(session.helpPage(of: "policies")?.contains("  \(policy.name): ") == true, "\(policy.name)")
    }
    for subject in [Policy.Subject.step, .optimizer] {
      let owner = subject == .step ? "step s(x) = x\ns" : "sgd(lr: 0.1)"
      let notes = ScriptRun("\(owner) with nothing_such: 1").messages
      for name in Policy.names(of: subject) { #expect(notes.contains(name), "\(name)") }
    }
  }

  /// Completion and pages are asked for at places all over the scripts, while names of theirs are there and while not.
  @Test func completionAndPagesWithstandEveryPlace() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    var scripts: [URL] = []
    for folder in ["Tests/Golden", "scripts", "stdlib"] {
      let files = FileManager.default.enumerator(at: root.appendingPathComponent(folder), includingPropertiesForKeys: nil)
      for case let file as URL in files! where file.pathExtension == "nn" { scripts.append(file) }
    }
    try #require(scripts.count > 40)
    let session = Session(output: Recorder())
    _ = session.run(
      session.makeInput(
        """
        data = load("digits")
        net = MLP([64, 32, 10])
        opt = adamw()
        (x, y) = (data.train.x[:4], data.train.y[:4])
        step train(x, y) = minimize(cross_entropy(net(x), y), net, opt)
        p = (rate: 0.1, name: "a")
        """))
    var slowest = Duration.zero
    for script in scripts.sorted(by: { $0.path < $1.path }) {
      let bytes = Array(try Data(contentsOf: script))
      // Every place of a script would take minutes in all; these are other ones in each, cut within letters too.
      for offset in stride(from: bytes.count % 31, through: bytes.count, by: 31) {
        let before = String(decoding: bytes[..<offset], as: UTF8.self)
        let line = before.split(separator: "\n", omittingEmptySubsequences: false).last.map(String.init) ?? ""
        for text in [before, line] {
          slowest = max(slowest, ContinuousClock().measure {
            let completion = session.completion(of: text)
            #expect(completion.start <= text.utf8.count)
          })
        }
        _ = session.helpPage(at: offset, in: String(decoding: bytes, as: UTF8.self))
      }
    }
    #expect(slowest < .milliseconds(50))
  }

  @Test func deepTextsAreNoTrouble() {
    let session = Session(output: Recorder())
    let text = String(repeating: "(", count: 100_000)
    #expect(session.helpPage(at: text.utf8.count, in: text) == nil)
    _ = session.completion(of: text)
    _ = session.completion(of: String(repeating: "\"{", count: 50_000))
    _ = session.completion(of: "x" + String(repeating: "[0]", count: 50_000) + ".")
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
