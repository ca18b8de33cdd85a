import Kernels
import Tensors
import Testing

/// Copies of every arrangement of axes, strides and word sizes.
@Suite struct CopyTests {
  @Test(arguments: [DType.u8, .f16, .f32, .f64])
  func copiesKeepEveryElement(_ dtype: DType) {
    for shape in [[], [0, 3], [7], [5, 9], [70, 45], [3, 40, 50], [2, 3, 4, 5]] as [Shape] {
      let values = (0..<shape.elementCount).map { Double($0 % 200) }
      let tensor = Tensor(values, dtype: dtype, shape: shape)
      for arrangement in Arrangement.allCases {
        expectCopy(of: arrangement.apply(to: tensor))
      }
      // Every exchange of two axes, and every axis broadcast.
      for a in 0..<shape.rank {
        expectCopy(of: flattened(tensor, along: a))
        for b in 0..<a {
          var layout = tensor.layout
          layout.shape.sizes.swapAt(a, b)
          layout.strides.swapAt(a, b)
          expectCopy(of: Tensor(storage: tensor.storage, dtype: dtype, layout: layout))
        }
      }
    }
  }

  private func expectCopy(of tensor: Tensor) {
    let target = Tensor(uninitialized: tensor.type)
    copyRegion(tensor.view, into: target.view)
    #expect(target.doubles() == tensor.doubles(), "\(tensor.type), strides \(tensor.layout.strides)")
  }
}
