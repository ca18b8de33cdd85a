import Formats
import Foundation
import Tensors
import Testing

/// Small files that NumPy, Python's gzip and the safetensors package wrote, in `Tests/Reference/formats`.
enum Fixtures {
  static let folder = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Reference/formats")

  /// What each readable file holds: one array, or several with names.
  enum Contents: Decodable {
    case array(Array)
    case arrays([Array])

    struct Array: Decodable {
      let name: String?
      let dtype: String
      let shape: [Int]
      let values: [Value]
    }

    /// A number as JSON has it, exact for all of i64.
    struct Value: Decodable {
      let double: Double
      let integer: Int?
      init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let flag = try? container.decode(Bool.self) {
          (double, integer) = (flag ? 1 : 0, flag ? 1 : 0)
        } else {
          (double, integer) = (try container.decode(Double.self), try? container.decode(Int.self))
        }
      }
    }

    init(from decoder: any Decoder) throws {
      if let arrays = try? [Array](from: decoder) {
        self = .arrays(arrays)
      } else {
        self = .array(try Array(from: decoder))
      }
    }
  }

  static let contents: [String: Contents] = {
    let data = try! Data(contentsOf: folder.appendingPathComponent("contents.json"))
    return try! JSONDecoder().decode([String: Contents].self, from: data)
  }()

  /// The files that can be read, in a fixed order.
  static var readable: [String] { contents.keys.sorted() }

  static func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

  static func bytes(_ name: String) -> [UInt8] {
    [UInt8](FileManager.default.contents(atPath: path(name)) ?? Data())
  }
}

/// Reads bytes as the file of this name would be read, without a file.
func read(_ bytes: [UInt8], as name: String, memoryLimit: Int? = nil) throws(FileError) -> [NamedTensor] {
  var source = ByteSource(name: name, bytes: bytes, memoryLimit: memoryLimit)
  var name = name
  if name.hasSuffix(".gz") {
    source = try Gzip.decompress(source)
    name.removeLast(3)
  }
  if name.hasSuffix(".npy") { return [NamedTensor("", try NPY.read(source))] }
  if name.hasSuffix(".npz") { return try NPZ.read(source) }
  if name.hasSuffix(".safetensors") { return try Safetensors.read(source).tensors }
  if name.hasSuffix(".csv") { return [NamedTensor("", try CSV.read(source).tensor)] }
  return [NamedTensor("", try IDX.read(source))]
}

/// Returns the error that `body` throws, and records an issue where it throws none.
func fileError<Result>(
  _ body: () throws(FileError) -> Result, sourceLocation: SourceLocation = #_sourceLocation
) -> FileError? {
  do throws(FileError) {
    let result = try body()
    Issue.record("expected an error, got \(result)", sourceLocation: sourceLocation)
    return nil
  } catch {
    return error
  }
}

/// Calls `body` with the path of a folder that is removed afterwards.
func withTemporaryFolder(_ body: (String) throws -> Void) throws {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent("gradus-\(UUID().uuidString)").path
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
  defer { try? FileManager.default.removeItem(atPath: folder) }
  try body(folder)
}

/// A seeded source of randomness (SplitMix64), so that a failure can be repeated.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var bits = state
    bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
    return bits ^ (bits >> 31)
  }
}
