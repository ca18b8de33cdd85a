import Tensors

/// The format of MNIST: a type byte, a count of axes, their sizes, then the elements, all big endian.
///
/// Layout: 0, 0, type, rank; `rank` sizes as u32; the elements. i8 and i16 become i32.
package enum IDX {
  package static func read(_ source: ByteSource) throws(FileError) -> Tensor {
    let magic = try source.bytes(at: 0, count: 4)
    guard magic[0] == 0, magic[1] == 0 else {
      throw source.damaged("does not begin with the two zero bytes of an IDX file", at: .byte(0))
    }
    guard let format = format(ofType: magic[2]) else {
      throw source.damaged("element type \(magic[2]) is not one of IDX", at: .byte(2))
    }
    let rank = Int(magic[3])
    let sizes = try source.bytes(at: 4, count: 4 * rank)
    let shape = Shape(
      (0..<rank).map { axis in
        sizes[4 * axis..<4 * axis + 4].reduce(0) { $0 << 8 | Int($1) }
      })
    let start = 4 + 4 * rank
    try source.requireDataSize(shape, elementByteCount: format.byteCount, from: start)
    return try format.read(shape, from: source, at: start)
  }

  private static func format(ofType type: UInt8) -> ElementFormat? {
    switch type {
    case 0x08: ElementFormat(.unsigned, byteCount: 1)
    case 0x09: ElementFormat(.signed, byteCount: 1)
    case 0x0B: ElementFormat(.signed, byteCount: 2, order: .big)
    case 0x0C: ElementFormat(.signed, byteCount: 4, order: .big)
    case 0x0D: ElementFormat(.float, byteCount: 4, order: .big)
    case 0x0E: ElementFormat(.float, byteCount: 8, order: .big)
    default: nil
    }
  }
}
