import CStdlib
import Formats
import Glibc
import Support
import Syntax
import Tensors

extension Interpreter {
  /// Makes a program ready to run in the user's names: declares what it assigns, resolves every name.
  ///
  /// Mistakes are in the statements' `diagnostics`; a statement that has some throws the first when it
  /// reaches it. A script is refused before its start if any statement has one that is not expected.
  package func compile(_ program: Program) -> [CompiledStatement] {
    compile(program.statements, in: main, alsoNaming: program.abandonedNames)
  }

  func compile(
    _ statements: [Statement], in module: Module, alsoNaming names: [String] = [], isLazy: Bool = false
  ) -> [CompiledStatement] {
    let compiler = Compiler(self, module: module, isLazy: isLazy)
    compiler.declare(names)
    compiler.declareNames(of: statements)
    return statements.map { statement in
      // `use` brings names that later statements may mention, so it is resolved in order.
      compiler.compile(statement)
    }
  }

  /// Runs one statement.
  ///
  /// - Returns: the value to echo; nil for statements without one, for `none`, and after `;`.
  package func run(_ statement: CompiledStatement) throws(Failure) -> Value? {
    do throws(Failure) {
      return try runInside(statement)
    } catch {
      error.leaveLibrary()
      if depth == 0 { sayWhereTrainingStopped(error) }
      throw error
    }
  }

  /// Says in the note of an interrupt which step was the last to finish: parameters are those of it.
  private func sayWhereTrainingStopped(_ failure: Failure) {
    guard case .interrupted = failure.kind, let last = lastTraining else { return }
    failure.diagnostic.message +=
      " after step \(grouped(last.number)) of `\(last.step)`: parameters and optimizer state are those of it"
  }

  private func runInside(_ statement: CompiledStatement) throws(Failure) -> Value? {
    let site = statement.statement.site
    if depth == 0 {
      prepareStack()
      lastTraining = nil
    }
    let outerDepth = depth
    let outerTop = top
    let frame = try push(statement.slotCount, at: site)
    defer {
      // A failure may have left frames behind.
      while top > frame + statement.slotCount {
        top -= 1
        top.pointee = .unset
      }
      pop(frame, statement.slotCount)
      depth = outerDepth
      top = outerTop
    }
    let isStatement: Bool =
      if case .expression(let expression) = statement.statement.kind {
        if case .conditional(_, let then, let otherwise) = expression.kind {
          leaves(then) || otherwise.map { leaves($0) } == true
        } else {
          false
        }
      } else {
        true
      }
    if isStatement {
      _ = try statement.node.exec(frame)
      return nil
    }
    let value = try statement.node.eval(frame)
    if case .none = value { return nil }
    if statement.statement.isSilenced { return nil }
    return value
  }

  /// Compiles and runs a file's text in the user's names, echoing to the output; stops at the first error.
  package func execute(_ file: SourceFile) throws(Failure) {
    let (program, diagnostics) = parse(file)
    if let first = diagnostics.first(where: { $0.severity == .error }) { throw Failure(first) }
    let statements = compile(program)
    for statement in statements {
      if let first = statement.diagnostics.first { throw Failure(first) }
    }
    for statement in statements {
      if let value = try run(statement) { output.write(display(value) + "\n") }
    }
  }

  // MARK: Modules

  /// Reads a file for `use`, compiles it in names of its own.
  ///
  /// - Parameter written: the path as the program writes it, for errors.
  func load(module path: String, written: String, at site: Site) throws(Failure) -> UsedFile {
    // One file has many paths: `./b.nn` is `b.nn`.
    let file = realpath(path, nil).map { pointer in
      defer { free(pointer) }
      return String(cString: pointer)
    }
    let key = file ?? path
    if let known = usedFiles[key] { return known }
    if useStack.contains(where: { $0.path == key }) {
      let circle = useStack.drop { $0.path != key }.map(\.written) + [written]
      throw Failure(
        "circular-use", "`\(written)` uses itself: \(circle.joined(separator: " → "))", at: site)
    }
    let bytes: [UInt8]
    do {
      bytes = try readFile(path)
    } catch {
      throw Failure.from(error, file: written, path: path, at: site)
    }
    useStack.append((key, written))
    defer { useStack.removeLast() }
    let (program, diagnostics) = parse(SourceFile(name: path, bytes: bytes))
    let module = Module(name: path, parent: prelude)
    let statements = compile(program.statements, in: module, alsoNaming: program.abandonedNames)
    let used = UsedFile(
      module: module, statements: statements,
      diagnostics: diagnostics.filter { $0.severity == .error } + statements.flatMap(\.diagnostics))
    usedFiles[key] = used
    return used
  }

  /// The embedded library, parsed once for all interpreters: a run has two, its own and that of the check before it.
  private static let standardLibrary: [(program: Program, diagnostics: [Diagnostic])] = {
    let files = UnsafeBufferPointer(start: gradus_embedded_files(), count: gradus_embedded_file_count())
    return files.compactMap { entry in
      let name = String(cString: entry.name)
      guard name.hasSuffix(".nn") else { return nil }
      let bytes = Array(UnsafeBufferPointer(start: entry.bytes, count: entry.byte_count))
      return parse(SourceFile(name: "stdlib/" + name, bytes: bytes, isLibrary: true))
    }
  }()

  /// The functions, layers and optimizers that are written in the language, embedded in the binary.
  func loadStandardLibrary() {
    for (program, diagnostics) in Interpreter.standardLibrary {
      let statements = compile(program.statements, in: prelude, isLazy: true)
      standardLibraryMistakes += diagnostics + statements.flatMap(\.diagnostics)
      for statement in statements {
        do throws(Failure) {
          _ = try run(statement)
        } catch {
          standardLibraryMistakes.append(error.diagnostic)
        }
      }
    }
  }
}

/// Reads a program file whole.
/// - Throws: `FileError` naming what was wrong.
package func readProgramFile(_ path: String) throws -> [UInt8] {
  try ByteSource(opening: path, memoryLimit: nil).allBytes()
}

/// The stable code of what `readProgramFile` throws.
package func fileErrorCode(_ error: any Error) -> String {
  (error as? FileError)?.code ?? FileError.Kind.unreadable.rawValue
}
