// What a store of checkpoints keeps, counts, links and removes.

import Glibc
import Tensors
import Testing

@testable import Training

@Suite("Checkpoint store")
struct CheckpointStoreTests {
    private func store(
        _ folder: RunFolder, _ policy: CheckpointStore.Policy = .init(),
        disk: CheckpointDisk = CheckpointDisk(), warnings: Warnings = Warnings()
    ) throws -> CheckpointStore {
        let store = CheckpointStore(
            directory: folder.path, policy: policy, disk: disk, warn: warnings.add)
        try store.prepare()
        return store
    }

    private func fill(_ directory: String, _ content: String) throws {
        try CheckpointDisk().write(Array(content.utf8), to: "\(directory)/model.safetensors")
        try CheckpointDisk().makeDirectories("\(directory)/extra/deep")
        try CheckpointDisk().write(Array("{}".utf8), to: "\(directory)/extra/deep/a.json")
    }

    @Test("A saved checkpoint has its files and a mark that lists them with sizes and checksums")
    func save() throws {
        let folder = try RunFolder()
        let store = try store(folder)
        let saved = try store.save(step: 20, metric: 0.1) { try fill($0, "123456789") }
        #expect(saved == Checkpoint(step: 20, path: "\(folder.path)/checkpoint-20", metric: 0.1))
        #expect(folder.names() == ["checkpoint-20"])
        #expect(folder.names("checkpoint-20") == ["complete.json", "extra", "model.safetensors"])
        let expected = """
            {
              "version": 1,
              "step": 20,
              "metric": 0.1,
              "files": [
                {
                  "path": "extra/deep/a.json",
                  "bytes": 2,
                  "crc32c": \(CRC32C.of(Array("{}".utf8)))
                },
                {
                  "path": "model.safetensors",
                  "bytes": 9,
                  "crc32c": 3808858755
                }
              ]
            }

            """
        #expect(try folder.text("checkpoint-20/complete.json") == expected)
        #expect(store.latestComplete() == saved)
        #expect(try CheckpointStore.checkpoint(at: saved.path) == saved)
    }

    /// Ways in which a checkpoint may be spoiled, and what is said of it.
    @Test(
        "A checkpoint that is not whole is reported, not counted, and stays where it is",
        arguments: [
            (file: "complete.json", content: nil, says: "it has no complete.json"),
            (file: "complete.json", content: "{", says: "complete.json cannot be read"),
            (file: "complete.json", content: "{\"version\":2}", says: "does not have the form"),
            (file: "model.safetensors", content: nil, says: "its file model.safetensors is missing"),
            (file: "model.safetensors", content: "short", says: "has 5 bytes in place of 6"),
            (file: "model.safetensors", content: "sectnd", says: "its file model.safetensors is damaged"),
        ] as [(file: String, content: String?, says: String)])
    func spoiled(file: String, content: String?, says: String) throws {
        let folder = try RunFolder()
        let warnings = Warnings()
        let store = try store(folder, .init(totalLimit: 2), warnings: warnings)
        try store.save(step: 10) { try fill($0, "first") }
        try store.save(step: 20) { try fill($0, "second") }
        let path = "checkpoint-20/\(file)"
        if let content { try folder.write(content, to: path) } else { unlink("\(folder.path)/\(path)") }
        #expect(store.latestComplete()?.step == 10)
        #expect(warnings.all.count == 1)
        #expect(warnings.all.first?.contains(says) == true, "\(warnings.all)")
        #expect(throws: TrainingError.self) {
            try CheckpointStore.checkpoint(at: "\(folder.path)/checkpoint-20")
        }
        // It neither fills a place of the limit nor disappears.
        try store.save(step: 30) { try fill($0, "third") }
        #expect(folder.names().contains("checkpoint-20"))
        if says.contains("damaged") == false {
            #expect(store.checkpoints().map(\.step) == [10, 30])
            #expect(warnings.all.count == 1)
        }
    }

    @Test("Names that only look like checkpoints are left alone")
    func strangers() throws {
        let folder = try RunFolder()
        let names = [
            "checkpoint-x", "checkpoint-007", "checkpoint--1", ".hidden.12.tmp", "runs", ".best.zz.tmp",
        ]
        for name in names { try folder.write("mine", to: "\(name)/file") }
        let warnings = Warnings()
        let store = try store(folder, warnings: warnings)
        #expect(store.checkpoints().isEmpty)
        #expect(warnings.all.isEmpty)
        #expect(folder.names() == names.sorted())
    }

    /// Steps are saved in their order with these metrics; smaller is better.
    @Test(
        "Pruning keeps the limit's number of checkpoints, always with the best and the last",
        arguments: [
            (limit: nil, metrics: [3, 1, 2, 4], kept: [10, 20, 30, 40]),
            (limit: 3, metrics: [nil, nil, nil, nil], kept: [20, 30, 40]),
            (limit: 2, metrics: [3, 1, 2, 4], kept: [20, 40]),
            (limit: 2, metrics: [1, 1, 2, 4], kept: [10, 40]),
            (limit: 1, metrics: [3, 1, 2, 4], kept: [20, 40]),
            (limit: 1, metrics: [4, 3, 2, 1], kept: [40]),
            (limit: 1, metrics: [.nan, nil, .nan, 5], kept: [40]),
            (limit: 3, metrics: [1, 2, 3, 4], kept: [10, 30, 40]),
            (limit: 0, metrics: [3, 1, 2, 4], kept: [10, 20, 30, 40]),
        ] as [(limit: Int?, metrics: [Double?], kept: [Int])])
    func pruning(limit: Int?, metrics: [Double?], kept: [Int]) throws {
        let folder = try RunFolder()
        let store = try store(folder, .init(totalLimit: limit))
        for (index, metric) in metrics.enumerated() {
            try store.save(step: 10 * (index + 1), metric: metric) { try fill($0, "\(index)") }
        }
        #expect(folder.names() == kept.map { "checkpoint-\($0)" })
        #expect(store.checkpoints().map(\.step) == kept)
    }

    @Test("A run that goes on from an earlier step does not prune what it just saved")
    func pruningAfterGoingBack() throws {
        let folder = try RunFolder()
        let store = try store(folder, .init(totalLimit: 2, makesLinks: true))
        for step in [20, 30, 25] { try store.save(step: step) { try fill($0, "\(step)") } }
        #expect(store.checkpoints().map(\.step) == [25, 30])
        #expect(folder.link("last") == "checkpoint-25")
    }

    @Test(
        "Which is best follows greater_is_better, and of equal ones the first",
        arguments: [
            (greater: false, metrics: [2, 1, 1, 3], best: 20),
            (greater: true, metrics: [2, 3, 3, 1], best: 20),
            (greater: true, metrics: [.nan, -.infinity, nil, nil], best: 20),
        ] as [(greater: Bool, metrics: [Double?], best: Int)])
    func best(greater: Bool, metrics: [Double?], best: Int) throws {
        let folder = try RunFolder()
        let store = try store(folder, .init(makesLinks: true, greaterIsBetter: greater))
        for (index, metric) in metrics.enumerated() {
            let step = 10 * (index + 1)
            let foretold = store.best(afterSavingStep: step, metric: metric)
            try store.save(step: step, metric: metric) { try fill($0, "\(index)") }
            #expect(store.best()?.step == foretold?.step)
            #expect(folder.link("last") == "checkpoint-\(step)")
        }
        #expect(store.best()?.step == best)
        #expect(folder.link("best") == "checkpoint-\(best)")
        #expect(try folder.text("best/complete.json").contains("\"step\": \(best),"))
    }

    @Test("A directory that has a link's name is reported, and the checkpoint is saved all the same")
    func linkInTheWay() throws {
        let folder = try RunFolder()
        try folder.write("mine", to: "last/file")
        let warnings = Warnings()
        let store = try store(folder, .init(makesLinks: true), warnings: warnings)
        try store.save(step: 5) { try fill($0, "a") }
        #expect(store.latestComplete()?.step == 5)
        #expect(warnings.all.first?.contains("cannot make the link \(folder.path)/last") == true)
        #expect(folder.names() == ["checkpoint-5", "last"])
    }

    @Test("Saving a step again replaces its checkpoint", arguments: [true, false])
    func replacing(canExchange: Bool) throws {
        let folder = try RunFolder()
        var disk = CheckpointDisk()
        disk.canExchange = canExchange
        let store = try store(folder, disk: disk)
        try store.save(step: 10, metric: 1) { try fill($0, "old") }
        try store.save(step: 10, metric: 2) { try fill($0, "new and longer") }
        #expect(folder.names() == ["checkpoint-10"])
        #expect(try folder.text("checkpoint-10/model.safetensors") == "new and longer")
        #expect(store.latestComplete()?.metric == 2)
    }

    @Test("Every file is on disk before the mark, and the mark before the name")
    func order() throws {
        let folder = try RunFolder()
        let journal = Journal()
        let store = try store(folder, disk: CheckpointDisk(willPerform: journal.note))
        try store.save(step: 10) { try fill($0, "a") }
        let temporary = try #require(journal.temporaryPath)
        let end = "\(folder.path)/checkpoint-10"
        #expect(
            journal.operations == [
                .makeDirectory(temporary),
                .sync("\(temporary)/extra/deep/a.json"), .sync("\(temporary)/extra/deep"),
                .sync("\(temporary)/extra"), .sync("\(temporary)/model.safetensors"), .sync(temporary),
                .write("\(temporary)/complete.json"), .rename(temporary, to: end), .sync(folder.path),
            ])
        #expect(temporary.hasPrefix("\(folder.path)/.checkpoint-10."))
    }

    @Test("What a killed writer left is removed at the next start")
    func leftovers() throws {
        let folder = try RunFolder()
        for name in [".checkpoint-20.1f.tmp", ".checkpoint-20.ab.old", ".last.77.tmp"] {
            try folder.write("half", to: "\(name)/model.safetensors")
        }
        try folder.write("whole", to: "checkpoint-20/model.safetensors")
        _ = try store(folder)
        #expect(folder.names() == ["checkpoint-20"])
        #expect(try folder.text("checkpoint-20/model.safetensors") == "whole")
    }

    @Test("A checkpoint that was put aside comes back if nothing took its place")
    func putAside() throws {
        let folder = try RunFolder()
        try store(folder).save(step: 20) { try fill($0, "old") }
        rename("\(folder.path)/checkpoint-20", "\(folder.path)/.checkpoint-20.ab.old")
        let store = try store(folder)
        #expect(folder.names() == ["checkpoint-20"])
        #expect(store.latestComplete()?.step == 20)
    }

    @Test("A second run on the same directory is refused while the first lives")
    func lock() throws {
        let folder = try RunFolder()
        do {
            let first = try store(folder)
            let error = #expect(throws: TrainingError.self) { _ = try store(folder) }
            #expect(error?.problem == "another run writes to \(folder.path)")
            #expect(first.checkpoints().isEmpty)
        }
        _ = try store(folder)
    }

    @Test("What the writer itself throws for the run passes unchanged, and its directory is gone")
    func ownErrors() throws {
        let folder = try RunFolder()
        let store = try store(folder)
        let stop = TrainingError(.interrupted, "SIGTERM", remedy: "resume")
        #expect(throws: stop) {
            try store.save(step: 1) {
                try fill($0, "a")
                throw stop
            }
        }
        #expect(throws: CancellationError.self) { try store.save(step: 1) { _ in throw CancellationError() } }
        let error = #expect(throws: TrainingError.self) { try store.save(step: 1) { _ in } }
        #expect(error?.problem.contains("nothing was written") == true)
        #expect(folder.names().isEmpty)
    }

    @Test("A directory that cannot be made is an error with its path")
    func noDirectory() throws {
        let folder = try RunFolder()
        try folder.write("a file", to: "out")
        let store = CheckpointStore(directory: "\(folder.path)/out/run/") { _ in }
        let error = #expect(throws: TrainingError.self) { try store.prepare() }
        #expect(error?.problem.hasPrefix("cannot use the output directory \(folder.path)/out/run: ") == true)
    }
}

/// Notes operations in their order.
private final class Journal {
    private(set) var operations: [CheckpointDisk.Operation] = []

    func note(_ operation: CheckpointDisk.Operation) { operations.append(operation) }

    var temporaryPath: String? {
        if case .makeDirectory(let path) = operations.first { return path }
        return nil
    }
}
