// How a checkpoint is written, takes its place, and makes older ones go.

import Glibc
import Tensors

extension CheckpointStore {
    /// Saves a checkpoint. When this returns, it outlasts a loss of power; when it throws, nothing of it is
    /// left and older checkpoints are as they were. (Only if the very last sync fails, the checkpoint may be
    /// there all the same.)
    ///
    /// - Parameters:
    ///   - step: updates done. A checkpoint of the same step is replaced in one step.
    ///   - metric: the value of `metric_for_best_model` at this step.
    ///   - neededByteCount: how large the checkpoint will be, for the message of a full disk.
    ///   - write: puts all files into the directory that it is given; subdirectories are allowed.
    /// - Throws: `TrainingError` that tells the path, what was needed and what to do; a `TrainingError` or
    ///   `CancellationError` of `write` as it is.
    @discardableResult
    package func save(
        step: Int, metric: Double? = nil, neededByteCount: Int? = nil, write: (String) throws -> Void
    ) throws -> Checkpoint {
        precondition(step >= 0, "a step is not negative")
        let temporaryPath = hiddenPath("checkpoint-\(step)", "tmp")
        let checkpoint = Checkpoint(step: step, path: path(ofStep: step), metric: metric)
        // Asked now: by the time of a failure, the writer of a file may have removed what it had written.
        let freeByteCount = disk.freeByteCount(directory)
        do {
            try disk.makeDirectory(temporaryPath)
            try write(temporaryPath)
            let files = try sealFiles(in: temporaryPath, prefix: "")
            guard !files.isEmpty else { throw CheckpointFault("nothing was written") }
            let mark = CheckpointMark(step: step, metric: metric, files: files)
            try disk.write(Array(mark.text.utf8), to: "\(temporaryPath)/\(CheckpointMark.name)")
            try putInPlace(temporaryPath, checkpoint)
        } catch let error as TrainingError {
            try? disk.remove(temporaryPath)
            throw error
        } catch let error as CancellationError {
            try? disk.remove(temporaryPath)
            throw error
        } catch {
            try? disk.remove(temporaryPath)
            let space = spaceText(neededByteCount: neededByteCount, freeByteCount: freeByteCount)
            throw failure(error, checkpoint, space: space)
        }
        if policy.makesLinks { updateLinks(last: checkpoint) }
        prune(saved: checkpoint)
        return checkpoint
    }

    private func hiddenPath(_ name: String, _ ending: String) -> String {
        var chance = SystemRandomNumberGenerator()
        return "\(directory)/.\(name).\(String(chance.next(), radix: 16)).\(ending)"
    }

    /// Brings all files and directories to disk.
    private func sealFiles(in directory: String, prefix: String) throws -> [CheckpointMark.File] {
        var files: [CheckpointMark.File] = []
        for name in disk.names(directory) {
            let path = "\(directory)/\(name)"
            if disk.isDirectory(path) {
                files += try sealFiles(in: path, prefix: "\(prefix)\(name)/")
            } else if disk.byteCount(path) != nil {
                let contents = try disk.seal(path)
                files.append(
                    CheckpointMark.File(
                        path: prefix + name, byteCount: contents.byteCount, crc: contents.crc))
            }
        }
        try disk.syncDirectory(directory)
        return files
    }

    /// Gives the written directory its name. What had the name is removed afterwards.
    private func putInPlace(_ temporaryPath: String, _ checkpoint: Checkpoint) throws {
        guard disk.mode(checkpoint.path) != nil else {
            try disk.rename(temporaryPath, to: checkpoint.path)
            try disk.syncDirectory(directory)
            return
        }
        var old = temporaryPath
        if try !disk.exchange(temporaryPath, with: checkpoint.path) {
            // For a moment neither has the name; `prepare` puts the old one back if the run ends just then.
            old = hiddenPath("checkpoint-\(checkpoint.step)", "old")
            try disk.rename(checkpoint.path, to: old)
            do {
                try disk.rename(temporaryPath, to: checkpoint.path)
            } catch {
                try? disk.rename(old, to: checkpoint.path)
                throw error
            }
        }
        try disk.syncDirectory(directory)
        do {
            try disk.remove(old)
        } catch {
            tell("cannot remove the checkpoint that was replaced: \(error)")
        }
    }

    // MARK: Links and pruning

    /// The checkpoint is safe by now, so that what fails here is a warning.
    func updateLinks(last: Checkpoint) {
        for (name, checkpoint) in [("last", last), ("best", best())] {
            guard let checkpoint else { continue }
            let temporaryPath = hiddenPath(name, "tmp")
            do {
                // A relative target stays right where the directory is moved or seen under another path.
                try disk.replaceLink(
                    "\(directory)/\(name)", target: "checkpoint-\(checkpoint.step)",
                    temporaryPath: temporaryPath)
            } catch {
                try? disk.remove(temporaryPath)
                tell("cannot make the link \(directory)/\(name): \(error)")
            }
        }
    }

    /// Removes complete checkpoints until `save_total_limit` are left, the lowest steps first. The best, the
    /// one just saved and the highest step stay in any case.
    private func prune(saved: Checkpoint) {
        guard let limit = policy.totalLimit, limit > 0 else { return }
        let all = checkpoints()
        let kept = Set([saved.step, all.last?.step, best()?.step].compactMap { $0 })
        var excess = all.count - limit
        for checkpoint in all where excess > 0 && !kept.contains(checkpoint.step) {
            do {
                // Under a hidden name first: half a checkpoint must not be seen where a whole one was.
                let hidden = hiddenPath("checkpoint-\(checkpoint.step)", "tmp")
                try disk.rename(checkpoint.path, to: hidden)
                excess -= 1
                try disk.remove(hidden)
            } catch {
                tell("cannot remove the old checkpoint \(checkpoint.path): \(error)")
            }
        }
    }

    // MARK: Failure

    private func failure(_ error: any Error, _ checkpoint: Checkpoint, space: String) -> TrainingError {
        let problem: String
        let remedy: String
        if let error = error as? FileError {
            problem = "\(error.path): \(error.problem)"
            remedy = error.remedy
        } else {
            problem = "\(error)"
            remedy = "check the disk and the path"
        }
        let kept = checkpoints().last.map { "\($0.path) is whole" } ?? "there is no older checkpoint"
        return TrainingError(
            .failed, "cannot save \(checkpoint.path): \(problem); \(space); \(kept)",
            remedy: "\(remedy), then resume")
    }

    /// What the checkpoint takes and what was free.
    private func spaceText(neededByteCount: Int?, freeByteCount: Int?) -> String {
        let needed: String
        if let neededByteCount {
            needed = "the checkpoint takes \(ByteText.of(neededByteCount))"
        } else if let last = checkpoints().last {
            needed = "checkpoint-\(last.step) takes \(ByteText.of(byteCount(under: last.path)))"
        } else {
            needed = "the checkpoint's size is not known"
        }
        return needed + (freeByteCount.map { ", \(ByteText.of($0)) were free before" } ?? "")
    }

    private func byteCount(under path: String) -> Int {
        guard disk.isDirectory(path) else { return disk.byteCount(path) ?? 0 }
        return disk.names(path).reduce(0) { $0 + byteCount(under: "\(path)/\($1)") }
    }
}
