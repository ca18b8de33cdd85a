import FoundationEssentials
import Notebook

/// Where a front end wants its kernel to listen, and the key that both sign with.
struct ConnectionFile: Decodable {
  let transport: String
  let ip: String
  let shellPort: Int
  let iopubPort: Int
  let stdinPort: Int
  let controlPort: Int
  let hbPort: Int
  let key: String
  let signatureScheme: String

  private enum CodingKeys: String, CodingKey {
    case transport, ip, key
    case shellPort = "shell_port"
    case iopubPort = "iopub_port"
    case stdinPort = "stdin_port"
    case controlPort = "control_port"
    case hbPort = "hb_port"
    case signatureScheme = "signature_scheme"
  }

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    transport = try container.decodeIfPresent(String.self, forKey: .transport) ?? "tcp"
    ip = try container.decodeIfPresent(String.self, forKey: .ip) ?? "127.0.0.1"
    shellPort = try container.decode(Int.self, forKey: .shellPort)
    iopubPort = try container.decode(Int.self, forKey: .iopubPort)
    stdinPort = try container.decode(Int.self, forKey: .stdinPort)
    controlPort = try container.decode(Int.self, forKey: .controlPort)
    hbPort = try container.decode(Int.self, forKey: .hbPort)
    key = try container.decodeIfPresent(String.self, forKey: .key) ?? ""
    signatureScheme = try container.decodeIfPresent(String.self, forKey: .signatureScheme) ?? Signer.scheme
  }

  /// - Throws: `KernelError`.
  init(path: String, bytes: [UInt8]) throws {
    do {
      self = try JSONDecoder().decode(ConnectionFile.self, from: Data(bytes))
    } catch {
      throw KernelError("\(path) is no connection file: \(ConnectionFile.reason(error))")
    }
    guard transport == "tcp" || transport == "ipc" else {
      throw KernelError("\(path): the transport must be tcp or ipc, got `\(transport)`")
    }
    guard key.isEmpty || signatureScheme == Signer.scheme else {
      throw KernelError("\(path): the signature scheme must be \(Signer.scheme), got `\(signatureScheme)`")
    }
  }

  private static func reason(_ error: any Error) -> String {
    switch error {
    case DecodingError.keyNotFound(let key, _): "it has no `\(key.stringValue)`"
    case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
      "`\(context.codingPath.last?.stringValue ?? "the whole")` is of another kind"
    default: "it is not JSON"
    }
  }

  func endpoint(_ port: Int) -> String {
    transport == "tcp" ? "tcp://\(ip):\(port)" : "ipc://\(ip)-\(port)"
  }
}

/// Why a kernel cannot start.
package struct KernelError: Error, CustomStringConvertible {
  package let description: String
  init(_ description: String) { self.description = description }
}
