extension StringProtocol {
  /// Without the space at its end: editors strip it, and nobody sees it.
  package var trimmedAtEnd: String {
    var end = endIndex
    while end > startIndex {
      let previous = index(before: end)
      guard self[previous].isWhitespace else { break }
      end = previous
    }
    return String(self[..<end])
  }
}
