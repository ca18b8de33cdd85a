import Formats
import Tensors
import Testing

/// Files of other programs hold for Gradus what they hold for those.
struct InteroperationTests {
  private func check(_ tensor: Tensor, _ expected: Fixtures.Contents.Array, _ file: String) {
    #expect(tensor.type.description == "\(expected.dtype)\(expected.shape)", "\(file)")
    #expect(tensor.layout.isContiguous)
    if tensor.dtype.isFloating {
      #expect(tensor.doubles() == expected.values.map(\.double), "\(file)")
    } else {
      #expect(tensor.integers() == expected.values.map(\.integer), "\(file)")
    }
  }

  @Test(arguments: Fixtures.readable) func holdsWhatItsWriterPutIn(_ file: String) throws {
    let expected = try #require(Fixtures.contents[file])
    switch (try DataFile.load(path: Fixtures.path(file)), expected) {
    case (.tensor(let tensor), .array(let array)): check(tensor, array, file)
    case (.tensors(let tensors, _), .arrays(let arrays)):
      #expect(Set(tensors.map(\.name)) == Set(arrays.map { $0.name! }))
      for array in arrays {
        let tensor = try #require(tensors.first { $0.name == array.name })
        check(tensor.tensor, array, "\(file) \(array.name!)")
      }
    default: Issue.record("\(file) is of another kind")
    }
  }

  @Test func metadataIsRead() throws {
    guard case .tensors(_, let metadata) = try DataFile.load(path: Fixtures.path("every.safetensors")) else {
      Issue.record("no tensors")
      return
    }
    #expect(metadata == ["note": "a \"quoted\"\ttext, Ω"])
  }

  @Test func safetensorsAreWrittenAsThePackageWritesThem() throws {
    let original = Fixtures.bytes("own.safetensors")
    let contents = try Safetensors.read(ByteSource(name: "own", bytes: original))
    try withTemporaryFolder { folder in
      try Safetensors.write(contents, to: folder + "/own.safetensors")
      #expect(try ByteSource(opening: folder + "/own.safetensors").allBytes() == original)
      try Safetensors.write(.init([]), to: folder + "/nothing.safetensors")
      #expect(
        try ByteSource(opening: folder + "/nothing.safetensors").allBytes()
          == Fixtures.bytes("nothing.safetensors"))
    }
  }

  @Test(arguments: [
    "little-f2.npy", "little-f4.npy", "little-f8.npy", "little-i4.npy", "little-i8.npy", "little-u1.npy",
    "bool.npy", "number.npy", "empty.npy",
  ]) func arraysAreWrittenAsNumPyWritesThem(_ file: String) throws {
    let original = Fixtures.bytes(file)
    #expect(NPY.write(try NPY.read(ByteSource(name: file, bytes: original))) == original)
  }

  @Test(arguments: [
    ("refused-objects.npy", "holds Python objects, which are code and are not read"),
    ("refused-records.npy", "holds records with named fields, which are not read"),
    ("refused-complex.npy", "element type '<c8' is not read"),
    ("refused-strings.npy", "element type '<U2' is not read"),
    ("refused-dates.npy", "element type '<M8[s]' is not read"),
    ("refused-longdouble.npy", "element type '<f16' is not read"),
    ("refused-large-u8.npy", "the number 9223372036854775808 is too large for i64 (at byte 128)"),
    ("refused-member.npz", "member \"readme.txt\" is no .npy array"),
    ("refused-method.npz", "member \"a.npy\" is compressed by method 12, only deflate is read"),
  ]) func whatIsNotReadIsNamed(_ file: String, _ message: String) {
    let path = Fixtures.path(file)
    let error = fileError { () throws(FileError) in try DataFile.load(path: path) }
    #expect(error?.kind == .unsupported)
    #expect(error.map { "\($0)" } == "\(path): \(message)")
  }
}
