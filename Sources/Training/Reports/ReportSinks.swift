// Where the reports of a run go: closures, so that a test sees every byte, and the files that they usually
// are.

import Glibc
import Tensors
import Text

/// The places that reports are written to. A place that is nil is left out.
package struct ReportSinks {
    /// Takes a line of `logging.jsonl`, without its newline.
    package var log: ((String) throws -> Void)?
    /// Takes a line of `$MARTLET_METRICS_FILE`.
    package var metrics: ((String) throws -> Void)?
    /// Takes a line of the file of `--log_json`.
    package var steps: ((String) throws -> Void)?
    /// Takes the whole content of `$ARGO_PROGRESS_FILE`: "N/M".
    package var progress: ((String) throws -> Void)?
    /// Takes a record of TensorBoard's event file.
    package var events: (([UInt8]) throws -> Void)?
    /// Brings all to disk.
    package var sync: () -> Void = {}

    package init() {}
}

/// Real and steady time. Only the first says what day it is, only the second never goes back.
package struct ReportClock {
    /// Seconds since 1970.
    package var wallSeconds: () -> Double
    /// Seconds since some moment.
    package var steadySeconds: () -> Double

    package init(wallSeconds: @escaping () -> Double, steadySeconds: @escaping () -> Double) {
        self.wallSeconds = wallSeconds
        self.steadySeconds = steadySeconds
    }

    package static var system: ReportClock {
        ReportClock(wallSeconds: { now(CLOCK_REALTIME) }, steadySeconds: { now(CLOCK_MONOTONIC) })
    }

    private static func now(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

/// The paths of a run's reports.
package struct ReportPlaces: Sendable, Hashable {
    /// `<output_dir>/logging.jsonl`.
    package var log: String?
    /// `$MARTLET_METRICS_FILE`.
    package var metrics: String?
    /// `$ARGO_PROGRESS_FILE`.
    package var progress: String?
    /// `<output_dir>/runs`.
    package var eventDirectory: String?
    /// `--log_json`.
    package var steps: String?

    package init() {}

    /// The places that the parameters and the environment ask for.
    package init(_ parameters: TrainingParameters, environment: (String) -> String?) {
        if let outputDir = parameters.outputDir {
            log = "\(outputDir)/logging.jsonl"
            if parameters.reportTo.contains(where: { $0 == "tensorboard" || $0 == "all" }) {
                eventDirectory = "\(outputDir)/runs"
            }
        }
        metrics = environment("MARTLET_METRICS_FILE").flatMap { $0.isEmpty ? nil : $0 }
        progress = environment("ARGO_PROGRESS_FILE").flatMap { $0.isEmpty ? nil : $0 }
        steps = parameters.logJSON
    }

    /// Opens the files and makes them fit what is resumed: a line that a killed run tore is repaired, lines
    /// beyond the resumed step go. A run that begins anew begins its files anew; the `logging.jsonl` of an
    /// earlier one is kept beside as `logging.jsonl.old`.
    /// - Parameter resumedStep: updates done in the checkpoint; nil for a run that begins.
    /// - Throws: `TrainingError` for a place that cannot be written to.
    package func open(resumedStep: Int?, clock: ReportClock, hostName: String? = nil) throws(TrainingError)
        -> ReportSinks
    {
        do {
            var sinks = ReportSinks()
            var files: [AppendedFile] = []
            if let log {
                try LogFile.prepare(log, resumedStep: resumedStep)
                let file = try AppendedFile(path: log)
                sinks.log = { try file.append(line: $0) }
                files.append(file)
            }
            if let steps {
                try LogFile.prepareSteps(steps, resumedStep: resumedStep)
                let file = try AppendedFile(path: steps)
                sinks.steps = { try file.append(line: $0) }
                files.append(file)
            }
            if let metrics {
                // Whoever reads it keeps an offset in it, so that nothing in it may change.
                let file = try AppendedFile(path: metrics)
                try file.endTornLine()
                sinks.metrics = { try file.append(line: $0) }
            }
            if let progress { sinks.progress = { try Self.replace(progress, $0) } }
            if let eventDirectory {
                let file = try Self.eventFile(
                    in: eventDirectory, resumedStep: resumedStep, wallSeconds: clock.wallSeconds(),
                    hostName: hostName ?? Self.ownHostName)
                sinks.events = { try file.append($0) }
                files.append(file)
            }
            sinks.sync = { for file in files { file.sync() } }
            return sinks
        } catch let error as FileError {
            throw TrainingError(
                .failed, "cannot write the run's reports: \(error.path): \(error.problem)",
                remedy: error.remedy)
        } catch {
            throw TrainingError(
                .failed, "cannot write the run's reports: \(error)", remedy: "check the paths")
        }
    }

    /// In place: the file may be a mount of its own, which a rename would not reach.
    private static func replace(_ path: String, _ text: String) throws {
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileError(errno: errno, path: path, while: "open") }
        defer { close(descriptor) }
        let bytes = Array("\(text)\n".utf8)
        // One write, then the cut: a reader in between sees a line and perhaps the rest of a longer one.
        guard pwrite(descriptor, bytes, bytes.count, 0) == bytes.count else {
            throw FileError(errno: errno, path: path, while: "write")
        }
        _ = ftruncate(descriptor, off_t(bytes.count))
    }

    private static func eventFile(
        in directory: String, resumedStep: Int?, wallSeconds: Double, hostName: String
    ) throws -> AppendedFile {
        try CheckpointDisk().makeDirectories(directory)
        // Readers take files in the order of their names, which begin with the second.
        let path = "\(directory)/events.out.tfevents.\(Int(wallSeconds)).\(hostName)"
        var number = 0
        while true {
            let candidate = number == 0 ? path : "\(path).\(number)"
            if SmallFile.exists(candidate), number < 1_000 {
                number += 1
                continue
            }
            let file = try AppendedFile(path: candidate, isNew: true)
            try file.append(EventRecord.fileVersion(wallSeconds: wallSeconds))
            if let resumedStep {
                try file.append(
                    EventRecord.sessionStart(step: resumedStep + 1, wallSeconds: wallSeconds))
            }
            return file
        }
    }

    private static var ownHostName: String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
        let bytes = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return bytes.isEmpty ? "localhost" : String(decoding: bytes, as: UTF8.self)
    }
}
