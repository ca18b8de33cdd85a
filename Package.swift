// swift-tools-version: 6.1
import Foundation
import PackageDescription

// Kernels are built for this machine unless GRADUS_MARCH names another instruction set
// (x86-64-v2, x86-64-v3, native). The executable compares what was compiled in with what the
// processor has, and says so instead of dying on an illegal instruction.
let march = Context.environment["GRADUS_MARCH"] ?? "native"

// Kernels are optimised in debug builds too: an interpreter over unoptimised loops cannot be used.
// They validate nothing; callers do. `-Ounchecked` relies on that.
var kernelFlags: [SwiftSetting] = [
  .unsafeFlags([
    "-Ounchecked", "-wmo", "-num-threads", "2", "-Xcc", "-march=\(march)", "-Xcc", "-fno-math-errno",
    "-Xcc", "-O3",
  ])
]
#if arch(x86_64)
  // Where there are 512-bit vectors, use them: by default compilers do not for some processors, though these
  // loops then run a third faster.
  kernelFlags.append(.unsafeFlags(["-Xcc", "-mprefer-vector-width=512"]))
  let processor = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
  if march == "x86-64-v4" || march == "native" && processor.contains(" avx512f ") {
    kernelFlags.append(.define("GRADUS_WIDE_VECTORS"))
  }
#endif

// Exclusivity checks cost a tenth of a call, and one thread runs one interpreter and its plans.
let interpreterFlags: [SwiftSetting] = [
  .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))
]

let package = Package(
  name: "gradus",
  products: [.executable(name: "gradus", targets: ["gradus"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: [
    // System libraries, each a module map and one header.
    .systemLibrary(name: "CBLAS", providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(name: "CReadline", providers: [.apt(["libreadline-dev"])]),
    .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
    // stdlib/*.nn and the digits data, embedded.
    .target(
      name: "CStdlib", exclude: ["digits.csv.gz", "digits.md"],
      cSettings: [.unsafeFlags(["-std=c2x"])]),

    // Where the machine's stack ends.
    .target(name: "CStack"),

    // Products of bfloat16 by oneDNN, which is loaded when the first of them is planned.
    .target(name: "COneDNN", linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),

    // The sockets of a notebook's kernel and the signatures of its messages: libzmq and libcrypto, loaded as it starts.
    .target(name: "CZMQ", linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
    .target(name: "CCrypto", linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),

    // Copies of the process, by which `gradus watch` keeps what was there before a cell.
    .target(name: "CProcess"),

    // What the thread pool needs of C: lending closures, the processors at hand.
    .target(name: "CThreads"),

    // The pipeline, each row importing only rows above it.
    .target(name: "Support"),
    .target(name: "Syntax", dependencies: ["Support"]),
    .target(name: "Tensors", dependencies: ["Support"]),
    .target(name: "Kernels", dependencies: ["Tensors", "CBLAS", "COneDNN", "CThreads"], swiftSettings: kernelFlags),
    .target(name: "Graphs", dependencies: ["Support", "Tensors"]),
    .target(name: "Ops", dependencies: ["Support", "Tensors", "Kernels", "Graphs"]),
    .target(name: "Passes", dependencies: ["Support", "Tensors", "Graphs", "Ops"]),
    .target(
      name: "Execution", dependencies: ["Support", "Tensors", "Kernels", "Graphs", "Ops", "Passes"],
      swiftSettings: interpreterFlags),
    .target(name: "Formats", dependencies: ["Support", "Tensors", "CZlib", "CStdlib"]),
    .target(name: "Drawings", dependencies: ["Support", "Tensors"]),
    .target(
      name: "Interpreter",
      dependencies: [
        "Support", "Syntax", "Tensors", "Graphs", "Ops", "Passes", "Execution", "Formats", "Drawings", "CStdlib", "CStack",
      ], swiftSettings: interpreterFlags),
    .target(
      name: "Notebook", dependencies: ["Support", "Syntax", "Tensors", "Formats", "Interpreter"]),
    .target(
      name: "JupyterKernel",
      dependencies: ["Support", "Syntax", "Formats", "Interpreter", "Notebook", "CZMQ", "CCrypto"]),
    .target(name: "LanguageServer", dependencies: ["Support", "Syntax", "Formats", "Interpreter", "Notebook"]),
    .executableTarget(
      name: "gradus",
      dependencies: [
        "Support", "Syntax", "Tensors", "Kernels", "Formats", "Drawings", "Interpreter", "Notebook", "JupyterKernel",
        "LanguageServer", "CReadline", "CProcess",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),

    .testTarget(name: "SyntaxTests", dependencies: ["Syntax", "Support"]),
    .testTarget(name: "TensorsTests", dependencies: ["Tensors", "Support"]),
    .testTarget(name: "DrawingsTests", dependencies: ["Drawings"]),
    .testTarget(
      name: "OpsTests",
      dependencies: ["Ops", "Kernels", "Graphs", "Tensors", "Execution", "Passes", "Support"]),
    .testTarget(name: "FormatsTests", dependencies: ["Formats", "Tensors", "Support"]),
    .testTarget(
      name: "InterpreterTests",
      dependencies: [
        "Interpreter", "Syntax", "Tensors", "Graphs", "Ops", "Support", "Formats", "CStdlib",
      ]),
    .testTarget(name: "NotebookTests", dependencies: ["Notebook", "Interpreter", "Support", "Syntax"]),
  ]
)
