import Support

/// Where lines begin, how far they are indented, and what is lined up.
extension Formatter {
  /// A line of units.
  private struct Line {
    var range: Range<Int>
    var indent: Int
    /// The innermost bracket that is open where the line begins.
    var opener: TokenKind?
  }

  // MARK: - Breaks

  /// Brings opening braces to the line before, and gives the parts of a block of several lines lines of
  /// their own.
  mutating func settleBlocks() {
    for index in units.indices where units[index].kind == .leftBrace && breaks[index] {
      if units[index].comments.isEmpty, index > 0, units[index - 1].trailingComment == nil {
        breaks[index] = false
      }
    }
    var open: [Int] = []
    for index in units.indices {
      if units[index].kind.isCloser, let opener = open.popLast(), units[index].kind == .rightBrace {
        let isEmpty = opener + 1 == index && units[index].comments.isEmpty
        if isEmpty, units[opener].trailingComment == nil {
          breaks[index] = false
        } else if breaks[index] || breaks[opener + 1] {
          breaks[opener + 1] = true
          breaks[index] = true
        }
      }
      if let opener = open.last, units[opener].kind == .leftBrace, units[index].startsItem,
        breaks[index]
      {
        breaks[opener + 1] = true
      }
      if units[index].kind.isOpener { open.append(index) }
    }
  }

  mutating func breakLongLines() {
    var hasChanged = true
    while hasChanged {
      hasChanged = false
      for line in lines() where width(of: line) > Self.widest {
        if breakUp(line) { hasChanged = true }
      }
    }
  }

  /// Breaks a line where it is loosest: at a comma of the list it stands in, before pipes, around a block,
  /// inside its widest brackets.
  private mutating func breakUp(_ line: Line) -> Bool {
    var depth = 0
    var commas: [Int] = []
    var pipes: [Int] = []
    var groups: [Int] = []
    for index in line.range {
      let unit = units[index]
      if unit.kind.isCloser { depth -= 1 }
      if depth < 0, index > line.range.lowerBound { break }
      depth = max(depth, 0)
      if depth == 0 {
        if unit.kind == .comma, index + 1 < line.range.upperBound { commas.append(index + 1) }
        if unit.kind == .pipe, index > line.range.lowerBound { pipes.append(index) }
        if unit.kind.isOpener, unit.partner > index + 1, unit.partner < line.range.upperBound {
          groups.append(index)
        }
      }
      if unit.kind.isOpener { depth += 1 }
    }
    if !commas.isEmpty, line.opener == .leftParen || line.opener == .leftBracket {
      let fits = commas.last {
        width(of: line.range.lowerBound..<$0, indent: line.indent) <= Self.widest
      }
      breaks[fits ?? commas[0]] = true
      return true
    }
    if !pipes.isEmpty {
      for pipe in pipes { breaks[pipe] = true }
      return true
    }
    if let block = groups.last(where: { units[$0].kind == .leftBrace }) {
      for index in block + 1...units[block].partner where units[index].startsItem {
        if opener(of: index, in: block) == block { breaks[index] = true }
      }
      breaks[units[block].partner] = true
      return true
    }
    guard
      let widest = groups.max(by: { groupWidth($0) < groupWidth($1) }), groupWidth(widest) > 2
    else { return false }
    breaks[widest + 1] = true
    breaks[units[widest].partner] = true
    return true
  }

  /// Returns the innermost bracket around a unit, which lies inside `outermost`.
  private func opener(of index: Int, in outermost: Int) -> Int {
    var candidate = index - 1
    while candidate > outermost {
      if units[candidate].kind.isCloser, units[candidate].partner >= 0 {
        candidate = units[candidate].partner
      } else if units[candidate].kind.isOpener {
        return candidate
      }
      candidate -= 1
    }
    return outermost
  }

  private func groupWidth(_ opener: Int) -> Int {
    width(of: opener..<units[opener].partner + 1, indent: 0)
  }

  private func width(of line: Line) -> Int { width(of: line.range, indent: line.indent) }

  private func width(of range: Range<Int>, indent: Int) -> Int {
    var width = indent * Self.indentWidth
    for index in range {
      width += units[index].width + (index > range.lowerBound && units[index].isSpaced ? 1 : 0)
    }
    return width
  }

  // MARK: - Indentation

  /// Returns the lines that the breaks make.
  ///
  /// What stands in brackets is indented from the line of the opening bracket, and the rest of a statement
  /// that goes on from the line it began on.
  private func lines() -> [Line] {
    var lines: [Line] = []
    var open: [(kind: TokenKind, indent: Int)] = []
    for index in units.indices.dropLast() {
      let unit = units[index]
      if breaks[index] {
        var indent = open.last.map { $0.indent + 1 } ?? 0
        if unit.kind.isCloser {
          indent = open.last?.indent ?? 0
        } else if goesOn(index, in: open.last?.kind) {
          indent += 1
        }
        lines.append(Line(range: index..<index + 1, indent: indent, opener: open.last?.kind))
      } else {
        lines[lines.count - 1].range = lines[lines.count - 1].range.lowerBound..<index + 1
      }
      if unit.kind.isCloser { _ = open.popLast() }
      if unit.kind.isOpener { open.append((unit.kind, lines[lines.count - 1].indent)) }
    }
    return lines
  }

  /// Whether a line that begins with this unit goes on with what the line before began.
  private func goesOn(_ index: Int, in opener: TokenKind?) -> Bool {
    let kind = units[index].kind
    if opener == nil || opener == .leftBrace {
      return !units[index].startsItem && kind != .else && kind != .leftBrace
    }
    let previous = units[index - 1].kind
    return previous != .comma && !previous.isOpener && kind != .for && kind != .if && kind != .else
  }

  // MARK: - Text

  /// A line of output, with what may be lined up with its neighbours.
  private struct OutputLine {
    var text: String
    var blankLinesBefore: Int
    var comment: String?
    /// Where `=` stands in the text, and where it stood in the source: nil where the line binds nothing.
    var equal: (column: Int, sourceColumn: Int, wasPadded: Bool)?
  }

  func emit() -> String {
    var output: [OutputLine] = []
    var previousEnd = 0
    var followsOpener = true
    func blankLines(before start: Int) -> Int {
      defer { followsOpener = false }
      if followsOpener { return 0 }
      return min(2, max(0, file.line(at: start) - file.line(at: previousEnd) - 1))
    }
    func put(_ comments: [Comment], indent: Int) {
      for comment in comments {
        output.append(
          OutputLine(
            text: text(of: comment, indent: indent),
            blankLinesBefore: blankLines(before: comment.start)))
        previousEnd = comment.end
      }
    }
    for line in lines() {
      let first = units[line.range.lowerBound]
      // Before a closing bracket a comment belongs to what the brackets hold.
      put(first.comments, indent: line.indent + (first.kind.isCloser ? 1 : 0))
      var item = makeLine(line)
      if !first.kind.isCloser { item.blankLinesBefore = blankLines(before: first.start) }
      let last = units[line.range.upperBound - 1]
      followsOpener = last.kind.isOpener
      previousEnd = last.trailingComment?.end ?? last.end
      output.append(item)
    }
    put(units[units.count - 1].comments, indent: 0)
    alignEquals(&output)
    alignComments(&output)
    var result = ""
    for line in output {
      result += String(repeating: "\n", count: line.blankLinesBefore) + line.text + "\n"
    }
    return result
  }

  private func makeLine(_ line: Line) -> OutputLine {
    var text = String(repeating: " ", count: line.indent * Self.indentWidth)
    var item = OutputLine(text: "", blankLinesBefore: 0)
    var depth = 0
    for index in line.range {
      let unit = units[index]
      if unit.kind.isCloser { depth -= 1 }
      if index > line.range.lowerBound, unit.isSpaced { text += " " }
      if unit.kind == .equal, depth == 0, item.equal == nil, units[line.range.lowerBound].startsItem
      {
        let wasPadded =
          unit.start >= 2 && bytes[unit.start - 2..<unit.start].elementsEqual("  ".utf8)
        item.equal = (text.displayWidth, file.column(at: unit.start), wasPadded)
      }
      text += unit.text
      if unit.kind.isOpener { depth += 1 }
    }
    item.text = text
    if let comment = units[line.range.upperBound - 1].trailingComment {
      item.comment = self.text(of: comment, indent: 0)
    }
    return item
  }

  /// Returns a comment's line. Cells and expected output stay byte for byte.
  private func text(of comment: Comment, indent: Int) -> String {
    let text = file.text(in: comment.start..<comment.end)
    let isFixed = ["#>", "#~", "#!", "# %%", "#%%"].contains { text.hasPrefix($0) }
    if isFixed, comment.ownsLine {
      var start = comment.start
      while start > 0, bytes[start - 1] != 0x0A { start -= 1 }
      return file.text(in: start..<comment.end)
    }
    var end = comment.end
    while [0x20, 0x09, 0x0D].contains(bytes[end - 1]) { end -= 1 }
    return String(repeating: " ", count: indent * Self.indentWidth)
      + file.text(in: comment.start..<end)
  }

  // MARK: - Alignment

  /// Keeps `=` of neighbouring lines lined up where the author did so by extra space.
  private func alignEquals(_ output: inout [OutputLine]) {
    let runs = runs(in: output) { before, line in
      guard let a = before.equal, let b = line.equal else { return false }
      return a.sourceColumn == b.sourceColumn
    }
    for run in runs {
      let equals = output[run].compactMap(\.equal)
      guard run.count > 1, equals.contains(where: \.wasPadded) else { continue }
      let column = equals.map(\.column).max() ?? 0
      for (index, equal) in zip(run, equals) {
        let place = output[index].text.index(atDisplayColumn: equal.column)
        output[index].text.insert(
          contentsOf: String(repeating: " ", count: column - equal.column), at: place)
      }
    }
  }

  /// Puts the comments of neighbouring lines under one another.
  private func alignComments(_ output: inout [OutputLine]) {
    for run in runs(in: output, { $0.comment != nil && $1.comment != nil }) {
      let widths = run.map { output[$0].text.displayWidth }
      let column = (widths.max() ?? 0) + 2
      let fits = run.allSatisfy {
        column + (output[$0].comment?.displayWidth ?? 0) <= Self.widest
      }
      for (index, width) in zip(run, widths) {
        guard let comment = output[index].comment else { continue }
        output[index].text += String(repeating: " ", count: fits ? column - width : 2) + comment
      }
    }
  }

  /// Returns the maximal runs of neighbouring lines that `belongs` joins.
  private func runs(
    in output: [OutputLine], _ belongs: (OutputLine, OutputLine) -> Bool
  ) -> [Range<Int>] {
    var runs: [Range<Int>] = []
    var start = 0
    for index in output.indices {
      let isLast = index + 1 == output.count
      if isLast || output[index + 1].blankLinesBefore > 0
        || !belongs(output[index], output[index + 1])
      {
        runs.append(start..<index + 1)
        start = index + 1
      }
    }
    return runs
  }
}

extension String {
  /// Returns the index of the character at a terminal column.
  fileprivate func index(atDisplayColumn column: Int) -> Index {
    var left = column
    var index = startIndex
    while left > 0, index < endIndex {
      left -= unicodeScalars[index].displayWidth
      index = unicodeScalars.index(after: index)
    }
    return index
  }
}
