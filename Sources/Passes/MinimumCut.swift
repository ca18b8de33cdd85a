/// A network of vertices joined by edges of given capacities, for minimum cuts.
///
/// Dinic's algorithm (1970): breadth-first levels, then blocking flows along them.
struct FlowNetwork {
  /// More than any sum of real capacities.
  static let unlimited = 1 << 60

  private var heads: [Int] = []
  private var capacities: [Int] = []
  /// Edge numbers by vertex; edge `e ^ 1` is the reverse of `e`.
  private var edges: [[Int]]

  init(vertexCount: Int) { edges = Array(repeating: [], count: vertexCount) }

  mutating func join(_ from: Int, to: Int, capacity: Int) {
    edges[from].append(heads.count)
    heads.append(to)
    capacities.append(capacity)
    edges[to].append(heads.count)
    heads.append(from)
    capacities.append(0)
  }

  /// Finds the minimum cut nearest to the sink.
  ///
  /// - Returns: for each vertex, whether it lies on the sink's side.
  mutating func cut(from source: Int, to sink: Int) -> [Bool] {
    while let levels = levels(from: source, to: sink) {
      var next = [Int](repeating: 0, count: edges.count)
      while augment(from: source, to: sink, levels, &next) {}
    }
    // What can still reach the sink: edges are walked against their direction.
    var reaches = [Bool](repeating: false, count: edges.count)
    reaches[sink] = true
    var queue = [sink]
    while let vertex = queue.popLast() {
      for edge in edges[vertex] where capacities[edge ^ 1] > 0 && !reaches[heads[edge]] {
        reaches[heads[edge]] = true
        queue.append(heads[edge])
      }
    }
    return reaches
  }

  /// Distances from the source along edges with room; nil where the sink is out of reach.
  private func levels(from source: Int, to sink: Int) -> [Int]? {
    var levels = [Int](repeating: -1, count: edges.count)
    levels[source] = 0
    var queue = [source]
    var first = 0
    while first < queue.count {
      let vertex = queue[first]
      first += 1
      for edge in edges[vertex] where capacities[edge] > 0 && levels[heads[edge]] < 0 {
        levels[heads[edge]] = levels[vertex] + 1
        queue.append(heads[edge])
      }
    }
    return levels[sink] < 0 ? nil : levels
  }

  /// Sends flow along one path, found without recursion: graphs can be deep.
  private mutating func augment(from source: Int, to sink: Int, _ levels: [Int], _ next: inout [Int]) -> Bool {
    var path: [Int] = []
    var vertex = source
    while vertex != sink {
      if next[vertex] < edges[vertex].count {
        let edge = edges[vertex][next[vertex]]
        if capacities[edge] > 0, levels[heads[edge]] == levels[vertex] + 1 {
          path.append(edge)
          vertex = heads[edge]
        } else {
          next[vertex] += 1
        }
      } else if let edge = path.popLast() {
        // A dead end: back by one edge, which is done with.
        vertex = heads[edge ^ 1]
        next[vertex] += 1
      } else {
        return false
      }
    }
    let flow = path.map { capacities[$0] }.min() ?? 0
    for edge in path {
      capacities[edge] -= flow
      capacities[edge ^ 1] += flow
    }
    return flow > 0
  }
}
