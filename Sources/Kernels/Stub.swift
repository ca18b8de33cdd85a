package enum ThreadPool { package static let threadCount = 1 }
package enum Scratch { package static func reserve(bytesPerThread: Int) {} }
