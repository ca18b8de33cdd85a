/// A file that could not be read or written: which one, where in it, and what is wrong.
///
/// Its text stands on its own, `run.safetensors: header says 4,096 bytes of data, the file has 1,024`; the interpreter
/// makes a diagnostic of it.
package struct FileError: Error, Hashable, Sendable {
  /// What kind of failure it is; the raw value is the stable code of the diagnostic.
  package enum Kind: String, Sendable {
    /// There is no such file.
    case missing = "file-missing"
    /// The system refuses to open or read it, or it is no plain file.
    case unreadable = "file-unreadable"
    /// Its bytes are not what its format asks for: cut off, altered, or made by hand.
    case damaged = "file-damaged"
    /// It is sound, but uses a feature that Gradus does not read.
    case unsupported = "file-unsupported"
    /// Its contents do not fit in memory.
    case tooLarge = "file-too-large"
    /// The system refuses to write it.
    case unwritable = "file-unwritable"
  }

  /// A place in a file.
  package enum Place: Hashable, Sendable {
    /// Line and column, both from 1.
    case line(Int, column: Int)
    /// An offset from the start.
    case byte(Int)
  }

  package let kind: Kind
  /// The path as the user gave it; a member of an archive follows behind a slash.
  package let file: String
  package let place: Place?
  /// Lower case, no final full stop, names the values.
  package let message: String

  package init(_ kind: Kind, _ file: String, at place: Place? = nil, _ message: String) {
    self.kind = kind
    self.file = file
    self.place = place
    self.message = message
  }

  /// The stable identifier that `gradus explain` knows.
  package var code: String { kind.rawValue }
}

extension FileError: CustomStringConvertible {
  package var description: String { description(of: file) }

  /// The same about a file of another name: the one that a program uses.
  package func description(of file: String) -> String {
    switch place {
    case nil: "\(file): \(message)"
    case .line(let line, let column): "\(file):\(line):\(column): \(message)"
    case .byte(let offset): "\(file): \(message) (at byte \(grouped(offset)))"
    }
  }
}
