import Support
import Tensors

/// Text as numbers and back, for models that read letter by letter.
var letterBuiltins: [Builtin] {
  [
    Builtin(
      "alphabet", "text",
      """
      The different letters of a text, sorted.

      >>> alphabet("banana")
      ["a", "b", "n"]
      """
    ) { call throws(Failure) in
      .list(Set(try call.string(0, "the text")).sorted().map { .string(String($0)) })
    },
    Builtin(
      "encode", "text, alphabet",
      """
      The place of each letter of a text in an alphabet, as an i64 tensor.

      >>> encode("nab", ["a", "b", "n"])
      i64[3]
      [2, 0, 1]
      """
    ) { call throws(Failure) in
      let text = try call.string(0, "the text")
      var places: [Character: Int] = [:]
      for (place, letter) in try letters(of: call).enumerated() { places[letter] = place }
      var codes: [Int] = []
      for letter in text {
        guard let place = places[letter] else {
          throw Failure(
            "bad-argument", "\"\(letter)\" is not in the alphabet", at: call.sites[0],
            notes: ["it stands at place \(codes.count) of the text"])
        }
        codes.append(place)
      }
      return .tensor(TensorValue(Tensor(integers: codes, shape: [codes.count]), made: call.site))
    },
    Builtin(
      "decode", "codes, alphabet",
      """
      The text whose letters stand at these places of an alphabet.

      >>> decode([2, 0, 1], ["a", "b", "n"])
      "nab"
      """
    ) { call throws(Failure) in
      let tensor = try call.interpreter.tensorValue(call[0], meansIndex: true, at: call.sites[0])
      guard let codes = tensor.tensor, tensor.dtype.isInteger else {
        throw Failure("bad-argument", "codes must be whole numbers, got \(tensor.type)", at: call.sites[0])
      }
      let alphabet = try letters(of: call)
      var text = ""
      for code in codes.integers() {
        guard alphabet.indices.contains(code) else {
          throw Failure(
            "index-out-of-range", "code \(code) is out of range for an alphabet of \(alphabet.count)",
            at: call.sites[0])
        }
        text.append(alphabet[code])
      }
      return .string(text)
    },
  ]
}

/// The second argument: a list of single letters.
private func letters(of call: BuiltinCall) throws(Failure) -> [Character] {
  var letters: [Character] = []
  for item in try call.list(1, "the alphabet") {
    guard case .string(let string) = item, let text = string.known, text.count == 1, let letter = text.first else {
      throw Failure(
        "bad-argument", "an alphabet holds single letters, got \(item.described)", at: call.sites[1])
    }
    letters.append(letter)
  }
  return letters
}
