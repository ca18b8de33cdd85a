/// `tril(x, diagonal)`: the elements on and below a diagonal.
package struct LowerTriangle: Triangle {
  package let diagonal: Int
  package init(diagonal: Int) { self.diagonal = diagonal }

  package static let name = "tril"
  package static let documentation = """
    Keeps the elements of matrices on and below a diagonal, and makes the rest 0.

    Shapes: [.., m, n] -> the same. `diagonal` 0 is the main one, positive ones lie above it.

    >>> tril([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    f32[3, 3]
    [[1., 0., 0.],
     [4., 5., 0.],
     [7., 8., 9.]]
    """
  package static let isLower = true
}
