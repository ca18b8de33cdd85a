import Tensors

/// The rows of a batch along an axis of a value: the axis has `outer` times the batch times `inner` elements.
package struct BatchRows: Hashable, Sendable {
  package let axis: Int
  package let outer: Int
  package let inner: Int

  package init(axis: Int, outer: Int, inner: Int) {
    self.axis = axis
    self.outer = outer
    self.inner = inner
  }
}

/// A step cut along its batch.
package struct BatchSections {
  /// What passes from section to section.
  package struct Slot {
    package enum Kind {
      /// The pieces' values add up.
      case sum
      /// The mean of the pieces' values, weighted by their rows.
      case mean
      /// Each piece has its rows.
      case rows(BatchRows)
      /// Made before the pieces: of the whole batch, or the same for all.
      case early
    }
    package let type: TensorType
    package let kind: Kind
    /// The path of the parameter whose gradient it is.
    package let gradientPath: String?

    package init(type: TensorType, kind: Kind, gradientPath: String?) {
      self.type = type
      self.kind = kind
      self.gradientPath = gradientPath
    }
  }

  /// What an input of a section is.
  package enum Feed {
    /// An input of the step.
    case input(Int)
    /// The rows of a piece, of an input that begins with the batch.
    case inputRows(Int)
    /// The random key, and where a piece begins among what is drawn: that many elements a row.
    case key(Int, elementsPerRow: Int)
    case constantRows(Tensor, BatchRows)
    case slot(Int)
    case slotRows(Int, BatchRows)

    /// The rows that a piece has of a larger value.
    package var rows: BatchRows? {
      switch self {
      case .constantRows(_, let rows), .slotRows(_, let rows): rows
      case .input, .inputRows, .key, .slot: nil
      }
    }
  }

  package struct Section {
    package var graph = Graph()
    package var feeds: [Feed] = []
    package init() {}
  }

  package let slots: [Slot]
  package var before: Section?
  /// For each number of rows that a piece has.
  package var pieces: [(rowCount: Int, section: Section)]
  package var after: Section
  /// Whether a layer takes statistics of the batch.
  package let hasOwnStatistics: Bool
  package init(
    slots: [Slot], before: Section?, pieces: [(rowCount: Int, section: Section)], after: Section,
    hasOwnStatistics: Bool
  ) {
    self.slots = slots
    self.before = before
    self.pieces = pieces
    self.after = after
    self.hasOwnStatistics = hasOwnStatistics
  }
}
