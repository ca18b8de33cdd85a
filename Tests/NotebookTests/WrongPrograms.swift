/// Small programs with mistakes that depend on no element of a tensor. Each mistake is marked on its line; a line of dashes
/// begins the next program.
let wrongPrograms = #"""
x = normal([4, 8]); w = normal([4, 3])
y = x @ w  # error[shape-mismatch]
---
a = zeros([3]); b = zeros([4])
c = a + b  # error[shape-mismatch]
d = c * 2
---
net = Linear(10, 2)
net(zeros([5, 9]))  # error[shape-mismatch]
---
net = MLP([64, 32, 10])
x = zeros([8, 63])
net(x)  # error[shape-mismatch]
---
print(lossy)  # error[unknown-name]
---
x = softmaxx([1, 2])  # error[unknown-name]
---
x = sum([1, 2], axes: 0, axsi: 1)  # error[unknown-argument]
---
fn double(x) = 2 * x
double(1, 2)  # error[too-many-arguments]
---
fn scale(x, by) = x * by
scale(3)  # error[missing-argument]
---
fn scale(x, by) = x * by
scale(3, by: 2, by: 4)  # error[duplicate-argument]
---
net = Linear(4, 4)
net.wieght  # error[unknown-member]
---
p = (name: "a", rate: 0.1)
p.rat  # error[unknown-member]
---
(a, b) = (1, 2, 3)  # error[bad-unpack]
---
n = 3
n(4)  # error[not-callable]
---
x = zeros([2, 3])
sum(x, axis: 2)  # error[bad-axis]
---
x = zeros([2, 3])
x[0, 1, 2]  # error[bad-axis]
---
x = zeros([4])
x.T  # error[bad-axis]
---
x = [[1, 2], [3]]
x + 1  # error[ragged-list]
---
x = zeros([6])
reshape(x, [4, 2])  # error[bad-shape]
---
concat([zeros([2, 3]), zeros([2, 4])], axis: 0)  # error[shape-mismatch]
---
einsum("a b, b c -> a c", zeros([2, 3]), zeros([4, 5]))  # error[shape-mismatch]
---
net = Linear(4, 2)
opt = sgd(lr: 0.1)
step train(x, y) {
  loss = mean((net(x) - y)^2)
  if loss > 1.0 { loss = 2 * loss }  # error[traced-condition]
  minimize(loss, net, opt)
}
train(zeros([3, 4]), zeros([3, 2]))
---
net = Linear(4, 2)
opt = sgd(lr: 0.1)
step train(x, y) {
  loss = (net(x) - y)^2
  minimize(loss, net, opt)  # error[bad-loss]
}
train(zeros([3, 4]), zeros([3, 2]))
---
net = Linear(4, 2)
opt = sgd(lr: 0.1)
step train(x, y) {
  loss = mean((net(x) - y)^2)  # error[shape-mismatch]
  minimize(loss, net, opt)
}
train(zeros([3, 4]), zeros([3, 5]))
---
net = Linear(4, 2)
opt = sgd(lr: 0.1)
loss = mean(net(zeros([3, 4])))
minimize(loss, net, opt)  # error[no-history]
---
net = Linear(4, 2)
step train(x) = sum(net(x))
fast = train with precison: bf16  # error[unknown-policy]
---
net = Linear(4, 2)
step train(x) = sum(net(x))
fast = train with precision: i32  # error[bad-argument]
---
opt = adamw(lr: 0.1) with (no_decya: "*.bias")  # error[unknown-policy]
---
opt = sgd(learning_rate: 0.1)  # error[unknown-argument]
---
opt = sgd(lr: "fast")  # error[bad-argument]
---
net = Linear(4, 2)
step train(x, y) {
  loss = mean((net(x) - y)^2)
  minimize(loss, net, sgd)  # error[bad-argument]
}
train(zeros([3, 4]), zeros([3, 2]))
---
model Pair(n) {
  param w = normal([n, n])
  fn forward(x) = x @ w + bias  # error[unknown-name]
}
---
model Pair(n) {
  param w = normal([n, n + 1])
  fn forward(x) = (x @ w) @ w  # error[shape-mismatch]
}
net = Pair(3)
net(zeros([2, 3]))
---
model Noise() { param w = 0...3 }  # error[bad-operand]
Noise()
---
fn attention(q: [t, d], k: [s, d]) -> [t, s] = q @ k.T
attention(zeros([3, 8]), zeros([4, 7]))  # error[shape-mismatch]
---
fn flat(x: [n]) = x
flat(zeros([2, 3]))  # error[shape-mismatch]
---
fn flat(x: [n]) -> [n, 1] = x
flat(zeros([2]))  # error[shape-mismatch]
---
grad(fn(x) = x * 2)([1.0, 2.0])  # error[bad-loss]
---
grad(fn(x) = sum(x @ x))(zeros([2, 3]))  # error[shape-mismatch]
---
vjp(fn(x) = x, zeros([3]), zeros([4]))  # error[shape-mismatch]
---
x = zeros([3])
x[0:2] = zeros([3])  # error[shape-mismatch]
---
data = (x: zeros([10, 4]), y: zeros([9]))
for (x, y) in batches(data, 3) { print(x) }  # error[shape-mismatch]
---
data = (zeros([10, 4]), zeros([10, 3]))
w = zeros([5, 3])
for (x, y) in batches(data, 4) {
  loss = x @ w - y  # error[shape-mismatch]
}
---
# Only the last batch is too small.
w = zeros([4, 2])
for x in batches(zeros([10, 2]), 4) {
  z = x * w  # error[shape-mismatch]
}
---
# Only every hundredth round.
x = normal([4, 8])
for i in 1...1000 {
  y = x * 2
  if i % 100 == 0 { z = y @ y }  # error[shape-mismatch]
}
---
# Only on one side of a condition that nobody knows.
x = normal([4])
if sum(x) > 0 { y = x + zeros([5]) } else { y = x }  # error[shape-mismatch]
---
x = normal([4])
y = 0
while sum(x) > y {
  y = y + 1
  z = x @ zeros([5, 5])  # error[shape-mismatch]
}
---
# After a loop that does not change shapes.
h = normal([2, 16])
layers = [Linear(16, 16) for i in 1...6]
for layer in layers { h = relu(layer(h)) }
Linear(8, 2)(h)  # error[shape-mismatch]
---
cross_entropy(zeros([4, 10]), zeros([3], i64))  # error[shape-mismatch]
---
cross_entropy(zeros([4, 10]), zeros([4]))  # error[dtype-mismatch]
---
where(zeros([3]) > 0, zeros([3]), zeros([4]))  # error[shape-mismatch]
---
stack([zeros([2]), zeros([3])])  # error[shape-mismatch]
---
x = "text" + 1  # error[bad-operand]
---
x = [1, 2] @ "b"  # error[bad-operand]
---
if 3 { print("three") }  # error[bad-condition]
---
x = zeros([2])
if x > 0 { print("above") }  # error[bad-condition]
---
for i in 5 { print(i) }  # error[not-iterable]
---
y = 3[0]  # error[not-indexable]
---
x = zeros(["a", 2])  # error[bad-argument]
---
x = zeros([2, -1])  # error[bad-shape]
---
x = zeros([2], float)  # error[bad-argument]
---
n = len(4)  # error[bad-argument]
---
print("{[1, 2]:.q}")  # error[bad-format]
---
print("{zeros([2]):.3}")  # error[bad-format]
---
conv = Conv2d(3, 8, 3)
conv(zeros([2, 4, 16, 16]))  # error[shape-mismatch]
---
conv = Conv2d(3, 8, 5)
conv(zeros([2, 3, 4, 4]))  # error[shape-mismatch]
---
embed = Embedding(100, 16)
embed(zeros([4]))  # error[bad-index]
---
block = TransformerBlock(30, 4)  # error[bad-argument]
---
step twice(x) { y = x + x; kept.value = y; y }  # error[unknown-name]
---
f = fn(x) = x
memory(f, 1)  # error[bad-argument]
---
# Several mistakes, none of them because of another.
a = zeros([2]) + zeros([3])  # error[shape-mismatch]
b = a * 2
c = unknown_function(b)  # error[unknown-name]
d = zeros([2, 3]) @ zeros([2, 3])  # error[shape-mismatch]
e = d + a
Linear(2)  # error[missing-argument]
---
# A function that is called with two shapes, one of which does not fit.
fn product(a, b) = a @ b  # error[shape-mismatch]
product(zeros([2, 3]), zeros([3, 4]))
product(zeros([2, 3]), zeros([4, 3]))
---
input size = 12
w = zeros([10, 2])
zeros([4, size]) @ w  # error[shape-mismatch]
---
net = MLP([8, 16, 4])
net.layers[0].weight = zeros([9, 16])
net(zeros([2, 8]))  # error[shape-mismatch]
---
net = Linear(4, 2)
opt = sgd(lr: 0.1)
step train(x, y) {
  loss = sum((net(x) - y)^2) / sum(x)
  minimize(loss, net, opt)
}
halves = train with accumulate: 2
halves(zeros([4, 4]), zeros([4, 2]))
---
optimizer odd(lr = 0.1) {
  state m = zeros([3])
  fn update(p, g, t) {
    m = m + 1
    p - lr * g * sum(m)
  }
}
net = Linear(4, 2)
opt = odd()
step train(x) { minimize(sum(net(x)), net, opt) }
train(zeros([2, 4]))
---
optimizer wide(lr = 0.1) { fn update(p, g, t) = sum(p) - lr * sum(g) }  # error[shape-mismatch]
net = Linear(4, 2)
step train(x) { minimize(sum(net(x)), net, wide()) }
train(zeros([2, 4]))
"""#
