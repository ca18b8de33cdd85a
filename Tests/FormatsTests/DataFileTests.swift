import Formats
import Foundation
import Tensors
import Testing

struct DataFileTests {
  @Test func digitsTravelInTheBinary() throws {
    let (images, labels) = try embeddedDigits()
    #expect(images.type == TensorType(.f32, [1797, 64]))
    #expect(labels.type == TensorType(.i64, [1797]))
    let pixels = images.doubles()
    #expect(Array(pixels[..<8]) == [0, 0, 5, 13, 9, 1, 0, 0])
    #expect(pixels.min() == 0 && pixels.max() == 16)
    #expect(Array(labels.integers()[..<12]) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1])
    #expect(Set(labels.integers()) == Set(0...9))
  }

  @Test func namesSayHowFilesAreRead() throws {
    try withTemporaryFolder { folder in
      let text = Array("1,2\n3,4\n".utf8)
      for name in ["t.csv", "T.CSV", "t.csv.gz"] {
        try writeAtomically(name.hasSuffix("gz") ? Gzip.compress(text) : text, to: "\(folder)/\(name)")
        guard case .table(let table) = try DataFile.load(path: "\(folder)/\(name)") else {
          Issue.record("\(name) is no table")
          continue
        }
        #expect(table.tensor.integers() == [1, 2, 3, 4])
      }
      try writeAtomically(Array("\u{FEFF}Zwölf\r\n".utf8), to: folder + "/t.txt")
      guard case .text(let read) = try DataFile.load(path: folder + "/t.txt") else {
        Issue.record("no text")
        return
      }
      #expect(read == "Zwölf\r\n")
    }
  }

  @Test func filesThatCannotBeReadAreNamed() throws {
    try withTemporaryFolder { folder in
      func failure(_ name: String, _ bytes: [UInt8]? = nil, memoryLimit: Int? = nil) throws -> FileError? {
        let path = "\(folder)/\(name)"
        if let bytes { try writeAtomically(bytes, to: path) }
        let error = fileError { () throws(FileError) in try DataFile.load(path: path, memoryLimit: memoryLimit) }
        #expect(error?.file == path)
        return error
      }
      #expect(try failure("none.csv")?.message == "no such file or directory")
      #expect(try failure("none.csv")?.code == "file-missing")
      #expect(try failure("none.csv/more.csv")?.kind == .missing)
      #expect(try failure("none\0.csv")?.message == "a path holds no zero byte")
      #expect(try failure("")?.message == "is a folder")
      #expect(try failure("x.doc", [])?.kind == .unsupported)
      #expect(try failure("x.csv.gz", [])?.message == "is empty")
      #expect(try failure("x.csv.gz", [1, 2, 3])?.message.hasPrefix("its compressed data are damaged") == true)
      #expect(
        try failure("x.txt", [0x61, 0x0A, 0x62, 0xFF])?.description.hasSuffix(
          "x.txt:2:2: is not UTF-8 text: byte 0xff fits no character") == true)
      #expect(try failure("x.txt", [0x61, 0xE2, 0x82])?.place == .line(1, column: 2))
      let large = try failure("large.txt", [UInt8](repeating: 0x61, count: 5000), memoryLimit: 4096)
      #expect(large?.message == "needs 5,000 bytes of memory, 4,096 are free")

      #expect(mkfifo(folder + "/pipe.csv", 0o600) == 0)
      #expect(try failure("pipe.csv")?.message == "is not a plain file")
    }
  }

  @Test func aFileThatShrinksIsAnError() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/f"
      try writeAtomically([1, 2, 3, 4], to: path)
      let source = try ByteSource(opening: path)
      #expect(truncate(path, 2) == 0)
      let error = fileError { () throws(FileError) in try source.allBytes() }
      #expect(error.map { "\($0)" } == "\(path): became shorter while it was read (at byte 2)")
    }
  }

  @Test func gzipRoundTrips() throws {
    var generator = SeededGenerator(seed: 7)
    for count in [0, 1, 100, 1 << 16, 1 << 18, (1 << 20) + 1] {
      let noise: [UInt8] = (0..<count).map { _ in .random(in: 0...255, using: &generator) }
      for bytes in [noise, [UInt8](repeating: 7, count: count), noise.map { $0 & 3 }] {
        let packed = ByteSource(name: "x.gz", bytes: Gzip.compress(bytes))
        #expect(try Gzip.decompress(packed).allBytes() == bytes)
      }
    }
  }

  @Test func safetensorsRoundTrip() throws {
    let base = Tensor((0..<6).map { Double($0) / 4 }, dtype: .f32, shape: [2, 3])
    let strided = Tensor(
      storage: base.storage, dtype: .f32, layout: Layout(shape: [2, 2], strides: [1, 3], offset: 1))
    var tensors = [NamedTensor("strided", strided), NamedTensor("layers.0.weight \"é\u{1}", base)]
    for dtype in DType.allCases where !dtype.isBlocked {
      tensors.append(NamedTensor("all.\(dtype)", Tensor([0, 1, 1, 0, 1], dtype: dtype, shape: [5, 1])))
    }
    try withTemporaryFolder { folder in
      let path = folder + "/run.safetensors"
      try Safetensors.write(.init(tensors, metadata: ["b": "2", "a": "line\n"]), to: path)
      let read = try Safetensors.read(ByteSource(opening: path))
      #expect(read.metadata == ["b": "2", "a": "line\n"])
      #expect(read.tensors.count == tensors.count)
      for named in tensors {
        let back = try #require(read.tensors.first { $0.name == named.name }).tensor
        #expect(back.type == named.tensor.type)
        #expect(back.doubles() == named.tensor.doubles())
      }
      // Blocks come apart into codes and scales, which make the same bytes again.
      for (dtype, code) in [(DType.q8, DType.u8), (.q8e4m3, .f8e4m3)] {
        let blocks = Tensor((0..<600).map { sin(Double($0)) }, dtype: dtype, shape: [30, 20])
        try Safetensors.write(.init([NamedTensor("m", blocks)]), to: path)
        let parts = try Safetensors.read(ByteSource(opening: path)).tensors
        #expect(parts.map { "\($0.name): \($0.tensor.type)" }.sorted() == ["m.scale: f32[3]", "m: \(code)[30, 20]"])
        let (codes, scales) = (parts.first { $0.name == "m" }!.tensor, parts.first { $0.name == "m.scale" }!.tensor)
        let again = try #require(QuantizedBlock.tensor(codes: codes, scales: scales))
        #expect(again.type == blocks.type)
        #expect(memcmp(again.storage.base, blocks.storage.base, blocks.type.byteCount) == 0)
        #expect(QuantizedBlock.tensor(codes: codes, scales: codes) == nil)
        #expect(QuantizedBlock.tensor(codes: scales, scales: scales) == nil)
      }
      try Safetensors.write(.init(tensors, metadata: ["b": "2", "a": "line\n"]), to: path)
      // The same contents in another order give the same bytes.
      let bytes = try ByteSource(opening: path).allBytes()
      try Safetensors.write(.init(tensors.reversed(), metadata: ["a": "line\n", "b": "2"]), to: path)
      #expect(try ByteSource(opening: path).allBytes() == bytes)

      for name in ["strided", "__metadata__"] {
        let twice = Safetensors.Contents([tensors[0], NamedTensor(name, base)])
        let error = fileError { () throws(FileError) in try Safetensors.write(twice, to: path) }
        #expect(error?.message == "the name \"\(name)\" is used twice or reserved")
      }
      #expect(try ByteSource(opening: path).allBytes() == bytes)
    }
  }
}
