import Formats
import Interpreter
import Notebook
import Support

/// Carries what a program says to the front end that ran it.
final class KernelOutput: DialogueOutput {
  private let wire: Wire
  /// Makes tables of values. It holds this output.
  weak var interpreter: Interpreter?
  /// What runs, and how it wants to be heard.
  private var request: Request?
  private var isSilent = false
  private var allowsQuestions = false
  private var executionCount = 0

  /// The pages that a command asked for, for the reply.
  private(set) var pages: [String] = []
  /// The text of the value that a program ends in, for the history.
  private(set) var result: String?
  /// Loops whose progress has a place in the output.
  private var shownLoops: Set<Int> = []
  /// Notebooks keep outputs of earlier kernels: a place in the output is named after this one.
  private let placeName = uniqueName()

  init(_ wire: Wire) { self.wire = wire }

  func begin(_ request: Request, executionCount: Int, isSilent: Bool, allowsQuestions: Bool) {
    self.request = request
    self.executionCount = executionCount
    self.isSilent = isSilent
    self.allowsQuestions = allowsQuestions
    pages = []
    result = nil
    shownLoops = []
  }

  private func publish(_ type: String, _ content: JSONValue) {
    guard let request, !isSilent else { return }
    wire.publish(type, content, for: request)
  }

  // MARK: - Output

  func write(_ text: String) { write(text, to: "stdout") }

  /// Warnings, and errors that a program expects.
  func report(_ diagnostic: Diagnostic) { write(render(diagnostic, color: true) + "\n", to: "stderr") }

  private func write(_ text: String, to stream: String) {
    guard let request, !isSilent else { return }
    wire.write(text, to: stream, for: request)
  }

  /// The last value of a cell is its result; those before it are shown as they come.
  func echo(_ value: Value, as text: String, isLast: Bool) {
    if isSilent { return }
    let shown = ShownValue(value, as: text, by: interpreter)
    if !isLast { return publish("display_data", ["data": mimeBundle(shown), "metadata": .nothing]) }
    result = text
    publish(
      "execute_result",
      ["execution_count": .int(executionCount), "data": mimeBundle(shown), "metadata": .nothing])
  }

  /// A loop's progress is shown once and then changed in its place.
  func show(_ progress: Progress) {
    let isNew = shownLoops.insert(progress.loop).inserted
    publish(
      isNew ? "display_data" : "update_display_data",
      [
        "data": mimeBundle(progress), "metadata": .nothing,
        "transient": ["display_id": "\(placeName)-\(progress.loop)"],
      ])
  }

  func ask(_ prompt: String) -> Answer {
    guard let request, allowsQuestions else { return .nobody }
    return wire.ask(prompt, for: request)
  }

  // MARK: - Commands

  func page(_ text: String) { pages.append(text) }
  func clear() { publish("clear_output", ["wait": false]) }

  // MARK: - Errors

  func publishError(_ error: JSONValue) { publish("error", error) }
}
