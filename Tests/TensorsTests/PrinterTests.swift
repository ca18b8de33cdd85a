import Tensors
import Testing

/// What PyTorch prints, byte for byte.
struct PrinterTests {
  @Test func printsAsPyTorch() throws {
    let cases = try reference(PrintingFile.self, "printing.json").tensors
    #expect(cases.count > 350)
    for printing in cases {
      let tensor = printing.tensor
      let text = format(tensor)
      var expected = printing.body
      // Three liberties: bools as the language spells them, whole numbers alone with a digit, a header.
      if tensor.dtype == .bool {
        expected = expected.replacing("True", with: "true").replacing("False", with: "false")
      }
      if tensor.shape.rank == 0 {
        if expected.hasSuffix(".") { expected += "0" }
      } else {
        expected = "\(tensor.type)\n" + expected
      }
      #expect(text == expected, "\(printing.name)")
    }
  }

  @Test func stridesAndOffsetsAreFollowed() {
    let base = Tensor((0..<6).map(Double.init), dtype: .f32, shape: [2, 3])
    let transposed = Tensor(
      storage: base.storage, dtype: .f32, layout: Layout(shape: [3, 2], strides: [1, 3]))
    #expect(format(transposed) == "f32[3, 2]\n[[0., 3.],\n [1., 4.],\n [2., 5.]]")
    let reversed = Tensor(
      storage: base.storage, dtype: .f32, layout: Layout(shape: [3], strides: [-1], offset: 2))
    #expect(format(reversed) == "f32[3]\n[2., 1., 0.]")
    let repeated = Tensor(
      storage: base.storage, dtype: .f32, layout: Layout(shape: [4], strides: [0], offset: 1))
    #expect(format(repeated) == "f32[4]\n[1., 1., 1., 1.]")
  }

  @Test func numbersStandAlone() {
    #expect(format(Tensor([6], dtype: .f32, shape: [])) == "6.0")
    #expect(format(Tensor([0.5], dtype: .f32, shape: [])) == "0.5000")
    #expect(format(Tensor([1], dtype: .bool, shape: [])) == "true")
    #expect(format(Tensor([-7], dtype: .i64, shape: [])) == "-7")
  }

  @Test func emptyTensorsShowTheirShape() {
    #expect(format(Tensor([], dtype: .f32, shape: [0])) == "f32[0]\n[]")
    #expect(format(Tensor([], dtype: .i64, shape: [2, 0])) == "i64[2, 0]\n[]")
  }

  @Test func optionsChangeTheLayout() {
    let tensor = Tensor((0..<12).map { Double($0) / 8 }, dtype: .f64, shape: [12])
    #expect(format(tensor, precision: 2, threshold: 4, edgeItems: 1) == "f64[12]\n[0.00,  ..., 1.38]")
    #expect(format(tensor, threshold: 4, edgeItems: 0) == "f64[12]\n[...]")
    #expect(
      format(tensor, precision: 1, lineWidth: 20)
        == "f64[12]\n[0.0, 0.1, 0.2, 0.4,\n 0.5, 0.6, 0.8, 0.9,\n 1.0, 1.1, 1.2, 1.4]")
    #expect(format(Tensor([1, 2], dtype: .i64, shape: [2]), lineWidth: 0) == "i64[2]\n[1,\n 2]")
  }
}

/// The shape of `printing.json`.
private struct PrintingFile: Decodable {
  let tensors: [Printing]

  struct Printing: Decodable {
    let name: String
    let dtype: String
    let shape: [Int]
    let values: [Element]?
    let formula: Formula?
    let body: String

    var tensor: Tensor {
      let dtype = DType(name: dtype)!
      let shape = Shape(shape)
      let tensor = Tensor(uninitialized: TensorType(dtype, shape))
      for index in 0..<shape.elementCount {
        let element = values?[index] ?? formula!.element(at: index)
        switch element {
        case .integer(let value): dtype.store(integer: value, at: tensor.storage.base, index: index)
        case .double(let value): dtype.store(value, at: tensor.storage.base, index: index)
        }
      }
      return tensor
    }
  }

  /// Element i is start + step * (i mod period), then `put` replaces some.
  struct Formula: Decodable {
    struct Put: Decodable {
      let at: Int
      let value: Element
    }
    let start: Double
    let step: Double
    let period: Int?
    let put: [Put]

    func element(at index: Int) -> Element {
      if let put = put.last(where: { $0.at == index }) { return put.value }
      return .double(start + step * Double(period.map { index % $0 } ?? index))
    }
  }

  enum Element: Decodable {
    case integer(Int)
    case double(Double)

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let value = try? container.decode(Bool.self) {
        self = .integer(value ? 1 : 0)
      } else if let value = try? container.decode(Double.self) {
        // An f64 keeps the sign of zero, an integer the digits beyond 2^53.
        let integer = value.magnitude < 0x1p53 ? nil : try? container.decode(Int.self)
        self = integer.map { .integer($0) } ?? .double(value)
      } else {
        self = .double(Double(try container.decode(String.self))!)
      }
    }
  }
}
