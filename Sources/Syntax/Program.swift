import Support

/// A parsed source text.
package struct Program: Sendable {
  package let file: SourceFile
  package var statements: [Statement]
  /// Names that statements bind which did not parse: using them is no second mistake.
  package let abandonedNames: [String]

  package init(file: SourceFile, statements: [Statement], abandonedNames: [String] = []) {
    self.file = file
    self.statements = statements
    self.abandonedNames = abandonedNames
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
