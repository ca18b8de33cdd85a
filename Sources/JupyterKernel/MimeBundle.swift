import Formats
import Interpreter
import Notebook
import Support

/// Returns a value as front ends can show it: as the terminal's text, and as a drawing or a table where it has one.
func mimeBundle(_ value: ShownValue) -> JSONValue {
  var bundle: [String: JSONValue] = ["text/plain": .string(value.text)]
  if let svg = value.svg { bundle["image/svg+xml"] = .string(svg) }
  if let html = value.html { bundle["text/html"] = .string(html) }
  return .object(bundle)
}

/// Returns how far a loop has come, as a bar where the total is known.
func mimeBundle(_ progress: Progress) -> JSONValue {
  var html = "<code>\(escapedHTML(progress.figures))</code>"
  if let total = progress.total, total > 0 {
    html = "<progress value=\"\(progress.done)\" max=\"\(total)\"></progress> " + html
  }
  return ["text/plain": .string(progress.line), "text/html": .string(html)]
}
