import Tensors

private let groupCount = 256

/// The scratch that `roundStochastically` takes.
package let roundingScratchByteCount = scratchByteCount(of: UInt16.self, count: groupCount)

/// Rounds f32 `x` to bf16 `result`, up or down with the probability of what is cut off: the expectation is `x` itself.
///
/// The lower half of an f32 is the part of a bf16's last place, in 65536ths. 16 random bits are added to it and what
/// carries over is kept, so probabilities are exact, for subnormals too. Numbers of bf16, zeros and infinities stay as
/// they are, NaN is the quiet one of its sign; beyond the largest number lies infinity, as for nearest rounding.
package func roundStochastically(_ x: TensorView, into result: TensorView, stream: RandomStream) {
  let source = x.base.assumingMemoryBound(to: Float.self)
  let target = result.base.assumingMemoryBound(to: UInt16.self)
  inParallel(result.elementCount, cost: 2, unit: groupCount) { from, to in
    roundStochastically(source, target, from: from, to: to, stream)
  }
}

@inline(never)
private func roundStochastically(
  _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<UInt16>, from: Int, to: Int, _ stream: RandomStream
) {
  withScratch(of: UInt16.self, count: groupCount) { random in
    var i = from
    while i < to {
      // A piece of a batch may begin in the middle of a group.
      let (group, place) = stream.group(of: i)
      let count = min(groupCount &- place, to &- i)
      stream.fillSixteenBits(random, group: group)
      for k in 0..<count {
        let bits = x[i &+ k].bitPattern
        let isNaN = bits & 0x7FFF_FFFF > 0x7F80_0000
        let rounded = (bits &+ UInt32(random[place &+ k])) &>> 16
        y[i &+ k] = UInt16(truncatingIfNeeded: isNaN ? bits &>> 16 & 0x8000 | 0x7FC0 : rounded)
      }
      i = i &+ count
    }
  }
}
