import Formats
import Tensors
import Testing

struct CSVTests {
  private func read(_ text: String, dtype: DType? = nil) throws(FileError) -> Table {
    try CSV.read(ByteSource(name: "t.csv", bytes: Array(text.utf8)), dtype: dtype)
  }

  private func failure(_ text: String) -> String? {
    fileError { () throws(FileError) in try read(text) }.map { "\($0)" }
  }

  @Test func wholeNumbersBecomeI64() throws {
    let table = try read("1,2\n3,-4\n")
    #expect(table.tensor.type == TensorType(.i64, [2, 2]))
    #expect(table.tensor.integers() == [1, 2, 3, -4])
    #expect(table.columns == nil)
    #expect(try read("9223372036854775807,-9223372036854775808").tensor.integers() == [.max, .min])
  }

  @Test func fractionsBecomeF32() throws {
    let table = try read("1,2\n3,.5\n-1e3,+7.25e-2\nnan,-inf\n")
    #expect(table.tensor.type == TensorType(.f32, [4, 2]))
    let values = table.tensor.doubles()
    #expect(Array(values[..<6]) == [1, 2, 3, 0.5, -1000, Double(Float(0.0725))])
    #expect(values[6].isNaN && values[7] == -.infinity)
    #expect(try read("1.5", dtype: .f64).tensor.type == TensorType(.f64, [1, 1]))
    #expect(try read("9223372036854775808").tensor.dtype == .f32)
  }

  @Test func numbersAreRoundedOnce() throws {
    for text in [
      "0.1", "1e22", "1e23", "123456789012345678901234567890", "0.000000000000000000000000000001234",
      "1.7976931348623157e308", "5e-324", "2.2250738585072011e-308", "9007199254740993", "9007199254740993.0",
      "0.30000000000000004", "1e400", "1e-400", "1.", "00.5", "12345678901234567890.5", "12345678901234567890.",
      "1e99999999999999999999",
    ] {
      let expected = text.hasPrefix("1e9999") ? .infinity : Double(text == "12345678901234567890." ? text + "0" : text)
      #expect(try read("0.5\n" + text, dtype: .f64).tensor.doubles()[1] == expected, "\(text)")
    }
  }

  @Test func separatorsAreFound() throws {
    #expect(try read("1;2;3").tensor.shape == [1, 3])
    #expect(try read("1\t2\n3\t4").tensor.shape == [2, 2])
    #expect(try read("1 , 2\r\n 3,4 \r\n").tensor.integers() == [1, 2, 3, 4])
    #expect(try read("\"a;b\",c\n1,2").columns == ["a;b", "c"])
    #expect(try read("5\n6\n").tensor.shape == [2, 1])
  }

  @Test func headersAreFound() throws {
    let table = try read("\u{FEFF}x,\"y \"\"2\"\"\",\"7\"\n1,2,3\n")
    #expect(table.columns == ["x", "y \"2\"", "7"])
    #expect(table.tensor.integers() == [1, 2, 3])
    let empty = try read("x,y\n")
    #expect(empty.tensor.type == TensorType(.f32, [0, 2]))
  }

  @Test func blankLinesAndCommentsAreSkipped() throws {
    #expect(try read("# made by hand\n\n1,2\n  \n# more, 3\n4,5\n\n").tensor.integers() == [1, 2, 4, 5])
  }

  @Test func errorsNameLineAndColumn() {
    #expect(failure("") == "t.csv: has no rows")
    #expect(failure("\n\n#\n") == "t.csv: has no rows")
    #expect(failure("1,2\n3,x\n") == "t.csv:2:3: \"x\" is not a number")
    #expect(failure("1,two\n") == "t.csv:1:3: \"two\" is not a number")
    #expect(failure("é,b\n1,2\n3, 4x\n") == "t.csv:3:4: \"4x\" is not a number")
    #expect(failure("a,b\n1,\n") == "t.csv:2:3: this cell is empty")
    #expect(failure("a,b\n1,2\n3\n") == "t.csv:3:1: this row has 1 cell, line 1 has 2")
    #expect(failure("1,2\n3,4,5,6\n") == "t.csv:2:5: this row has more than 2 cells, line 1 has 2")
    #expect(failure("a,\"b\n1,2") == "t.csv:1:3: this quote is never closed")
    #expect(failure("a,\"b\"c\n1,2") == "t.csv:1:6: text follows the closing quote of a cell")
    #expect(failure("\"two\nlines\",b\n1,x") == "t.csv:3:3: \"x\" is not a number")
    #expect(failure("a\n0x10\n") == "t.csv:2:1: \"0x10\" is not a number")
    #expect(failure("a\n1e\n") == "t.csv:2:1: \"1e\" is not a number")
    #expect(failure("a\n-\n") == "t.csv:2:1: \"-\" is not a number")
    #expect(failure("a\n1_000\n") == "t.csv:2:1: \"1_000\" is not a number")
  }
}
