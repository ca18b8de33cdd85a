import Support

/// How the lines that an entry printed lie against the lines that were expected of it.
///
/// The alignment with the fewest changes. It is the verdict (no changes), the diff, and what `--bless` writes.
package struct Alignment {
  /// A line that an entry printed.
  package struct PrintedLine {
    let kind: ExpectedLine.Kind
    let text: String

    package init(kind: ExpectedLine.Kind, text: String) {
      self.kind = kind
      self.text = text
    }
  }

  package enum Step {
    /// The expected line stands, and covers the printed line if there is one.
    case kept(ExpectedLine, PrintedLine?)
    /// The expected line was not printed.
    case missing(ExpectedLine)
    /// The printed line was not expected.
    case extra(PrintedLine)
    /// The printed line falls under a `...` line.
    case covered(PrintedLine)
  }

  package let steps: [Step]

  /// Texts with more pairs of lines than this are replaced as a whole.
  private static let largestTable = 4_000_000

  package var isExact: Bool {
    steps.allSatisfy { step in
      switch step {
      case .kept, .covered: true
      case .missing, .extra: false
      }
    }
  }

  /// Aligns by dynamic programming over suffixes, after cutting off the equal lines at both ends.
  package init(_ expected: [ExpectedLine], _ printed: [PrintedLine]) {
    let wanted = expected.map { ComparableLine($0.text) }
    let actual = printed.map { ComparableLine($0.text.trimmedAtEnd) }
    let padding: ComparableLine.PaddingRule =
      wanted.contains(where: \.hasNegativeZero) || actual.contains(where: \.hasNegativeZero)
      ? .free : .exact
    func matches(_ i: Int, _ j: Int) -> Bool {
      switch expected[i].kind {
      case .shown: printed[j].kind == .output
      case printed[j].kind: wanted[i].matches(actual[j], padding: padding)
      default: false
      }
    }

    var steps: [Step] = []
    var start = 0
    var (expectedEnd, printedEnd) = (expected.count, printed.count)
    if !expected.contains(where: \.isEllipsis) {
      while start < min(expectedEnd, printedEnd), matches(start, start) {
        steps.append(.kept(expected[start], printed[start]))
        start += 1
      }
      while min(expectedEnd, printedEnd) > start, matches(expectedEnd - 1, printedEnd - 1) {
        expectedEnd -= 1
        printedEnd -= 1
      }
    }

    // costs[i][j]: changes that align expected[start + i...] with printed[start + j...].
    let (rows, columns) = (expectedEnd - start, printedEnd - start)
    if rows * columns > Self.largestTable {
      steps += expected[start...].map { .missing($0) } + printed[start...].map { .extra($0) }
      self.steps = steps
      return
    }
    var costs = [[Int32]](repeating: [Int32](repeating: 0, count: columns + 1), count: rows + 1)
    for i in stride(from: rows, through: 0, by: -1) {
      for j in stride(from: columns, through: 0, by: -1) {
        if i == rows {
          costs[i][j] = Int32(columns - j)
        } else if expected[start + i].isEllipsis {
          costs[i][j] = min(costs[i + 1][j], j < columns ? costs[i][j + 1] : .max)
        } else if j == columns {
          costs[i][j] = costs[i + 1][j] + 1
        } else if matches(start + i, start + j) {
          costs[i][j] = costs[i + 1][j + 1]
        } else {
          costs[i][j] = min(costs[i + 1][j], costs[i][j + 1]) + 1
        }
      }
    }

    var (i, j) = (0, 0)
    while i < rows || j < columns {
      let cost = costs[i][j]
      if i < rows, expected[start + i].isEllipsis {
        if costs[i + 1][j] == cost {
          steps.append(.kept(expected[start + i], nil))
          i += 1
        } else {
          steps.append(.covered(printed[start + j]))
          j += 1
        }
      } else if i < rows, j < columns, matches(start + i, start + j) {
        steps.append(.kept(expected[start + i], printed[start + j]))
        (i, j) = (i + 1, j + 1)
      } else if i < rows, costs[i + 1][j] + 1 == cost {
        steps.append(.missing(expected[start + i]))
        i += 1
      } else {
        steps.append(.extra(printed[start + j]))
        j += 1
      }
    }
    for offset in 0..<expected.count - expectedEnd {
      steps.append(.kept(expected[expectedEnd + offset], printed[printedEnd + offset]))
    }
    self.steps = steps
  }
}
