import Kernels
import Testing

/// Philox4x32-10 against the known answers published with Random123 (kat_vectors).
@Suite struct PhiloxTests {
  @Test func knownAnswers() {
    expect(
      counter: (0, 0, 0, 0), key: (0, 0),
      gives: (0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
    expect(
      counter: (.max, .max, .max, .max), key: (.max, .max),
      gives: (0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd))
    expect(
      counter: (0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344), key: (0xa409_3822, 0x299f_31d0),
      gives: (0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1))
  }

  /// Each of seed, tick, ordinal and element changes what is drawn.
  @Test func everyPartOfTheKeyCounts() {
    let draws = [
      RandomStream(seed: 0, tick: 0, ordinal: 0).bits(at: 0),
      RandomStream(seed: 1, tick: 0, ordinal: 0).bits(at: 0),
      RandomStream(seed: 1 << 32, tick: 0, ordinal: 0).bits(at: 0),
      RandomStream(seed: 0, tick: 1, ordinal: 0).bits(at: 0),
      RandomStream(seed: 0, tick: 1 << 32, ordinal: 0).bits(at: 0),
      RandomStream(seed: 0, tick: 0, ordinal: 1).bits(at: 0),
      RandomStream(seed: 0, tick: 0, ordinal: 0).bits(at: 1),
      RandomStream(seed: 0, tick: 0, ordinal: 0).bits(at: 1 << 32),
      RandomStream(seed: -1, tick: -1, ordinal: 0).bits(at: 0),
    ]
    #expect(Set(draws).count == draws.count)
  }

  private func expect(
    counter: (UInt32, UInt32, UInt32, UInt32), key: (UInt32, UInt32),
    gives answer: (UInt32, UInt32, UInt32, UInt32)
  ) {
    let block = philox(counter: counter, key: key)
    #expect(block == answer)
  }
}
