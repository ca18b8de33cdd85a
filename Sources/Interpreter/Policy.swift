/// What `with` can say of a step, of a call or of an optimizer: the one table that errors, completion and help read.
package struct Policy: Sendable {
  /// What a policy is said of.
  package enum Subject: Sendable { case step, call, optimizer }

  package let name: String
  package let subjects: Set<Subject>
  /// What can stand behind it, as far as words do.
  package let values: [String]
  /// How it is written, and lines that say what that does.
  package let forms: [(usage: String, lines: [String])]

  /// An example of what stands behind it, and the first words on that: `sqrt   keeps less for the backward pass …`.
  package var summary: String {
    guard let form = forms.first else { return "" }
    let example = form.usage.dropFirst(name.count + 2)
    return example + "   " + form.lines.joined(separator: " ").prefix { $0 != ":" && $0 != ";" && $0 != "." }
  }

  package static func names(of subject: Subject) -> [String] {
    all.filter { $0.subjects.contains(subject) }.map(\.name)
  }

  package static func named(_ name: String) -> Policy? { all.first { $0.name == name } }

  private static let dtypes = ["bf16", "f16", "f32"]

  package static let all: [Policy] = [
    Policy(
      name: "training", subjects: [.step, .call], values: ["on", "off"],
      forms: [("training: on", ["or off: the mode of layers such as Dropout; of models too"])]),
    Policy(
      name: "precision", subjects: [.step, .call], values: dtypes,
      forms: [("precision: bf16", ["or f16, f32: `help mixed_precision`"])]),
    Policy(
      name: "loss_scale", subjects: [.step], values: ["dynamic", "none"],
      forms: [("loss_scale: dynamic", ["or a number, none"])]),
    Policy(
      name: "checkpoint", subjects: [.step], values: ["none", "every(", "sqrt", "selective", "full"],
      forms: [
        (
          "checkpoint: sqrt",
          [
            "keeps less for the backward pass and computes it once more, bit for bit: `every(k)` keeps what",
            "passes between every k-th layer and the next, `sqrt` picks k, `full` keeps what passes between",
            "layers, `selective` keeps products; `none`",
          ]
        )
      ]),
    Policy(
      name: "accumulate", subjects: [.step], values: ["auto"],
      forms: [
        ("accumulate: 4", ["the batch in 4 pieces: rows of the first argument, and of all that have as many"]),
        ("accumulate: auto", ["lets the budget cut the batch too; without one, the memory that there is"]),
      ]),
    Policy(
      name: "batch", subjects: [.step], values: [],
      forms: [("batch: [\"x\", \"y\"]", ["the arguments that are cut, where others have as many rows"])]),
    Policy(
      name: "budget", subjects: [.step], values: [],
      forms: [
        ("budget: 24MiB", ["the fastest plan that takes no more than that in all; `fit(train, x, y)` lists the plans"])
      ]),
    Policy(
      name: "no_decay", subjects: [.optimizer], values: [],
      forms: [("no_decay: \"*.bias\"", ["paths without weight decay; `*` stands for any characters"])]),
    Policy(
      name: "rules", subjects: [.optimizer], values: [],
      forms: [
        (
          "rules: [(\"head.*\", (lr: 1e-4, state: f32))]",
          ["settings by path; of several rules that fit, the last counts"]
        )
      ]),
    Policy(
      name: "state", subjects: [.optimizer], values: ["q8", "f8e4m3", "bf16", "f32"],
      forms: [
        (
          "state: q8",
          ["state in 8 bits, blocks of 256; f8e4m3, 8-bit floats; bf16. Small tensors and embeddings keep f32"]
        )
      ]),
    Policy(
      name: "rounding", subjects: [.optimizer], values: Rounding.allCases.map(\.rawValue),
      forms: [("rounding: stochastic", ["how updates of params in bf16 are rounded; kahan, nearest"])]),
  ]
}
