import Foundation

/// The folder of figures that PyTorch and Python computed.
private let folder = URL(fileURLWithPath: #filePath)
  .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Reference")

/// Decodes one of the files in `Tests/Reference`.
func reference<T: Decodable>(_ type: T.Type, _ name: String) throws -> T {
  try JSONDecoder().decode(type, from: Data(contentsOf: folder.appendingPathComponent(name)))
}
