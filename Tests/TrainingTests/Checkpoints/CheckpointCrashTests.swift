// A run is killed, or its disk is full, at every single operation: whatever was complete stays so.

import Glibc
import Tensors
import Testing

@testable import Training

@Suite("Checkpoints of runs that are killed")
struct CheckpointCrashTests {
    /// The process is gone: from here on nothing is done any more.
    private struct Killed: Error {}

    /// Counts operations and lets them fail from one on, or at one only.
    private final class FailingDisk {
        private(set) var count = 0
        private let first: Int
        private let fails: (CheckpointDisk.Operation) -> any Error
        private let forEver: Bool
        private(set) var didFail = false

        init(at first: Int, forEver: Bool, fails: @escaping (CheckpointDisk.Operation) -> any Error) {
            self.first = first
            self.forEver = forEver
            self.fails = fails
        }

        func check(_ operation: CheckpointDisk.Operation) throws {
            defer { count += 1 }
            guard forEver ? count >= first : count == first else { return }
            didFail = true
            throw fails(operation)
        }

        var disk: CheckpointDisk { CheckpointDisk(willPerform: check) }
    }

    private static let policy = CheckpointStore.Policy(totalLimit: 2, makesLinks: true)

    private static func content(_ step: Int, _ version: Int) -> String {
        String(repeating: "step \(step) version \(version)\n", count: 3)
    }

    /// Writes as a trainer does, through the disk that may fail.
    private static func fill(_ directory: String, _ content: String, _ disk: CheckpointDisk) throws {
        for name in ["model.safetensors", "trainer_state.json"] {
            try disk.write(Array(content.utf8), to: "\(directory)/\(name)")
        }
    }

    /// A run: the saves in their order, the third replacing the second, so that pruning, links and
    /// replacement occur.
    /// - Returns: how many saves came to their end.
    private static func run(_ path: String, _ disk: CheckpointDisk) -> Int {
        var done = 0
        do {
            let store = CheckpointStore(directory: path, policy: policy, disk: disk) { _ in }
            try store.prepare()
            for (step, metric, version) in saves {
                try store.save(step: step, metric: metric) {
                    try fill($0, content(step, version), disk)
                }
                done += 1
            }
        } catch {}
        return done
    }

    private static let saves = [(10, 3.0, 1), (20, 1.0, 1), (20, 2.0, 2), (30, 2.5, 1), (40, 2.7, 1)]

    /// What must hold after any kill and the next start.
    private static func check(_ folder: RunFolder, done: Int, place: Comment) throws {
        let warnings = Warnings()
        let store = CheckpointStore(directory: folder.path, policy: policy, warn: warnings.add)
        try store.prepare()
        #expect(warnings.all.isEmpty, place)
        #expect(!folder.names().contains { $0.hasPrefix(".") }, place)
        let all = store.checkpoints()
        #expect(all.count <= 3, place)
        let latest = store.latestComplete()
        #expect(latest?.step == all.last?.step, place)
        // Nothing that was reported as saved is lost; the save under way may be there or not.
        let steps = saves.map(\.0)
        if done > 0 {
            let possible = [steps[done - 1], done < steps.count ? steps[done] : 0]
            #expect(possible.contains(latest?.step ?? -1), place)
        }
        for checkpoint in all {
            let name = "checkpoint-\(checkpoint.step)"
            let versions = saves.filter { $0.0 == checkpoint.step }.map { content($0.0, $0.2) }
            let model = try folder.text("\(name)/model.safetensors")
            #expect(versions.contains(model), place)
            #expect(try folder.text("\(name)/trainer_state.json") == model, place)
        }
        for name in ["best", "last"] {
            guard let target = folder.link(name) else { continue }
            #expect(all.contains { "checkpoint-\($0.step)" == target }, place)
        }
        if let best = store.best() { #expect(folder.link("best") == "checkpoint-\(best.step)", place) }
        if let last = all.last { #expect(folder.link("last") == "checkpoint-\(last.step)", place) }
    }

    @Test(
        "Killed between any two operations, the newest complete checkpoint is whole",
        arguments: [true, false])
    func killed(canExchange: Bool) throws {
        var operation = 0
        while true {
            let folder = try RunFolder()
            let failing = FailingDisk(at: operation, forEver: true) { _ in Killed() }
            var disk = failing.disk
            disk.canExchange = canExchange
            let done = Self.run(folder.path, disk)
            try Self.check(folder, done: done, place: "killed at operation \(operation)")
            if !failing.didFail { break }
            operation += 1
        }
        // The run has the operations that this test believes it has: saves, links, a replacement, prunings.
        #expect(operation > 50)
    }

    @Test("Killed again while it cleans up, a run still finds its newest complete checkpoint")
    func killedTwice() throws {
        for first in stride(from: 0, to: 60, by: 7) {
            for second in 0..<6 {
                let folder = try RunFolder()
                var disk = FailingDisk(at: first, forEver: true) { _ in Killed() }.disk
                disk.canExchange = false
                let done = Self.run(folder.path, disk)
                var cleaning = FailingDisk(at: second, forEver: true) { _ in Killed() }.disk
                cleaning.canExchange = false
                do {
                    let store = CheckpointStore(
                        directory: folder.path, policy: Self.policy, disk: cleaning
                    ) { _ in }
                    try? store.prepare()
                }
                try Self.check(folder, done: done, place: "killed at \(first), then at \(second)")
            }
        }
    }

    @Test("A write that fails leaves no trace and older checkpoints whole, and the next save works")
    func fullDisk() throws {
        var operation = 0
        var failures = 0
        while true {
            let folder = try RunFolder()
            do {
                let store = CheckpointStore(directory: folder.path) { _ in }
                try store.prepare()
                try store.save(step: 10) { try Self.fill($0, Self.content(10, 1), store.disk) }
            }
            let failing = FailingDisk(at: operation, forEver: false) { operation in
                FileError(errno: ENOSPC, path: Self.path(of: operation), while: "write")
            }
            let full = CheckpointStore(directory: folder.path, disk: failing.disk) { _ in }
            let save = {
                try full.save(step: 20) { try Self.fill($0, Self.content(20, 1), full.disk) }
            }
            do {
                try full.prepare()
                _ = try save()
            } catch let error as TrainingError {
                failures += 1
                #expect(error.kind == .failed)
                #expect(error.description.contains(folder.path))
                #expect(error.description.contains("No space left on device"))
                #expect(error.remedy.contains("free space on that disk"))
                #expect(full.checkpoints().first?.step == 10)
                #expect(!folder.names().contains { $0.hasPrefix(".") })
                _ = try save()
                #expect(full.latestComplete()?.step == 20)
            }
            if !failing.didFail { break }
            operation += 1
        }
        #expect(failures == operation && failures > 5)
    }

    @Test("The error of a full disk tells what was needed and what was free")
    func fullDiskText() throws {
        let folder = try RunFolder()
        let store = CheckpointStore(directory: folder.path) { _ in }
        try store.prepare()
        try store.save(step: 10) { try folder.write(String(repeating: "a", count: 5_000), to: $0.suffixName) }
        for (needed, says) in [
            (nil, "checkpoint-10 takes 5.0 KiB"), (3 << 20, "the checkpoint takes 3.0 MiB"),
        ] {
            let error = #expect(throws: TrainingError.self) {
                try store.save(step: 20, neededByteCount: needed) { directory in
                    try folder.write(String(repeating: "b", count: 2_048), to: directory.suffixName)
                    throw FileError(errno: ENOSPC, path: "\(directory)/model.safetensors", while: "write")
                }
            }
            let problem = error?.problem ?? ""
            #expect(problem.hasPrefix("cannot save \(folder.path)/checkpoint-20: "), "\(problem)")
            #expect(problem.contains("; \(says), "), "\(problem)")
            #expect(
                problem.contains(" were free before; \(folder.path)/checkpoint-10 is whole"), "\(problem)")
            #expect(
                error?.remedy == "free space on that disk, or choose a directory on another one, then resume")
            #expect(folder.names() == ["checkpoint-10"])
        }
    }

    private static func path(of operation: CheckpointDisk.Operation) -> String {
        switch operation {
        case .makeDirectory(let path), .write(let path), .sync(let path), .remove(let path): path
        case .rename(let path, _), .exchange(let path, _), .link(let path, _): path
        }
    }
}

extension String {
    /// A file in a checkpoint's temporary directory, as a name within the run's folder.
    fileprivate var suffixName: String { "\(split(separator: "/").last ?? "")/model.safetensors" }
}
