import Formats
import Glibc

/// What tells Jupyter how to start the kernel: a folder with `kernel.json` and a logo.
package struct KernelSpec {
  /// The program that is the kernel.
  private let program: String

  /// - Parameter program: an absolute path.
  package init(program: String) { self.program = program }

  /// Returns the folder of Jupyter's data: below a prefix, or the user's own.
  ///
  /// - Throws: `KernelError` where there is no home.
  package static func dataFolder(prefix: String?) throws -> String {
    func variable(_ name: String) -> String? {
      guard let value = getenv(name).map({ String(cString: $0) }), !value.isEmpty else { return nil }
      return value
    }
    if let prefix { return prefix + "/share/jupyter" }
    if let folder = variable("JUPYTER_DATA_DIR") { return folder }
    if let folder = variable("XDG_DATA_HOME") { return folder + "/jupyter" }
    guard let home = variable("HOME") else { throw KernelError("HOME is not set: name a folder with --prefix") }
    return home + "/.local/share/jupyter"
  }

  /// Writes the folder below that of Jupyter's data, and returns its path.
  ///
  /// - Throws: `KernelError`.
  package func install(in dataFolder: String) throws -> String {
    let folder = dataFolder + "/kernels/gradus"
    var made = folder.hasPrefix("/") ? "" : "."
    for part in folder.split(separator: "/") {
      made += "/" + part
      if mkdir(made, 0o755) != 0, errno != EEXIST {
        throw KernelError("cannot make the folder \(made): \(String(cString: strerror(errno)).lowercased())")
      }
    }
    let specification: JSONValue = [
      "argv": [.string(program), "kernel", "run", "{connection_file}"], "display_name": "Gradus",
      "language": "gradus", "interrupt_mode": "message",
    ]
    do {
      try writeAtomically(specification.bytes + [UInt8(ascii: "\n")], to: folder + "/kernel.json")
      try writeAtomically(Array(KernelSpec.logo.utf8), to: folder + "/logo-svg.svg")
    } catch {
      throw KernelError("\(error)")
    }
    return folder
  }

  /// Three steps upwards.
  private static let logo = """
    <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">
    <path d="M6 58V42H24V26H42V10H58V58Z" fill="#4a6fa5"/>
    <path d="M6 42H24V26H42V10H58" fill="none" stroke="#f0a830" stroke-width="5"/>
    </svg>

    """
}
