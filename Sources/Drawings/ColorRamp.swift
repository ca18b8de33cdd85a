#if canImport(Glibc)
  import Glibc
#endif

/// Colours for numbers, from dark blue to light yellow.
///
/// Even to the eye by construction: lightness in Oklab (Björn Ottosson, 2020) rises in even steps, so that the ramp is
/// also one in grey and to people who see few hues.
package enum ColorRamp {
  /// - Parameter share: from 0 to 1.
  package static func color(at share: Double) -> Color { table[Int((min(max(share, 0), 1) * 255).rounded())] }

  /// What stands for a value that is no finite number.
  package static let missing = Color(red: 128, green: 128, blue: 128)

  /// From none to full, where there are no colours.
  package static let shades: [Character] = [" ", "░", "▒", "▓", "█"]

  package static func shade(at share: Double) -> Character {
    shades[min(Int(min(max(share, 0), 1) * Double(shades.count)), shades.count - 1)]
  }

  private static let table: [Color] = (0..<256).map { step in
    let share = Double(step) / 255
    let lightness = 0.25 + 0.67 * share
    // From blue by way of green to yellow; as much colour as screens have there.
    let hue = (285 - 180 * share) * .pi / 180
    var chroma = 0.16
    while chroma > 0 {
      if let color = color(lightness, chroma * cos(hue), chroma * sin(hue)) { return color }
      chroma -= 0.005
    }
    return color(lightness, 0, 0)!
  }

  /// The colour of Oklab coordinates; nil for one that screens do not have.
  private static func color(_ lightness: Double, _ a: Double, _ b: Double) -> Color? {
    func cube(_ x: Double) -> Double { x * x * x }
    let long = cube(lightness + 0.3963377774 * a + 0.2158037573 * b)
    let medium = cube(lightness - 0.1055613458 * a - 0.0638541728 * b)
    let short = cube(lightness - 0.0894841775 * a - 1.2914855480 * b)
    let linear = [
      4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
      -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
      -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    ]
    if linear.contains(where: { $0 < -1e-6 || $0 > 1 + 1e-6 }) { return nil }
    let parts = linear.map { part -> UInt8 in
      let part = min(max(part, 0), 1)
      let encoded = part <= 0.0031308 ? 12.92 * part : 1.055 * pow(part, 1 / 2.4) - 0.055
      return UInt8((encoded * 255).rounded())
    }
    return Color(red: parts[0], green: parts[1], blue: parts[2])
  }
}
