import Support
import Tensors

extension Interpreter {
  /// Tables with more rows than this are told as text.
  private static let mostRows = 256

  /// A value as a table, for notebooks; nil where its text says it all.
  package func html(of value: Value) -> String? {
    switch value {
    case .object(let object): return object.html
    case .tensor(let tensor):
      guard let real = tensor.tensor, !tensor.isNumber else { return nil }
      return html(of: real)
    case .record(let record) where !record.isTuple && !record.items.isEmpty && record.items.count <= Interpreter.mostRows:
      var table = HTMLTable(wordColumns: [0, 1])
      for (name, item) in zip(record.names, record.items) { table.add([name ?? "", oneLine(item)]) }
      return table.text
    case .model(let model): return html(of: model)
    default: return nil
    }
  }

  /// The numbers that its text shows, of matrices and rows.
  private func html(of tensor: Tensor) -> String? {
    guard tensor.elementCount > 0 else { return nil }
    let printer = TensorPrinter(tensor, precision: 4, threshold: 1000, edgeItems: 3, lineWidth: 80)
    guard let rows = printer.cells, rows.count <= Interpreter.mostRows else { return nil }
    var table = HTMLTable(tensor.type.description, wordColumns: [])
    for row in rows { table.add(row) }
    return table.text
  }

  private func html(of model: ModelValue) -> String? {
    guard (try? requireWalkable(.model(model), at: model.definition.place)) != nil else { return nil }
    let entries = parameters(of: .model(model))
    guard !entries.isEmpty, entries.count <= Interpreter.mostRows else { return nil }
    var table = HTMLTable(model.definition.name, heads: ["", "type", "elements", "bytes", ""], wordColumns: [0, 1, 4])
    for entry in entries {
      let type = entry.parameter.tensor.type
      table.add([
        entry.path, type.description, grouped(type.elementCount), grouped(type.byteCount),
        entry.parameter.isBuffer ? "buffer" : entry.parameter.isFrozen ? "frozen" : "",
      ])
    }
    let counted = entries.filter { !$0.parameter.isBuffer }
    table.add(
      ["all", "", grouped(counted.reduce(0) { $0 + $1.parameter.tensor.type.elementCount }),
       grouped(entries.reduce(0) { $0 + $1.parameter.tensor.type.byteCount }), ""], isStrong: true)
    return table.text
  }

  /// A value of a record: tensors, models and drawings by what they are.
  private func oneLine(_ value: Value) -> String {
    switch value {
    case .tensor(let tensor) where tensor.type.rank > 0: return tensor.type.description
    case .model, .object: return value.typeDescription
    default:
      let text = display(value)
      return text.contains("\n") || text.count > 200 ? value.typeDescription : text
    }
  }
}
