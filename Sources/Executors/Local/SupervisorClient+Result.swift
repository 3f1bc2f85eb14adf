// Reads D/result and the end of main's output, as the supervisor leaves them.

package import Text

/// How an attempt went. The supervisor writes it when every process of the step is gone.
package struct AttemptResult: Sendable, Equatable {
    package enum Reason: String, Sendable {
        case exited, signaled, deadline, cancelled, startFailed
        /// Of a container only: it was never its turn.
        case notStarted
    }

    /// One container's share; `reason` is never `deadline` or `cancelled` here.
    package struct Container: Sendable, Equatable {
        package var name = ""
        package var reason = Reason.notStarted
        package var message = ""
        /// As a shell shows it: 128 plus the number of the signal that ended it.
        package var exitCode: Int32 = 0
        package var signal: Int32 = 0
        /// Of the last try, when there were retries.
        package var startedAt = Timestamp(nanoseconds: 0)
        package var finishedAt = Timestamp(nanoseconds: 0)
        package var userTime = Duration.zero
        package var systemTime = Duration.zero
        package var maxRSSBytes = 0
        package var retries = 0
    }

    package var reason: Reason
    /// What could not be started, or which container failed; empty otherwise.
    package var message: String
    /// The record that decided: main's, or that of the first container that failed.
    package var deciding: Container
    package var containers: [Container]
    /// Nil when nobody counted, which takes a cgroup of the step's own.
    package var oomKilled: Bool?
    /// Bytes of output that are not in the log for its limit or a full disk.
    package var logLostBytes: Int

    package var exitCode: Int32 { deciding.exitCode }
    package var signal: Int32 { deciding.signal }
    package var startedAt: Timestamp { deciding.startedAt }
    package var finishedAt: Timestamp { deciding.finishedAt }

    /// What the engine writes for an attempt it keeps from starting.
    static let cancelledText = "martlet-result 1\nreason cancelled\nexitCode 143\nsignal 15\nend\n"
}

extension SupervisorClient {
    /// Throws for a text that is cut off or of another format.
    package static func parseResult(_ bytes: [UInt8]) throws -> AttemptResult {
        let lines = String(decoding: bytes, as: UTF8.self).split(
            separator: "\n", omittingEmptySubsequences: false)
        guard lines.first == "martlet-result 1", lines.dropLast().last == "end" else {
            throw Failure(description: "the result file is cut off or of another version")
        }
        var result = AttemptResult(
            reason: .exited, message: "", deciding: .init(), containers: [], oomKilled: nil, logLostBytes: 0)
        for line in lines.dropFirst().dropLast(2) {
            let key = line.prefix { $0 != " " }
            let value = line.dropFirst(key.count + 1)
            if key == "container" {
                result.containers.append(.init())
                result.containers[result.containers.count - 1].name = String(value)
            } else if !result.containers.isEmpty {
                try read(key, value, into: &result.containers[result.containers.count - 1])
            } else if key == "oomKilled" {
                result.oomKilled = value == "1"
            } else if key == "logLostBytes" {
                result.logLostBytes = Int(try number(value))
            } else {
                try read(key, value, into: &result.deciding)
            }
        }
        result.reason = result.deciding.reason
        result.message = result.deciding.message
        return result
    }

    private static func number(_ text: Substring) throws -> Int64 {
        guard let number = Int64(text) else {
            throw Failure(description: "the result file has \"\(text)\" where a number belongs")
        }
        return number
    }

    private static func read(
        _ key: Substring, _ value: Substring, into record: inout AttemptResult.Container
    ) throws {
        switch key {
        case "reason":
            guard let reason = AttemptResult.Reason(rawValue: String(value)) else {
                throw Failure(description: "the result file gives the unknown reason \"\(value)\"")
            }
            record.reason = reason
        case "message": record.message = String(value)
        case "exitCode": record.exitCode = Int32(truncatingIfNeeded: try number(value))
        case "signal": record.signal = Int32(truncatingIfNeeded: try number(value))
        case "startedNanoseconds": record.startedAt = Timestamp(nanoseconds: try number(value))
        case "finishedNanoseconds": record.finishedAt = Timestamp(nanoseconds: try number(value))
        case "userMicroseconds": record.userTime = .microseconds(try number(value))
        case "systemMicroseconds": record.systemTime = .microseconds(try number(value))
        case "maxRSSKiB": record.maxRSSBytes = Int(try number(value)) * 1024
        case "retries": record.retries = Int(try number(value))
        default: break
        }
    }

    /// The last bytes of main's standard output, at most the spec's `outputLimitBytes`; empty without output.
    package static func outputTail(of attemptDirectory: String) -> [UInt8] {
        contents(of: attemptDirectory + "/stdout-tail") ?? []
    }
}
