// The checkpoints of one output directory: each appears whole or not at all, whenever the run is killed.

import Glibc
import Tensors

/// A complete checkpoint.
package struct Checkpoint: Sendable, Hashable {
    /// Updates done when it was saved.
    package var step: Int
    package var path: String
    /// The value of `metric_for_best_model`, where one was measured at this step.
    package var metric: Double?
}

/// Keeps `checkpoint-N` directories in an output directory, in ms-swift's layout.
///
/// A checkpoint is written to a hidden directory beside its place (`.checkpoint-N.<random>.tmp`), brought to
/// disk, marked with `complete.json`, and then renamed. What lies under its own name without a valid mark
/// came from elsewhere or was damaged: it is reported, not counted, and never deleted.
package final class CheckpointStore {
    package struct Policy: Sendable, Hashable {
        /// `save_total_limit`; nil: all are kept. The best and the last are kept whatever it says.
        package var totalLimit: Int?
        /// `create_checkpoint_symlink`: `best` and `last` beside the checkpoints.
        package var makesLinks: Bool
        package var greaterIsBetter: Bool

        package init(totalLimit: Int? = nil, makesLinks: Bool = false, greaterIsBetter: Bool = false) {
            self.totalLimit = totalLimit
            self.makesLinks = makesLinks
            self.greaterIsBetter = greaterIsBetter
        }
    }

    package let directory: String
    package let policy: Policy
    let disk: CheckpointDisk
    private let warn: (String) -> Void
    private var warned: Set<String> = []
    private var lock: Int32 = -1

    /// Nothing is touched until `prepare`; a reader of checkpoints needs no more than this.
    /// - Parameter warn: takes a sentence for the user; each is given once.
    package init(
        directory: String, policy: Policy = Policy(), disk: CheckpointDisk = CheckpointDisk(),
        warn: @escaping (String) -> Void
    ) {
        var directory = directory
        while directory.count > 1, directory.hasSuffix("/") { directory.removeLast() }
        self.directory = directory
        self.policy = policy
        self.disk = disk
        self.warn = warn
    }

    deinit {
        if lock >= 0 { close(lock) }
    }

    /// Makes the directory, takes it for this process until the store is gone, and removes what killed
    /// writers left.
    /// - Throws: `TrainingError` where the directory cannot be written to or another run holds it.
    package func prepare() throws {
        do {
            try disk.makeDirectories(directory)
            try takeLock()
            try removeLeftovers()
        } catch let error as FileError {
            throw TrainingError(
                .failed, "cannot use the output directory \(directory): \(error.path): \(error.problem)",
                remedy: error.remedy)
        }
        if policy.makesLinks, let last = checkpoints().last { updateLinks(last: last) }
    }

    private func takeLock() throws {
        guard lock < 0 else { return }
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(errno: errno, path: directory, while: "open") }
        // Two writers would remove each other's unfinished checkpoints. Where locks are not to be had (some
        // network file systems), the run goes on without.
        if flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
            close(descriptor)
            throw TrainingError(
                .failed, "another run writes to \(directory)",
                remedy: "wait until it ends or end it, or give another output_dir")
        }
        lock = descriptor
    }

    private func removeLeftovers() throws {
        for leftover in disk.names(directory).compactMap(Leftover.init(name:)) {
            let path = "\(directory)/\(leftover.name)"
            if leftover.isOldCheckpoint, disk.mode(self.path(ofStep: leftover.step)) == nil {
                // The writer was killed between putting the old one aside and the new one in its place.
                try disk.rename(path, to: self.path(ofStep: leftover.step))
            } else {
                try disk.remove(path)
            }
        }
    }

    // MARK: Questions

    package func path(ofStep step: Int) -> String { "\(directory)/checkpoint-\(step)" }

    /// The complete checkpoints by step, judged by their marks and the sizes of their files.
    package func checkpoints() -> [Checkpoint] {
        var found: [Checkpoint] = []
        for name in disk.names(directory) {
            guard let step = Self.step(ofName: name), disk.isDirectory("\(directory)/\(name)") else {
                continue
            }
            do {
                let checkpoint = try examine("\(directory)/\(name)", disk: disk, readingContents: false)
                guard checkpoint.step == step else {
                    throw CheckpointFault("its mark is that of step \(checkpoint.step)")
                }
                found.append(checkpoint)
            } catch {
                report("\(directory)/\(name)", error)
            }
        }
        return found.sorted { $0.step < $1.step }
    }

    /// The complete checkpoint of the highest step whose files have the checksums of their mark; nil if there
    /// is none.
    package func latestComplete() -> Checkpoint? {
        for checkpoint in checkpoints().reversed() {
            do {
                return try examine(checkpoint.path, disk: disk, readingContents: true)
            } catch {
                report(checkpoint.path, error)
            }
        }
        return nil
    }

    /// The checkpoint with the best metric, the earliest of equal ones; nil where none has a metric.
    package func best() -> Checkpoint? { best(of: checkpoints()) }

    /// The best once a checkpoint with this metric is saved: what its own `trainer_state.json` must say.
    package func best(afterSavingStep step: Int, metric: Double?) -> Checkpoint? {
        let others = checkpoints().filter { $0.step != step }
        let new = Checkpoint(step: step, path: path(ofStep: step), metric: metric)
        return best(of: (others + [new]).sorted { $0.step < $1.step })
    }

    private func best(of checkpoints: [Checkpoint]) -> Checkpoint? {
        var best: (checkpoint: Checkpoint, metric: Double)?
        for checkpoint in checkpoints {
            guard let metric = checkpoint.metric, !metric.isNaN else { continue }
            if let known = best?.metric, policy.greaterIsBetter ? metric <= known : metric >= known {
                continue
            }
            best = (checkpoint, metric)
        }
        return best?.checkpoint
    }

    /// Examines a directory that the user named, contents included.
    /// - Throws: `TrainingError` that says what is wrong with it.
    package static func checkpoint(at path: String) throws(TrainingError) -> Checkpoint {
        do {
            return try examine(path, disk: CheckpointDisk(), readingContents: true)
        } catch {
            throw TrainingError(
                .failed, "\(path) is no complete checkpoint: \(error)",
                remedy: "give another checkpoint, or none to begin anew")
        }
    }

    /// The state in a checkpoint.
    package static func loadState(of checkpoint: Checkpoint) throws(TrainingError) -> TrainerState {
        try TrainerState(readingFrom: "\(checkpoint.path)/\(TrainerState.fileName)")
    }

    private static func step(ofName name: String) -> Int? {
        guard name.hasPrefix("checkpoint-"), let step = Int(name.dropFirst("checkpoint-".count)),
            step >= 0, name == "checkpoint-\(step)"
        else { return nil }
        return step
    }

    private func report(_ path: String, _ fault: any Error) {
        tell("\(path) is not used: \(fault); delete it if you do not need it")
    }

    func tell(_ sentence: String) {
        if warned.insert(sentence).inserted { warn(sentence) }
    }
}

/// Reads a checkpoint's mark and compares its files with it.
private func examine(_ path: String, disk: CheckpointDisk, readingContents: Bool) throws(CheckpointFault)
    -> Checkpoint
{
    let mark = try CheckpointMark(readingFrom: path)
    for file in mark.files {
        guard let byteCount = disk.byteCount("\(path)/\(file.path)") else {
            throw CheckpointFault("its file \(file.path) is missing")
        }
        guard byteCount == file.byteCount else {
            throw CheckpointFault(
                "its file \(file.path) has \(byteCount) bytes in place of \(file.byteCount)")
        }
        if readingContents {
            guard let contents = try? disk.contents("\(path)/\(file.path)") else {
                throw CheckpointFault("its file \(file.path) cannot be read")
            }
            guard contents == (file.byteCount, file.crc) else {
                throw CheckpointFault("its file \(file.path) is damaged: its checksum is another one")
            }
        }
    }
    return Checkpoint(step: mark.step, path: path, metric: mark.metric)
}

/// What a killed writer may leave in the output directory.
private struct Leftover {
    let name: String
    let step: Int
    /// A whole checkpoint, put aside while another took its place.
    let isOldCheckpoint: Bool

    init?(name: String) {
        let words = name.split(separator: ".", omittingEmptySubsequences: false)
        guard words.count == 4, words[0].isEmpty, UInt64(words[2], radix: 16) != nil else { return nil }
        self.name = name
        isOldCheckpoint = words[3] == "old"
        if words[1].hasPrefix("checkpoint-"), let step = Int(words[1].dropFirst("checkpoint-".count)),
            isOldCheckpoint || words[3] == "tmp"
        {
            self.step = step
        } else if (words[1] == "best" || words[1] == "last"), words[3] == "tmp" {
            step = -1
        } else {
            return nil
        }
    }
}
