import CCrypto
import CZMQ
import Formats
import Glibc
import Interpreter

// Note [Three threads]
//
// The interpreter's thread runs programs and answers requests of the shell channel. A thread of its own answers the
// control channel: whatever a program does and prints, an interrupt comes through at once. The wire's thread owns all
// other sockets: it answers heartbeats, keeps requests until the interpreter is free for them, and publishes. What is
// published goes through one queue and leaves in the order in which it was said. So `idle` cannot overtake the output
// before it, and nothing need be flushed.

/// The sockets of a kernel, and the threads that own them.
/// See Note [Three threads].
final class Wire: @unchecked Sendable {
  /// What front ends ask to know about a kernel.
  let kernelInfo: JSONValue
  private let signer: Signer
  private let session = uniqueName()
  /// A kernel does not outlive the front end that started it, however that ends. nil where none said who it is.
  private let parentProcess: pid_t?

  private let context: UnsafeMutableRawPointer
  // Only the thread of the control channel touches this.
  private let control: Socket
  // Only the wire's thread touches these.
  private let shell: Socket
  private let stdin: Socket
  private let iopub: Socket
  private let heartbeat: Socket
  private var lastTextTime = 0

  /// A pipe that tells the wire's thread that there is something to send.
  private let bell: (reader: Int32, writer: Int32)

  // What all threads touch, under the monitor.
  private let monitor = Monitor()
  private var requests: [Request] = []
  private var outgoing: [Outgoing] = []
  private var waitingTextByteCount = 0
  /// Whether a program runs that an interrupt is meant for.
  private var isExecuting = false
  /// Whether an interrupt came for a program that had not begun.
  private var isInterruptDue = false
  private var isAsking = false
  private var answer: String?
  /// Whether the interpreter waits until all requests that have come are in the queue.
  private var mustGather = false
  /// Whether any request has come.
  private var hasStarted = false
  private var isEnding = false

  private enum Outgoing {
    case publication(Message)
    case reply(Message, [[UInt8]])
    case question(Message, [[UInt8]])
    case text(Text)
  }

  /// Output of a program: pieces that follow each other leave as one.
  private final class Text {
    let stream: String
    let parent: [UInt8]
    var text: String

    init(_ text: String, stream: String, parent: [UInt8]) {
      self.text = text
      self.stream = stream
      self.parent = parent
    }
  }

  /// Opens the sockets.
  ///
  /// - Throws: `KernelError`.
  init(_ connection: ConnectionFile, kernelInfo: JSONValue) throws {
    if let problem = ccrypto_load() { throw KernelError("libcrypto: \(String(cString: problem))") }
    if let problem = czmq_load() { throw KernelError("libzmq: \(String(cString: problem))") }
    guard let context = czmq_context() else { throw KernelError("libzmq: \(String(cString: czmq_error()))") }
    self.context = context
    self.kernelInfo = kernelInfo
    signer = Signer(key: connection.key)
    shell = try Socket(context, CZMQ_ROUTER, connection.endpoint(connection.shellPort))
    control = try Socket(context, CZMQ_ROUTER, connection.endpoint(connection.controlPort))
    stdin = try Socket(context, CZMQ_ROUTER, connection.endpoint(connection.stdinPort))
    iopub = try Socket(context, CZMQ_XPUB, connection.endpoint(connection.iopubPort))
    heartbeat = try Socket(context, CZMQ_ROUTER, connection.endpoint(connection.hbPort))
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw KernelError("cannot make a pipe") }
    for end in ends {
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
    }
    bell = (ends[0], ends[1])
    parentProcess = getenv("JPY_PARENT_PID").flatMap { pid_t(String(cString: $0)) }.map { front in
      // Where something else stands between the two, that is watched.
      getppid() == 1 ? front : getppid()
    }
  }

  /// Starts the threads, which run until the process ends.
  func start() throws {
    try start { wire in wire.runControl() }
    try start { wire in wire.run() }
  }

  private func start(_ body: @escaping @Sendable (Wire) -> Void) throws {
    let job = ThreadJob { [self] in body(self) }
    var thread = pthread_t()
    let status = pthread_create(
      &thread, nil,
      { argument in
        // Signals are for the interpreter.
        var signals = sigset_t()
        sigfillset(&signals)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        Unmanaged<ThreadJob>.fromOpaque(argument!).takeRetainedValue().body()
        return nil
      }, Unmanaged.passRetained(job).toOpaque())
    guard status == 0 else { throw KernelError("cannot start a thread") }
    pthread_detach(thread)
  }

  // MARK: - For the interpreter's thread

  /// Waits for a request. One to execute begins with this: from now on interrupts are for it.
  func nextRequest() -> Request {
    while true {
      let request: Request? = monitor.locked {
        if requests.isEmpty {
          monitor.wait()
          return nil
        }
        let request = requests.removeFirst()
        if request.type == "execute_request" {
          isExecuting = true
          Interpreter.clearInterrupt()
          if isInterruptDue { Interpreter.interrupt() }
          isInterruptDue = false
        }
        return request
      }
      if let request { return request }
    }
  }

  func endExecution() {
    monitor.locked { isExecuting = false }
  }

  /// Takes the requests to execute out of the queue, those that have come but are not yet in it included.
  func takeExecuteRequests() -> [Request] {
    // Those that were sent together with one that failed at once may still be on their way.
    usleep(Wire.gatheringTime)
    return monitor.locked {
      mustGather = true
      ringBell()
      while mustGather { monitor.wait() }
      let taken = requests.filter { $0.type == "execute_request" }
      requests.removeAll { $0.type == "execute_request" }
      isInterruptDue = false
      return taken
    }
  }

  func publish(_ type: String, _ content: JSONValue, for request: Request) {
    send(.publication(Message(type: type, content: content, parent: request.header)))
  }

  func publishState(_ state: String, for request: Request) {
    publish("status", ["execution_state": .string(state)], for: request)
  }

  func reply(_ type: String, _ content: JSONValue, to request: Request) {
    send(.reply(Message(type: type, content: content, parent: request.header), request.identities))
  }

  private func send(_ item: Outgoing) {
    monitor.locked {
      outgoing.append(item)
      ringBell()
    }
  }

  /// Sends what a program writes to `stdout` or `stderr`.
  func write(_ text: String, to stream: String, for request: Request) {
    if text.isEmpty { return }
    monitor.locked {
      // A program that floods its readers waits for them to be sent what is there.
      while waitingTextByteCount > Wire.mostWaitingText { monitor.wait() }
      waitingTextByteCount += text.utf8.count
      if case .text(let last)? = outgoing.last, last.stream == stream, last.parent == request.header {
        last.text += text
        return
      }
      let isFirst = outgoing.isEmpty
      outgoing.append(.text(Text(text, stream: stream, parent: request.header)))
      if isFirst { ringBell() }
    }
  }

  /// Asks the person at the front end for a line.
  func ask(_ prompt: String, for request: Request) -> Answer {
    monitor.locked {
      answer = nil
      isAsking = true
      outgoing.append(
        .question(
          Message(
            type: "input_request", content: ["prompt": .string(prompt), "password": false], parent: request.header),
          request.identities))
      ringBell()
      while answer == nil, !Interpreter.isInterrupted { monitor.waitBriefly() }
      isAsking = false
      return answer.map { .line($0) } ?? .interrupted
    }
  }

  private func ringBell() {
    var byte: UInt8 = 1
    // Where the pipe is full it has rung often enough.
    _ = Glibc.write(bell.writer, &byte, 1)
  }

  // MARK: - The wire's thread

  private static let mostWaitingText = 1 << 20
  /// Text is sent so often at most: a program that prints many lines makes few messages.
  private static let textInterval = 15
  /// Requests taken from one channel before the others have their turn.
  private static let mostAtOnce = 64
  /// In microseconds: long for a message of this machine, short for a person who waits for an error.
  private static let gatheringTime: UInt32 = 20_000

  private func run() {
    let handles: [UnsafeMutableRawPointer?] = [shell, stdin, iopub, heartbeat].map(\.handle)
    var rings = [UInt8](repeating: 0, count: 256)
    var patience = -1
    while true {
      let limit = parentProcess == nil ? -1 : 1000
      czmq_wait(handles, handles.count, bell.reader, patience < 0 ? limit : patience)
      while read(bell.reader, &rings, rings.count) > 0 {}
      if let parentProcess, getppid() != parentProcess { askToEnd() }
      if monitor.locked({ isEnding }) { end() }

      greetSubscribers()
      let isDrained = receiveRequests()
      receiveAnswers()
      while let frames = heartbeat.receive() { heartbeat.send(frames) }
      patience = sendOutgoing()
      if !isDrained { patience = 0 }
    }
  }

  /// - Returns: whether all that had come were taken.
  private func receiveRequests() -> Bool {
    let mustGather = monitor.locked { self.mustGather }
    var taken = 0
    while taken < Wire.mostAtOnce || mustGather {
      guard let frames = shell.receive() else { break }
      taken += 1
      guard let request = Request(frames, signer) else { continue }
      // Ends the kernel on this channel too, as older front ends ask for it: a program that runs does not delay it.
      if request.type == "shutdown_request" {
        answer(request, on: shell)
      } else {
        monitor.locked {
          hasStarted = true
          requests.append(request)
          monitor.ring()
        }
      }
    }
    if mustGather {
      monitor.locked {
        self.mustGather = false
        monitor.ring()
      }
    }
    return taken < Wire.mostAtOnce
  }

  private func receiveAnswers() {
    while let frames = stdin.receive() {
      guard let reply = Request(frames, signer), reply.type == "input_reply" else { continue }
      monitor.locked {
        if isAsking { answer = reply.content["value"]?.text ?? "" }
        monitor.ring()
      }
    }
  }

  private func greetSubscribers() {
    while let frames = iopub.receive() {
      // A subscription is a 1 and the beginning of the topics that it is for; a 0 ends one.
      guard let frame = frames.first, frame.first == 1 else { continue }
      let topic = Array(frame.dropFirst())
      let welcome = Message(
        type: "iopub_welcome", content: ["subscription": .string(String(decoding: topic, as: UTF8.self))])
      iopub.send(welcome.frames(to: [topic], from: session, signer))
      // Before the first subscriber there was nobody to tell.
      let isFirst = monitor.locked {
        defer { hasStarted = true }
        return !hasStarted
      }
      if isFirst { publish(Message(type: "status", content: ["execution_state": "starting"])) }
    }
  }

  private func publish(_ message: Message) {
    iopub.send(message.frames(to: [Array(message.type.utf8)], from: session, signer))
  }

  /// Sends what is to be sent.
  ///
  /// - Returns: for how many milliseconds text waits for more to go with it; -1 where none waits.
  private func sendOutgoing(evenText: Bool = false) -> Int {
    let now = milliseconds()
    let (items, patience): ([Outgoing], Int) = monitor.locked {
      let isOnlyText = outgoing.allSatisfy { if case .text = $0 { true } else { false } }
      let rest = lastTextTime + Wire.textInterval - now
      if isOnlyText, !outgoing.isEmpty, rest > 0, !evenText { return ([], rest) }
      defer {
        outgoing = []
        waitingTextByteCount = 0
        monitor.ring()
      }
      return (outgoing, -1)
    }
    for item in items {
      switch item {
      case .publication(let message): publish(message)
      case .reply(let message, let receiver): send(message, on: shell, receiver)
      case .question(let message, let receiver): send(message, on: stdin, receiver)
      case .text(let text):
        let content: JSONValue = ["name": .string(text.stream), "text": .string(text.text)]
        publish(Message(type: "stream", content: content, parent: text.parent))
        lastTextTime = now
      }
    }
    return patience
  }

  private func send(_ message: Message, on socket: Socket, _ receiver: [[UInt8]]) {
    socket.send(message.frames(to: receiver, from: session, signer))
  }

  private func askToEnd() {
    monitor.locked {
      isEnding = true
      ringBell()
    }
  }

  /// Ends the process. Whatever its program does is left where it is: files are written whole or not at all.
  private func end() -> Never {
    // What was said before the end is still heard.
    _ = sendOutgoing(evenText: true)
    for socket in [shell, stdin, iopub, heartbeat] { socket.close() }
    // Ends the wait of the other thread, which closes its own.
    czmq_end(context)
    _exit(0)
  }

  // MARK: - The thread of the control channel

  private func runControl() {
    while true {
      czmq_wait([control.handle], 1, -1, -1)
      while !monitor.locked({ isEnding }), let frames = control.receive() {
        if let request = Request(frames, signer) { answer(request, on: control) }
      }
      if monitor.locked({ isEnding }) { return control.close() }
    }
  }

  /// Answers a request that does not wait for programs, on a socket of the calling thread.
  private func answer(_ request: Request, on socket: Socket) {
    func reply(_ type: String, _ content: JSONValue) {
      send(Message(type: type, content: content, parent: request.header), on: socket, request.identities)
    }
    monitor.locked { hasStarted = true }
    publishState("busy", for: request)
    switch request.type {
    case "kernel_info_request": reply("kernel_info_reply", kernelInfo)
    case "interrupt_request":
      interrupt()
      reply("interrupt_reply", ["status": "ok"])
    case "shutdown_request":
      let content: JSONValue = ["status": "ok", "restart": .bool(request.content["restart"]?.flag ?? false)]
      reply("shutdown_reply", content)
      publish("shutdown_reply", content, for: request)
      publishState("idle", for: request)
      return askToEnd()
    default: break
    }
    publishState("idle", for: request)
  }

  private func interrupt() {
    monitor.locked {
      if isExecuting {
        Interpreter.interrupt()
      } else if requests.contains(where: { $0.type == "execute_request" }) {
        isInterruptDue = true
      }
      monitor.ring()
    }
  }

  private func milliseconds() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
  }
}

/// What a thread does.
private final class ThreadJob: Sendable {
  let body: @Sendable () -> Void
  init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}
