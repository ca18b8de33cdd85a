/// Returns the text of a tensor as the language shows it: a header with its type, then its numbers as
/// PyTorch lays them out. A 0-d tensor is its number alone.
///
///     f32[2, 2]
///     [[1.0000, 0.5000],
///      [0.2500, 0.1250]]
///
/// `precision` is the decimals of fractions, `threshold` the elements above which only `edgeItems` at each
/// end of an axis are shown, `lineWidth` the column at which a row is broken.
package func format(
  _ tensor: Tensor, precision: Int = 4, threshold: Int = 1000, edgeItems: Int = 3, lineWidth: Int = 80
) -> String {
  let printer = TensorPrinter(
    tensor, precision: precision, threshold: threshold, edgeItems: edgeItems, lineWidth: lineWidth)
  if tensor.shape.rank > 0 { return tensor.type.description + "\n" + printer.body }
  // PyTorch writes a whole number as `6.`, which reads well in a column and badly alone.
  let body = printer.body
  return body.hasSuffix(".") ? body + "0" : body
}

/// Lays out the elements of one tensor.
///
/// The rules are those of `torch/_tensor_str.py`: one width and one of three notations for all elements shown, chosen
/// from the finite ones that are not zero.
package struct TensorPrinter {
  private enum Notation {
    /// Integers and bools: `12`, `true`.
    case exact
    /// Floats that are all whole: `12.`
    case whole
    /// `12.3450`
    case fixed
    /// `1.2345e+01`
    case scientific
  }

  private let tensor: Tensor
  private let precision: Int
  private let edgeItems: Int
  private let lineWidth: Int
  private let isSummary: Bool
  private var notation = Notation.exact
  private var width = 1

  package init(_ tensor: Tensor, precision: Int, threshold: Int, edgeItems: Int, lineWidth: Int) {
    self.tensor = tensor
    self.precision = max(precision, 0)
    self.edgeItems = max(edgeItems, 0)
    self.lineWidth = lineWidth
    isSummary = tensor.elementCount > threshold
    chooseNotation()
  }

  /// The elements in their brackets, without the header.
  package var body: String {
    if tensor.elementCount == 0 { return "[]" }
    var text = ""
    write(axis: 0, offset: tensor.layout.offset, into: &text)
    return text
  }

  /// The elements shown of a matrix, or of one row, without spaces around them; nil for tensors of other ranks.
  package var cells: [[String]]? {
    let rank = tensor.shape.rank
    guard rank == 1 || rank == 2 else { return nil }
    func row(_ offset: Int) -> [String] {
      shownIndices(axis: rank - 1).map { index in
        index.map { elementText(at: offset + $0 * tensor.layout.strides[rank - 1]) } ?? "…"
      }
    }
    if rank == 1 { return [row(tensor.layout.offset)] }
    return shownIndices(axis: 0).map { index in
      index.map { row(tensor.layout.offset + $0 * tensor.layout.strides[0]) }
        ?? shownIndices(axis: 1).map { _ in "⋮" }
    }
  }

  // MARK: Notation

  private mutating func chooseNotation() {
    var shown: [Int] = []
    if tensor.elementCount > 0 { collectShown(axis: 0, offset: tensor.layout.offset, into: &shown) }
    guard tensor.dtype.isFractional else {
      for offset in shown { width = max(width, elementText(at: offset).utf8.count) }
      return
    }

    notation = .whole
    var least = Double.infinity
    var greatest = 0.0
    var isWhole = true
    let values = shown.map(value(at:)).filter { $0.isFinite && $0 != 0 }
    if values.isEmpty { return }
    for value in values {
      least = min(least, value.magnitude)
      greatest = max(greatest, value.magnitude)
      if value != value.rounded(.up) { isWhole = false }
    }
    if greatest / least > 1000 || greatest > 1e8 || least < 1e-4 {
      notation = .scientific
    } else if !isWhole {
      notation = .fixed
    }
    for value in values { width = max(width, text(of: value).utf8.count) }
  }

  /// Gathers the storage indices of the elements that will be written.
  private func collectShown(axis: Int, offset: Int, into shown: inout [Int]) {
    if axis == tensor.shape.rank { return shown.append(offset) }
    for index in shownIndices(axis: axis) {
      if let index {
        collectShown(axis: axis + 1, offset: offset + index * tensor.layout.strides[axis], into: &shown)
      }
    }
  }

  /// The indices written along `axis`; nil stands for the gap.
  private func shownIndices(axis: Int) -> [Int?] {
    let size = tensor.shape[axis]
    if !isSummary || size <= 2 * edgeItems { return Array(0..<size) }
    return Array(0..<edgeItems) + [nil] + Array(size - edgeItems..<size)
  }

  // MARK: Elements

  private func value(at offset: Int) -> Double { tensor.dtype.load(at: tensor.storage.base, index: offset) }

  private func elementText(at offset: Int) -> String {
    if tensor.dtype.isFractional { return text(of: value(at: offset)) }
    let integer = tensor.dtype.loadInteger(at: tensor.storage.base, index: offset)
    if tensor.dtype == .bool { return integer != 0 ? "true" : "false" }
    return String(integer)
  }

  private func text(of value: Double) -> String {
    switch notation {
    case .scientific: scientific(value, decimals: precision)
    case .fixed: fixed(value, decimals: precision)
    case .whole, .exact: fixed(value, decimals: 0) + (value.isFinite ? "." : "")
    }
  }

  private func writeElement(at offset: Int, into text: inout String) {
    let element = elementText(at: offset)
    text.append(String(repeating: " ", count: max(width - element.utf8.count, 0)))
    text.append(element)
  }

  // MARK: Brackets

  private func write(axis: Int, offset: Int, into text: inout String) {
    let rank = tensor.shape.rank
    if axis == rank { return writeElement(at: offset, into: &text) }
    // Rows are set apart by one newline, matrices by two, and so on; each line goes on below its bracket.
    let indent = String(repeating: " ", count: axis + 1)
    let isRow = axis == rank - 1
    let perLine = max(1, (lineWidth - axis) / (width + 2))
    let separator = "," + String(repeating: "\n", count: rank - 1 - axis) + indent

    text.append("[")
    for (position, index) in shownIndices(axis: axis).enumerated() {
      if position > 0 {
        if !isRow {
          text.append(separator)
        } else if position % perLine == 0 {
          text.append(",\n" + indent)
        } else {
          text.append(", ")
        }
      }
      if let index {
        write(axis: axis + 1, offset: offset + index * tensor.layout.strides[axis], into: &text)
      } else {
        text.append(isRow && edgeItems > 0 ? " ..." : "...")
      }
    }
    text.append("]")
  }
}
