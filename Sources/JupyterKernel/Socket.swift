import CZMQ
import Glibc

/// A ZeroMQ socket that listens. Only the thread that made it uses it.
final class Socket {
  let handle: UnsafeMutableRawPointer

  /// - Throws: `KernelError`.
  init(_ context: UnsafeMutableRawPointer, _ kind: czmq_kind, _ endpoint: String) throws {
    guard let handle = czmq_listen(context, kind, endpoint) else {
      throw KernelError("cannot listen at \(endpoint): \(String(cString: czmq_error()))")
    }
    self.handle = handle
  }

  /// Takes a message that has come, or nil.
  func receive() -> [[UInt8]]? {
    var frames: [[UInt8]] = []
    var frame = czmq_frame()
    while czmq_receive(handle, &frame) {
      frames.append(Array(UnsafeRawBufferPointer(start: frame.bytes, count: frame.count)))
      free(frame.bytes)
      if frame.is_last { return frames }
    }
    return nil
  }

  /// Sends a message; one to a client that is gone goes nowhere.
  func send(_ frames: [[UInt8]]) {
    for (index, frame) in frames.enumerated() {
      guard czmq_send(handle, frame, frame.count, index == frames.count - 1) else { return }
    }
  }

  func close() { czmq_close(handle) }
}
