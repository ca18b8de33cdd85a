import Support

/// A parsed source text.
package struct Program: Sendable {
  package let file: SourceFile
  package var statements: [Statement]

  package init(file: SourceFile, statements: [Statement]) {
    self.file = file
    self.statements = statements
  }
}

/// An identifier and where it stands.
package struct Name: Sendable, Hashable {
  package let text: String
  package let site: Site

  package init(_ text: String, at site: Site) {
    self.text = text
    self.site = site
  }
}
