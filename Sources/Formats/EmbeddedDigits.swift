import CStdlib
import Tensors

/// Returns the digits that travel inside the binary: 1,797 images of 8 by 8 pixels and what they show.
///
/// - Shapes: images f32[1797, 64], pixels 0 to 16; labels i64[1797].
package func embeddedDigits() throws(FileError) -> (images: Tensor, labels: Tensor) {
  let packed = ByteSource(name: "digits.csv.gz", bytes: embeddedFile(named: "digits.csv.gz"))
  let table = try CSV.read(Gzip.decompress(packed), dtype: .f32).tensor
  let rows = table.shape[0]
  let pixels = table.shape[1] - 1
  func columns(_ shape: Shape, from column: Int) -> Tensor {
    Tensor(
      storage: table.storage, dtype: table.dtype,
      layout: Layout(shape: shape, strides: [pixels + 1, 1].prefix(shape.rank).map { $0 }, offset: column))
  }
  return (
    images: columns([rows, pixels], from: 0).contiguous(),
    labels: Tensor(integers: columns([rows], from: pixels).integers(), shape: [rows])
  )
}

/// Returns the bytes of a file of the binary's table; empty where there is none.
private func embeddedFile(named name: String) -> [UInt8] {
  for file in UnsafeBufferPointer(start: gradus_embedded_files(), count: gradus_embedded_file_count())
  where String(cString: file.name) == name {
    return Array(UnsafeBufferPointer(start: file.bytes, count: file.byte_count))
  }
  return []
}
