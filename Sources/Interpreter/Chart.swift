import Drawings

/// A value that is drawn: as text where it is echoed, as SVG in files and notebooks.
final class Chart: ObjectValue {
  private let name: String
  private let members: KeyValuePairs<String, Value>
  private let drawText: (Surface) -> String
  private let drawSVG: () -> String

  init(
    _ name: String, members: KeyValuePairs<String, Value> = [:], text: @escaping (Surface) -> String,
    svg: @escaping () -> String
  ) {
    self.name = name
    self.members = members
    drawText = text
    drawSVG = svg
  }

  override var kind: String { name }
  override var memberNames: [String] { members.map(\.key) }
  override func member(_ name: String) -> Value? { members.first { $0.key == name }?.value }
  override func text(on surface: Surface) -> String { drawText(surface) }
  override var summary: String { drawText(.plain) }
  override var svg: String? { drawSVG() }
}
