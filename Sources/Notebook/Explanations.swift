extension Explanation {
  /// Every code in alphabetical order. A test compares the list with the codes in the sources.
  package static let all: [Explanation] = []
}
