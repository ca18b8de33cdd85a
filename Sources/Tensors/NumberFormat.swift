#if canImport(Glibc)
  import Glibc
#endif

/// Returns the shortest decimal text that reads back as `number`, laid out as Python's `repr` does:
/// `0.1`, `6.0`, `1e-05`, `1e+16`, `inf`.
package func format(number: Double) -> String {
  if number.isNaN { return "nan" }
  if number.isInfinite { return number < 0 ? "-inf" : "inf" }
  let sign = number.sign == .minus ? "-" : ""
  let (digits, exponent) = shortestDigits(of: number.magnitude)
  let count = digits.count
  let text = String(decoding: digits, as: UTF8.self)
  func zeros(_ count: Int) -> String { String(repeating: "0", count: count) }

  if exponent < -4 || exponent >= 16 {
    let fraction = count > 1 ? "." + text.dropFirst() : ""
    let magnitude = String(exponent.magnitude)
    return sign + text.prefix(1) + fraction + (exponent < 0 ? "e-" : "e+")
      + (magnitude.utf8.count < 2 ? "0" : "") + magnitude
  }
  if exponent < 0 { return sign + "0." + zeros(-exponent - 1) + text }
  let wholeCount = exponent + 1
  if count <= wholeCount { return sign + text + zeros(wholeCount - count) + ".0" }
  return sign + text.prefix(wholeCount) + "." + text.dropFirst(wholeCount)
}

/// Returns the fewest decimal digits that identify `number`, and the power of ten of the first one.
///
/// The digits are those of Swift's own description; only its layout differs from Python's.
private func shortestDigits(of number: Double) -> (digits: [UInt8], exponent: Int) {
  var digits: [UInt8] = []
  var exponent = 0
  var wholeCount: Int? = nil
  let bytes = Array(number.description.utf8)
  var index = 0
  while index < bytes.count, bytes[index] != UInt8(ascii: "e") {
    if bytes[index] == UInt8(ascii: ".") { wholeCount = digits.count } else { digits.append(bytes[index]) }
    index += 1
  }
  if index < bytes.count {
    exponent = Int(String(decoding: bytes[(index + 1)...], as: UTF8.self)) ?? 0
  }
  exponent += (wholeCount ?? digits.count) - 1
  let leading = digits.prefix { $0 == UInt8(ascii: "0") }.count
  if leading == digits.count { return ([UInt8(ascii: "0")], 0) }
  digits.removeFirst(leading)
  exponent -= leading
  while digits.last == UInt8(ascii: "0") { digits.removeLast() }
  return (digits, exponent)
}

/// Returns `value` with `decimals` digits after the point, correctly rounded: `3.1416`.
func fixed(_ value: Double, decimals: Int) -> String { printed("%.*f", value, decimals: decimals) }

/// Returns `value` with one digit before the point and `decimals` after it: `3.1416e+00`.
func scientific(_ value: Double, decimals: Int) -> String { printed("%.*e", value, decimals: decimals) }

/// Returns `value` with `digits` significant digits, in whichever notation is shorter.
func general(_ value: Double, digits: Int) -> String { printed("%.*g", value, decimals: max(digits, 1)) }

/// Formats through C's `printf`, whose decimal conversions are exact.
private func printed(_ conversion: String, _ value: Double, decimals: Int) -> String {
  // The C library shows the sign bit of a NaN; nobody wants to see it.
  if value.isNaN { return "nan" }
  // The longest text is that of the greatest double: 309 digits, a sign, a point and the decimals.
  return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 320 + decimals) { buffer in
    let count = withVaList([CInt(decimals), value]) {
      vsnprintf(buffer.baseAddress, buffer.count, conversion, $0)
    }
    let bytes = UnsafeRawBufferPointer(buffer).prefix(max(0, min(Int(count), buffer.count - 1)))
    return String(decoding: bytes, as: UTF8.self)
  }
}
