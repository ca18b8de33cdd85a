import Formats
import Foundation
import Testing

struct AtomicWriterTests {
  private func contents(_ path: String) throws -> [UInt8] { try ByteSource(opening: path).allBytes() }

  private func names(_ folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
  }

  @Test func replacesTheWholeFile() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/f"
      try writeAtomically([1, 2, 3], to: path)
      try writeAtomically([4], to: path)
      #expect(try contents(path) == [4])
      #expect(try names(folder) == ["f"])
    }
  }

  @Test func anErrorLeavesTheOldFileAndNothingElse() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/f"
      try writeAtomically([1, 2, 3], to: path)
      let error = fileError { () throws(FileError) in
        try writeAtomically(to: path) { file throws(FileError) in
          try file.write([9, 9])
          throw FileError(.unwritable, path, "changed my mind")
        }
      }
      #expect(error?.message == "changed my mind")
      #expect(try contents(path) == [1, 2, 3])
      #expect(try names(folder) == ["f"])
    }
  }

  @Test func refusesWhatItMayNotReplace() throws {
    func failure(_ path: String) -> String? {
      fileError { () throws(FileError) in try writeAtomically([1], to: path) }?.message
    }
    try withTemporaryFolder { folder in
      #expect(failure(folder) == "is a folder")
      #expect(failure(folder + "/none/f") == "no such file or directory")
      #expect(failure("/dev/null") == "is not a plain file")
      #expect(failure("") == "names no file")
      #expect(failure("a\0b") == "a path holds no zero byte")
      try writeAtomically([], to: folder + "/f")
      #expect(failure(folder + "/f/g") == "not a directory")
      let long = folder + "/" + String(repeating: "n", count: 300)
      #expect(failure(long) == "file name too long")
      #expect(try names(folder) == ["f"])
    }
  }

  @Test func followsLinksAndKeepsPermissions() throws {
    try withTemporaryFolder { folder in
      try writeAtomically([1], to: folder + "/target")
      #expect(chmod(folder + "/target", 0o640) == 0)
      #expect(symlink("target", folder + "/link") == 0)
      try writeAtomically([2], to: folder + "/link")
      #expect(try contents(folder + "/target") == [2])
      var status = stat()
      #expect(lstat(folder + "/link", &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
      #expect(stat(folder + "/target", &status) == 0 && status.st_mode & 0o777 == 0o640)
    }
  }

  @Test func leftoversOfTheDeadAreRemovedAndThoseOfTheLivingKept() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/f"
      for name in [".f.writing-dead", ".g.writing-other"] {
        #expect(FileManager.default.createFile(atPath: "\(folder)/\(name)", contents: Data([1])))
      }
      try writeAtomically(to: path) { file throws(FileError) in
        try file.write([1])
        // A second writer comes and goes while the first is at work.
        try writeAtomically([2], to: path)
        try file.write([3])
      }
      #expect(try contents(path) == [1, 3])
      #expect(try names(folder) == [".g.writing-other", "f"])
    }
  }

  /// Kills a writing process at 100 random moments: the file is always one of the two versions, whole.
  @Test func everyKillLeavesAWholeFile() async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("gradus-kill-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = folder + "/f"
    try writeAtomically(version(0), to: path)
    var generator = SeededGenerator(seed: 1)
    var interruptedCount = 0
    for _ in 0..<100 {
      let microseconds = Int.random(in: 100...20_000, using: &generator)
      await #expect(processExitsWith: .signal(SIGKILL)) {
        [path = path as String, microseconds = microseconds as Int] in
        Thread.detachNewThread {
          usleep(UInt32(microseconds))
          kill(getpid(), SIGKILL)
        }
        for round in 0..<1_000_000 { try writeAtomically(version(round & 1), to: path) }
      }
      let found = try contents(path)
      #expect(found == version(0) || found == version(1))
      if try names(folder).count > 1 { interruptedCount += 1 }
    }
    // Most kills hit a write that was under way.
    #expect(interruptedCount > 10)
    try writeAtomically(version(1), to: path)
    #expect(try names(folder) == ["f"])
  }
}

/// A megabyte of the same byte: two versions that cannot be mixed unseen.
private func version(_ number: Int) -> [UInt8] {
  [UInt8](repeating: UInt8(number + 1), count: 1 << 20 | number << 10)
}
