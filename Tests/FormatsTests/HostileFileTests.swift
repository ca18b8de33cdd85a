import Formats
import Foundation
import Tensors
import Testing

/// Files that are cut off, altered or made to deceive end in an error: no crash, no endless loop, no memory that
/// their size does not justify.
@Suite(.serialized) struct HostileFileTests {
  @Test(arguments: Fixtures.readable.filter { !$0.hasPrefix("padded") })
  func everyTruncationIsAnError(_ file: String) {
    let bytes = Fixtures.bytes(file)
    for count in 0..<bytes.count {
      do throws(FileError) {
        _ = try read(Array(bytes[..<count]), as: file)
        Issue.record("\(file) cut to \(count) bytes was read")
      } catch {
        #expect(!error.message.isEmpty)
      }
    }
  }

  @Test(arguments: Fixtures.readable + ["table.csv"]) func mutationsAreSurvived(_ file: String) throws {
    let table = "name,\"b, c\",d\n1,2.5,-3e2\n4,\"5\",nan\n# note\n\n7;8,9\n"
    let bytes = file == "table.csv" ? Array(table.utf8) : Fixtures.bytes(file)
    var generator = SeededGenerator(seed: UInt64(bytes.count))
    let before = try peakMemory()
    var readCount = 0
    for _ in 0..<5000 {
      let mutated = mutate(bytes, &generator)
      do throws(FileError) {
        for named in try read(mutated, as: file) { #expect(named.tensor.shape.checkedElementCount != nil) }
        readCount += 1
      } catch {
        #expect(!error.message.isEmpty)
      }
    }
    #expect(readCount < 5000)
    #expect(try peakMemory() - before < 64 << 20, "\(file)")
  }

  /// Alters a few places: bits, bytes, extreme numbers, cuts, insertions, moved pieces.
  private func mutate(_ bytes: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
      let place = Int.random(in: 0..<bytes.count, using: &generator)
      switch Int.random(in: 0..<7, using: &generator) {
      case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      case 1: bytes[place] = .random(in: 0 ... .max, using: &generator)
      case 2:
        let extreme: UInt8 = [0, 0x7F, 0x80, 0xFF].randomElement(using: &generator)!
        for index in place..<min(place + 4, bytes.count) { bytes[index] = extreme }
      case 3: bytes.removeSubrange(place..<min(place + Int.random(in: 1...8, using: &generator), bytes.count))
      case 4: bytes.insert(.random(in: 0 ... .max, using: &generator), at: place)
      case 5:
        let length = min(Int.random(in: 1...16, using: &generator), bytes.count - place)
        bytes.insert(contentsOf: bytes[place..<place + length], at: Int.random(in: 0...bytes.count, using: &generator))
      default:
        // Digits in text headers.
        if let digit = bytes[place...].firstIndex(where: { $0 >= 0x30 && $0 <= 0x39 }) {
          bytes[digit] = .random(in: 0x30...0x39, using: &generator)
        }
      }
    }
    return bytes
  }

  /// The most bytes that were ever resident.
  private func peakMemory() throws -> Int {
    let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
    return try #require(Int(line.split(separator: " ")[1])) * 1024
  }

  // MARK: Safetensors

  private func safetensors(_ header: String, data: Int = 0, headerSize: UInt64? = nil) -> [UInt8] {
    let size = headerSize ?? UInt64(header.utf8.count)
    return (0..<8).map { UInt8(truncatingIfNeeded: size >> (8 * $0)) } + Array(header.utf8)
      + [UInt8](repeating: 0, count: data)
  }

  private func entry(_ name: String, _ shape: String, _ start: Int, _ end: Int) -> String {
    "\"\(name)\":{\"dtype\":\"F32\",\"shape\":\(shape),\"data_offsets\":[\(start),\(end)]}"
  }

  @Test func headersThatLieAreRefused() {
    let cases: [(header: String, data: Int, message: String)] = [
      ("{\(entry("a", "[2]", 0, 8))}", 4, "header says 8 bytes of data, the file has 4"),
      ("{\(entry("a", "[2]", 0, 8))}", 12, "header says 8 bytes of data, the file has 12"),
      ("{\(entry("a", "[1024]", 0, 4096))}", 1024, "header says 4,096 bytes of data, the file has 1,024"),
      (
        "{\(entry("a", "[2]", 0, 8)),\(entry("b", "[2]", 4, 12))}", 12,
        "tensor \"b\" overlaps the tensor before it, at 4 of the data"
      ),
      (
        "{\(entry("a", "[1]", 0, 4)),\(entry("b", "[1]", 8, 12))}", 12,
        "tensor \"b\" leaves a gap before it, at 8 of the data"
      ),
      ("{\(entry("a", "[1]", 4, 8))}", 8, "tensor \"a\" leaves a gap before it, at 4 of the data"),
      ("{\(entry("a", "[1]", 0, 4)),\(entry("a", "[1]", 4, 8))}", 8, "header: key \"a\" occurs twice (at byte 65)"),
      ("{\(entry("a", "[3]", 0, 8))}", 8, "tensor \"a\" has shape [3], which does not fit its 8 bytes"),
      (
        "{\(entry("a", "[4611686018427387904,4]", 0, 0))}", 0,
        "tensor \"a\" has shape [4611686018427387904, 4], which does not fit its 0 bytes"
      ),
      (
        "{\(entry("a", "[9223372036854775807,9223372036854775807]", 0, 8))}", 8,
        "tensor \"a\" has shape [9223372036854775807, 9223372036854775807], which does not fit its 8 bytes"
      ),
      (
        "{\(entry("a", "[1]", 8, 4))}", 8,
        "header: the data_offsets of tensor \"a\" are not a start and an end (at byte 61)"
      ),
      ("{\(entry("a", "[-1]", 0, 4))}", 4, "header: a whole number from 0 expected (at byte 37)"),
      ("{\(entry("a", "[1.5]", 0, 4))}", 4, "header: ] expected (at byte 38)"),
      ("{\(entry("a", "[01]", 0, 4))}", 4, "header: a whole number from 0 expected (at byte 37)"),
      ("{\(entry("a", "[99999999999999999999]", 0, 4))}", 4, "header: a whole number from 0 expected (at byte 37)"),
      (
        "{\"a\":{\"dtype\":\"F8_E8M0\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
        "header: dtype \"F8_E8M0\" of tensor \"a\" is not read (at byte 65)"
      ),
      (
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4,
        "header: tensor \"a\" lacks one of dtype, shape and data_offsets (at byte 40)"
      ),
      ("{\"a\":{\"dtype\":\"F32\",\"colour\":3}}", 0, "header: key \"colour\" of tensor \"a\" is unknown (at byte 37)"),
      ("{\"a\":3}", 0, "header: { expected (at byte 13)"),
      ("{\"__metadata__\":{\"a\":3}}", 0, "header: \" expected (at byte 29)"),
      ("[]", 0, "header: { expected (at byte 8)"),
      ("", 0, "header: { expected (at byte 8)"),
      ("{} x", 0, "header: text follows the object (at byte 11)"),
      ("{\"a", 0, "header: a string is never closed (at byte 11)"),
      ("{\"\\ud800\":1}", 0, "header: half a surrogate pair in a string (at byte 16)"),
      ("{\"\\q\":1}", 0, "header: an unknown escape in a string (at byte 12)"),
      ("{\"\u{1}\":1}", 0, "header: a control character in a string (at byte 10)"),
    ]
    for (header, data, message) in cases {
      let source = ByteSource(name: "run.safetensors", bytes: safetensors(header, data: data))
      let error = fileError { () throws(FileError) in try Safetensors.read(source) }
      #expect(error.map { "\($0)" } == "run.safetensors: \(message)", "\(header)")
      #expect(error?.code == "file-damaged")
    }
  }

  @Test func headerLengthsThatLieAreRefused() {
    for (size, message) in [
      (UInt64.max, "header claims 18446744073709551615 bytes, more than the format's 100,000,000 (at byte 0)"),
      (100_000_001, "header claims 100000001 bytes, more than the format's 100,000,000 (at byte 0)"),
      (99_999_999, "header claims 99,999,999 bytes, the file has 2 behind its length (at byte 0)"),
      (1, "header: \" expected (at byte 9)"),
    ] {
      let source = ByteSource(name: "f", bytes: safetensors("{}", headerSize: size))
      #expect(fileError { () throws(FileError) in try Safetensors.read(source) }.map { "\($0)" } == "f: \(message)")
    }
  }

  @Test func deepNestingCostsNothing() {
    let depth = 1_000_000
    for header in [
      String(repeating: "[", count: depth), String(repeating: "{\"a\":", count: depth),
      "{\"__metadata__\":" + String(repeating: "{\"a\":", count: depth),
    ] {
      let source = ByteSource(name: "f", bytes: safetensors(header))
      #expect(fileError { () throws(FileError) in try Safetensors.read(source) } != nil)
    }
  }

  @Test func escapesAreRead() throws {
    let header = "{\"__metadata__\":{\"\\u00e9\\ud83d\\ude00\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}}"
    let contents = try Safetensors.read(ByteSource(name: "f", bytes: safetensors(header)))
    #expect(contents.metadata == ["é😀": "\"\\/\u{8}\u{C}\n\r\t"])
  }

  // MARK: Others

  @Test func aBombIsRefusedWithoutUnpacking() throws {
    // 64 MiB of zeros pack to 64 KiB.
    let bomb = Gzip.compress([UInt8](repeating: 0, count: 64 << 20))
    #expect(bomb.count < 100_000)
    let source = ByteSource(name: "bomb.txt.gz", bytes: bomb, memoryLimit: 8 << 20)
    #expect(fileError { () throws(FileError) in try Gzip.decompress(source) }?.kind == .tooLarge)
  }

  @Test func archivesThatLieAreRefused() {
    let bytes = Fixtures.bytes("stored.npz")
    // The central directory of the first member, found by its signature.
    let directory = bytes.indices.first { bytes[$0...].starts(with: [0x50, 0x4B, 1, 2]) }!
    func altered(_ changes: [(at: Int, to: UInt8)]) -> FileError? {
      var bytes = bytes
      for change in changes { bytes[directory + change.at] = change.to }
      return fileError { () throws(FileError) in try read(bytes, as: "f.npz") }
    }
    #expect(altered([(8, 1)])?.message == "member \"weight.npy\" is encrypted")
    #expect(altered([(16, 0), (17, 0)])?.message == "the checksum of member \"weight.npy\" is wrong")
    #expect(altered([(10, 8)])?.kind == .damaged)
    #expect(altered([(20, 0xFF), (21, 0xFF), (22, 0xFF), (23, 0xFF)])?.kind == .unsupported)
    #expect(altered([(24, 0), (25, 0)])?.message.contains("cannot unpack") == true)
    #expect(altered([(42, 1)])?.message == "member \"weight.npy\" is not where the directory says")

    // Two entries for one place.
    let second = bytes.indices.filter { bytes[$0...].starts(with: [0x50, 0x4B, 1, 2]) }[1]
    var overlapping = bytes
    for index in 42..<46 { overlapping[second + index] = bytes[directory + index] }
    let error = fileError { () throws(FileError) in try read(overlapping, as: "f.npz") }
    #expect(error?.kind == .damaged)
  }

  @Test func ranksBeyondReasonAreRefused() {
    let shape = "(" + String(repeating: "1,", count: 65) + ")"
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': \(shape)}"
    let bytes =
      [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count & 255), UInt8(header.utf8.count >> 8)]
      + Array(header.utf8) + [0, 0, 0, 0]
    #expect(fileError { () throws(FileError) in try read(bytes, as: "f.npy") }?.message == "has 65 axes, more than 64")
    let idx: [UInt8] = [0, 0, 8, 65] + [UInt8](repeating: 0, count: 65 * 4)
    #expect(fileError { () throws(FileError) in try read(idx, as: "f.idx") }?.kind == .unsupported)
  }
}
