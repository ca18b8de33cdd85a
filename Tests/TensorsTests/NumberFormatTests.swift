import Tensors
import Testing

/// Numbers and specifications as Python formats them.
struct NumberFormatTests {
  /// The shape of `number_texts.json`: rows of value, specification, text.
  struct Figures: Decodable {
    struct Row<Value: Decodable>: Decodable {
      let value: Value
      let spec: String
      let text: String
      init(from decoder: any Decoder) throws {
        var row = try decoder.unkeyedContainer()
        value = try row.decode(Value.self)
        spec = row.count == 3 ? try row.decode(String.self) : ""
        text = try row.decode(String.self)
      }
    }
    let `repr`: [Row<String>]
    let float: [Row<String>]
    let integer: [Row<Int>]
    let text: [Row<String>]
  }

  private func number(_ bits: String) -> Double { Double(bitPattern: UInt64(bits, radix: 16)!) }

  @Test func shortestTextIsPythons() throws {
    for row in try reference(Figures.self, "number_texts.json").repr {
      let value = number(row.value)
      let text = format(number: value)
      #expect(text == row.text)
      #expect(value.isNaN || Double(text)?.bitPattern == value.bitPattern)
    }
  }

  @Test func specificationsArePythons() throws {
    let figures = try reference(Figures.self, "number_texts.json")
    for row in figures.float {
      #expect(format(number(row.value), spec: row.spec) == row.text, "\(row.value) \(row.spec)")
    }
    for row in figures.integer {
      #expect(format(row.value, spec: row.spec) == row.text, "\(row.value) \(row.spec)")
    }
    for row in figures.text {
      #expect(format(row.value, spec: row.spec) == row.text, "\(row.value) \(row.spec)")
    }
  }

  @Test func aPrecisionAloneMeansDecimals() {
    #expect(format(0.693147, spec: ".4") == "0.6931")
    #expect(format(0.693147, spec: "8.2") == "    0.69")
    #expect(format(2, spec: ".2") == "2.00")
    #expect(format(1234567.891, spec: ",.1") == "1,234,567.9")
    #expect(format(1000.0, spec: "d") == "1000")
  }

  @Test(arguments: [
    ".", "q", ".4q", "..4", "4.", "ff", ">>", "-", "1001", ".101", "99999999999999999999", ",,", "£",
  ]) func badSpecificationsAreNil(_ spec: String) {
    // A sign alone and a doubled alignment (fill `>`) are legal; the rest is not.
    let isLegal = spec == ">>" || spec == "-"
    #expect((format(1.5, spec: spec) != nil) == isLegal)
  }

  @Test func notationsFitTheirValues() {
    #expect(format(1.5, spec: "d") == nil)
    #expect(format(1.5, spec: "x") == nil)
    #expect(format(1.5, spec: "s") == nil)
    #expect(format(3, spec: "s") == nil)
    #expect(format(3, spec: ".2d") == nil)
    #expect(format("a", spec: "f") == nil)
    #expect(format("a", spec: ",") == nil)
  }
}
