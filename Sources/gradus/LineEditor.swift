@preconcurrency import CReadline
import Glibc
import Notebook
import Support

/// Lines from a person at a terminal, edited by GNU readline through its callback interface: the wait for a key is
/// ours, so that Ctrl-C ends it.
///
/// readline's state is the process's: there is one editor.
final class LineEditor {
  enum Event {
    case line(String)
    case endOfFile
    /// Ctrl-C; whether there was text on the line.
    case interrupted(hadText: Bool)
  }

  /// What Tab offers for the line up to the cursor.
  struct Completions {
    /// Where the word begins, in bytes of the line.
    var start: Int
    /// nil for paths, which readline completes itself.
    var words: [Completion.Item]?
  }

  typealias Completer = (_ textToCursor: String) -> Completions

  // What readline's C callbacks reach. Only the thread of the editor touches it.
  private nonisolated(unsafe) static var received: Event?
  private nonisolated(unsafe) static var completer: Completer?
  private nonisolated(unsafe) static var pending = Completions(start: 0, words: [])
  private nonisolated(unsafe) static var nextWord = 0

  /// Written to by the signal handler, waited for beside the keyboard.
  private var wakePipe: [Int32] = [-1, -1]

  init(completer: @escaping Completer) {
    Self.completer = completer
    pipe(&wakePipe)
    for descriptor in wakePipe {
      _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
      _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    }
    Interrupts.wake(through: wakePipe[1])

    rl_readline_name = UnsafePointer(strdup("gradus"))
    rl_catch_signals = 0
    rl_persistent_signal_handlers = 1
    for setting in Self.settings {
      // It writes into its argument.
      var copy = Array(setting.utf8CString)
      rl_parse_and_bind(&copy)
    }
    rl_completion_word_break_hook = { LineEditor.breakCharacters() }
    rl_attempted_completion_function = { text, _, _ in LineEditor.complete(text) }
    rl_completion_display_matches_hook = { matches, count, longest in
      LineEditor.display(matches, count: count, longest: longest)
    }
    rl_bind_key(0x09, { _, key in LineEditor.tab(key) })
  }

  /// Read before the user's own `.inputrc`, which can overrule them.
  private static let settings = [
    "set enable-bracketed-paste on", "set show-all-if-ambiguous on", "set completion-ignore-case off",
    "set colored-stats off", "\"\\e[A\": history-search-backward", "\"\\e[B\": history-search-forward",
    "\"\\eOA\": history-search-backward", "\"\\eOB\": history-search-forward",
  ]

  // MARK: - Reading

  func readLine(prompt: String) -> Event {
    Self.received = nil
    drainPipe()
    rl_callback_handler_install(prompt) { line in LineEditor.receive(line) }
    while Self.received == nil {
      var waits = [
        pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0),
        pollfd(fd: wakePipe[0], events: Int16(POLLIN), revents: 0),
      ]
      let count = poll(&waits, 2, -1)
      if count < 0 { continue }
      if waits[1].revents != 0 {
        abandonLine()
      } else if waits[0].revents & Int16(POLLIN) != 0 {
        rl_callback_read_char()
      } else if waits[0].revents != 0 {
        // The terminal is gone.
        rl_callback_handler_remove()
        Self.received = .endOfFile
      }
    }
    return Self.received ?? .endOfFile
  }

  private static func receive(_ line: UnsafeMutablePointer<CChar>?) {
    // Inside the callback, so that the terminal is back in its usual state while the line runs.
    rl_callback_handler_remove()
    if let line {
      received = .line(String(cString: line))
      free(line)
    } else {
      received = .endOfFile
    }
  }

  private func abandonLine() {
    drainPipe()
    let hadText = rl_end > 0
    rl_point = rl_end
    rl_redisplay()
    _ = write(STDOUT_FILENO, "^C\n", 3)
    rl_free_line_state()
    rl_callback_sigcleanup()
    rl_callback_handler_remove()
    Self.received = .interrupted(hadText: hadText)
  }

  private func drainPipe() {
    var bytes = [UInt8](repeating: 0, count: 64)
    while read(wakePipe[0], &bytes, bytes.count) > 0 {}
  }

  // MARK: - Completion

  /// Tab: indents where there is only space before the cursor.
  private static func tab(_ key: Int32) -> Int32 {
    let before = textToCursor()
    let line = before.split(separator: "\n", omittingEmptySubsequences: false).last ?? ""
    if line.allSatisfy(\.isWhitespace) {
      rl_insert_text("  ")
      return 0
    }
    return rl_complete(1, key)
  }

  private static func textToCursor() -> String {
    guard let buffer = rl_line_buffer else { return "" }
    let bytes = UnsafeRawBufferPointer(start: buffer, count: Int(rl_point))
    return String(decoding: bytes, as: UTF8.self)
  }

  /// What separates words for readline, if no word to complete holds it.
  private static let separators = " \t\n\"'`@$><=;|&{(}).,:[]+-*/%^!~?#".utf8
  /// The C string that readline was given last.
  private nonisolated(unsafe) static var breaks: UnsafeMutablePointer<CChar>?

  /// Makes readline begin the word where the session does: a dot ends a name and belongs to a path.
  private static func breakCharacters() -> UnsafeMutablePointer<CChar>? {
    let text = textToCursor()
    pending = completer?(text) ?? Completions(start: 0, words: [])
    let word = text.utf8.dropFirst(pending.start)
    free(breaks)
    breaks = strdup(String(decoding: separators.filter { !word.contains($0) }, as: UTF8.self))
    return breaks
  }

  private static func complete(
    _ text: UnsafePointer<CChar>?
  ) -> UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? {
    // readline sets these anew for each attempt.
    rl_attempted_completion_over = 1
    rl_completion_append_character = 0
    guard pending.words != nil else {
      // A folder goes on with a slash; a file closes the quote that it stands in.
      rl_filename_completion_desired = 1
      return rl_completion_matches(text, rl_filename_completion_function)
    }
    nextWord = 0
    return rl_completion_matches(text) { _, _ in LineEditor.takeWord() }
  }

  private static func takeWord() -> UnsafeMutablePointer<CChar>? {
    guard let words = pending.words, nextWord < words.count else { return nil }
    nextWord += 1
    return strdup(words[nextWord - 1].text)
  }

  /// Lists what can follow, with signatures and shapes beside the names as long as a screen holds them.
  private static func display(
    _ matches: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, count: Int32, longest: Int32
  ) {
    var (rows, columns): (Int32, Int32) = (0, 0)
    rl_get_screen_size(&rows, &columns)
    let words = Set((1...max(1, Int(count))).compactMap { matches?[$0].map { String(cString: $0) } })
    let items = pending.words?.filter { words.contains($0.text) } ?? []
    if items.isEmpty || items.count > max(8, Int(rows) - 4) || items.allSatisfy(\.detail.isEmpty) {
      rl_display_match_list(matches, count, longest)
    } else {
      rl_crlf()
      fputs(lines(for: items, width: Int(columns)).map { $0 + "\n" }.joined(), rl_outstream)
    }
    rl_forced_update_display()
  }

  /// `softmax(x, axis = -1)` for what is called, the name and what it holds in two columns for the rest.
  private static func lines(for items: [Completion.Item], width: Int) -> [String] {
    let isSigned = { (item: Completion.Item) in item.detail.hasPrefix("(") }
    let nameWidth = items.filter { !isSigned($0) }.map(\.text.displayWidth).max() ?? 0
    return items.map { item in
      let gap = isSigned(item) ? "" : String(repeating: " ", count: nameWidth - item.text.displayWidth + 2)
      let line = item.detail.isEmpty ? item.text : (item.text + gap + item.detail).printable
      return line.displayWidth < width ? line : line.prefix(max(1, width - 2)) + "…"
    }
  }

  // MARK: - History

  private var historyPath: String?
  private static let longestHistory: Int32 = 5_000

  /// Reads the history of earlier sessions. It is kept by time stamps, so that entries of several lines stay whole.
  func openHistory(at path: String) {
    using_history()
    history_write_timestamps = 1
    history_comment_char = 1
    let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { return }
    close(descriptor)
    historyPath = path
    read_history(path)
    let read = history_length
    removeDuplicates()
    stifle_history(Self.longestHistory)
    if history_length < read { write_history(path) }
  }

  /// Remembers an input, at once in the file too: other sessions may run, and this one may be killed.
  func remember(_ text: String) {
    var text = text.drop { $0 == "\n" }
    while text.last == "\n" { text.removeLast() }
    guard !text.allSatisfy(\.isWhitespace) else { return }
    for index in stride(from: history_length - 1, through: 0, by: -1) {
      if let entry = history_get(history_base + index), String(cString: entry.pointee.line) == text {
        free_history_entry(remove_history(index))
      }
    }
    add_history(String(text))
    if let historyPath { append_history(1, historyPath) }
  }

  /// Keeps the last of equal entries.
  private func removeDuplicates() {
    var seen = Set<String>()
    for index in stride(from: history_length - 1, through: 0, by: -1) {
      guard let entry = history_get(history_base + index) else { continue }
      if !seen.insert(String(cString: entry.pointee.line)).inserted {
        free_history_entry(remove_history(index))
      }
    }
  }
}
