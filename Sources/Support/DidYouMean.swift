/// Returns the candidate that `name` is most likely a misspelling of, if any is near.
///
/// Nearness is the number of letters added, left out, changed or swapped with their neighbour, a change of
/// case counting nothing; up to a third of the name may differ. Of equally near candidates the one that
/// shares the longer beginning wins, then the first in alphabetical order.
package func didYouMean(_ name: String, among candidates: some Sequence<String>) -> String? {
  let wanted = Array(name.lowercased().unicodeScalars)
  // Any short name is near any other: `x` is no misspelling of `y`.
  let limit = wanted.count < 2 ? 0 : max(wanted.count, 3) / 3
  var best: (distance: Int, prefix: Int, name: String)?
  for candidate in candidates where candidate != name {
    let letters = Array(candidate.lowercased().unicodeScalars)
    guard abs(letters.count - wanted.count) <= limit else { continue }
    let distance = editDistance(wanted, letters)
    guard distance <= limit else { continue }
    let prefix = zip(wanted, letters).prefix { $0 == $1 }.count
    if let best, (best.distance, -best.prefix, best.name) <= (distance, -prefix, candidate) {
      continue
    }
    best = (distance, prefix, candidate)
  }
  return best?.name
}

/// Returns how many insertions, deletions, changes and swaps of neighbours turn `a` into `b`.
private func editDistance(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) -> Int {
  if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
  var beforePrevious: [Int] = []
  var previous = Array(0...b.count)
  for i in 1...a.count {
    var row = [i] + previous.dropFirst()
    for j in 1...b.count {
      let change = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)
      row[j] = min(previous[j] + 1, row[j - 1] + 1, change)
      if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
        row[j] = min(row[j], beforePrevious[j - 2] + 1)
      }
    }
    beforePrevious = previous
    previous = row
  }
  return previous[b.count]
}
