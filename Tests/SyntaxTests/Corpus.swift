import Support
import Syntax

/// Programs that use every form of the language, in the style of the lessons.
enum Corpus {
  static let values = #"""
    #!/usr/bin/env gradus
    # %% Values
    x = [[1, 2], [3, 4]]            # a list; where a tensor is meant, a list becomes one
    x * 0.5
    #> f32[2, 2]
    i64([3, 1])
    w = normal([784, 128])
    h = x @ w |> relu
    h[0], h[:, 1], h[1:3], h[-1], h[.., none, ::2]
    h.shape, h.dtype, h.T
    budget = 64MiB
    "loss {loss:.4} {{braces}} \{x\} {f("nested {y}", z[1:2])}"
    p = (name: "a", rate: 0.1)
    (a, b) = (1e-3, 0x1F)
    a += 1_000; b //= 2
    print(a); b
    """#

  static let functions = #"""
    fn mean_square(a, b) = mean((a - b)^2)

    # Scaled dot-product attention.
    # Each query attends to every key.
    fn attention(q: [b, h, t, d], k: [b, h, s, d], v: [b, h, s, d]) -> [b, h, t, d] {
      weights = softmax(q @ k.T / sqrt(d))          # d is bound by the annotation
      weights @ v
    }
    double = fn(x) = 2 * x
    fn swish(x: f32[.., _, 3 * n] = none) -> f32 = x * sigmoid(x)
      with grad: fn(x, dy) = dy * (sigmoid(x) + x)
    for i in 0..<3 { print("{i}") }
    while loss > 0.1 and steps < 100 {
      steps = steps + 1
      if not done or x not in seen { continue } else if stop { break }
      else { loss = train(x, y); return_value = -x^2 }
    }
    squares = [i^2 for i in 1...5 if i != 3]
    pairs_of = [(a, b) for (a, b) in zip(xs, ys) if a < b <= 3 for c in a]
    y = einsum("b h t d, b h s d -> b h t s", q, k)
      |> softmax(axis: 1)
      # a comment in a pipe
      |> fn(z) {
        w = z + 1
        w
      }
    use "helpers.nn"
    input epochs = 5
    """#

  static let models = #"""
    model Linear(inputs, outputs) {
      param weight = normal([inputs, outputs]) / sqrt(inputs)
      param bias   = zeros([outputs])
      buffer mean  = zeros([outputs]); count = 0
      # Runs the layer.
      fn forward(x: [.., inputs]) -> [.., outputs] = x @ weight + bias
    }
    optimizer adamw(lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, decay = 0.01) {
      state m = zeros_like(p)
      state v = zeros_like(p)
      fn update(p, g, t) {
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g^2
        p * (1 - lr * decay) - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)
      }
    }
    step train(x, y) {
      loss = cross_entropy(net(x), y)
      minimize(loss, net, opt, clip: 1.0)
      loss
    }
    net.layers[0].weight = zeros([64, 128])
    opt8 = adamw(lr: cosine(peak: 3e-4, warmup: 100, total: 2000)) with state: q8
    small = train with (precision: f16, accumulate: 4, checkpoint: every(2))
    compare(train, train with checkpoint: sqrt, train with budget: 24MiB, args: (x, y))
    step = 3
    state = p.state + step
    for epoch in 1...epochs {
      for (x, y) in progress(batches(data.train, 32, shuffle: true)) { loss = train(x, y) }
      print("epoch {epoch}  loss {loss:.4}  accuracy {accuracy(net, data.test):.4}")
    }
    """#

  static let all = [values, functions, models]
}

/// Parses a text that is expected to be right or wrong.
func parse(_ text: String) -> (program: Program, diagnostics: [Diagnostic]) {
  parse(SourceFile(name: "test.nn", text: text))
}

/// Returns what a diagnostic is checked by: `code line:column message`.
func summary(_ diagnostic: Diagnostic) -> String {
  guard let site = diagnostic.site else { return "\(diagnostic.code) \(diagnostic.message)" }
  return "\(diagnostic.code) \(site.line):\(site.column) \(diagnostic.message)"
}

/// The xorshift64* generator: the same numbers on every machine.
struct XorShift: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed | 1 }
  mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 0x2545_F491_4F6C_DD1D
  }
}
