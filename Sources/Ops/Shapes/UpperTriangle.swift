/// `triu(x, diagonal)`: the elements on and above a diagonal.
package struct UpperTriangle: Triangle {
  package let diagonal: Int
  package init(diagonal: Int) { self.diagonal = diagonal }

  package static let name = "triu"
  package static let documentation = """
    Keeps the elements of matrices on and above a diagonal, and makes the rest 0.

    Shapes: [.., m, n] -> the same. `diagonal` 0 is the main one, positive ones lie above it.

    >>> triu([[1, 2, 3], [4, 5, 6], [7, 8, 9]], 1)
    f32[3, 3]
    [[0., 2., 3.],
     [0., 0., 6.],
     [0., 0., 0.]]
    """
  package static let isLower = false
}
