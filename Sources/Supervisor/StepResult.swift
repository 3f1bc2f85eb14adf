// D/result: lines of a key and its value, the last one "end", so that a reader knows it is complete.

import CLinux
import Glibc

/// How one container went.
struct ContainerRecord {
    enum Ending: Equatable {
        case notStarted
        case exited(Int32)
        case signaled(Int32)
        case startFailed(String, code: Int32)
    }

    var name: String
    var ending = Ending.notStarted
    var startedNanoseconds: Int64 = 0
    var finishedNanoseconds: Int64 = 0
    var userMicroseconds: Int64 = 0
    var systemMicroseconds: Int64 = 0
    var maxRSSKiB: Int64 = 0
    var retries = 0

    init(name: String) { self.name = name }

    mutating func note(_ report: martlet_report) {
        startedNanoseconds = report.started_ns
        finishedNanoseconds = report.finished_ns
        userMicroseconds += report.user_us
        systemMicroseconds += report.system_us
        maxRSSKiB = max(maxRSSKiB, report.max_rss_kib)
        if Int32(bitPattern: MARTLET_START_FAILED.rawValue) == report.kind {
            ending = Self.startFailure(report)
        } else if report.status & 0x7f == 0 {
            ending = .exited((report.status >> 8) & 0xff)
        } else {
            ending = .signaled(report.status & 0x7f)
        }
    }

    /// The shell's codes: 127 for a command that is not there, 126 for one that cannot be run.
    private static func startFailure(_ report: martlet_report) -> Ending {
        let subject = text(of: report)
        switch report.error {
        case MARTLET_ERROR_NOT_FOUND: return .startFailed("\(subject): not found", code: 127)
        case MARTLET_ERROR_NO_INTERPRETER:
            return .startFailed("\(subject): the interpreter it names is not found", code: 127)
        default:
            let isMissing = report.error == ENOENT || report.error == ENOTDIR
            let reason = String(cString: strerror(report.error))
            return .startFailed("\(subject): \(reason)", code: isMissing ? 127 : 126)
        }
    }

    static func text(of report: martlet_report) -> String {
        withUnsafeBytes(of: report.text) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    /// The exit code as a shell would show it.
    var exitCode: Int32 {
        switch ending {
        case .notStarted: return 0
        case .exited(let code): return code
        case .signaled(let signal): return 128 + signal
        case .startFailed(_, let code): return code
        }
    }

    var signal: Int32 {
        if case .signaled(let signal) = ending { return signal }
        return 0
    }

    /// "exited", "signaled", "startFailed" or "notStarted".
    var reason: String {
        switch ending {
        case .notStarted: return "notStarted"
        case .exited: return "exited"
        case .signaled: return "signaled"
        case .startFailed: return "startFailed"
        }
    }

    var message: String {
        if case .startFailed(let text, _) = ending { return text }
        return ""
    }
}

struct StepResult {
    static let format = "martlet-result 1"

    var reason: String
    var message = ""
    /// What decided the step: main's record, or that of the first container that failed.
    var deciding: ContainerRecord
    var containers: [ContainerRecord] = []
    var oomKilled: Bool?
    var logLostBytes = 0

    init(reason: String, deciding: ContainerRecord) {
        self.reason = reason
        self.deciding = deciding
    }

    init(startFailure text: String, code: Int32) {
        var record = ContainerRecord(name: "main")
        record.ending = .startFailed(text, code: code)
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        record.startedNanoseconds = Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
        record.finishedNanoseconds = record.startedNanoseconds
        self.init(reason: "startFailed", deciding: record)
        message = text
    }

    var text: String {
        var lines = Self.format + "\nreason " + reason + "\n"
        if !message.isEmpty { lines += "message " + Self.oneLine(message) + "\n" }
        if let oomKilled { lines += oomKilled ? "oomKilled 1\n" : "oomKilled 0\n" }
        if logLostBytes > 0 { lines += "logLostBytes \(logLostBytes)\n" }
        Self.append(deciding, to: &lines)
        for container in containers {
            lines += "container " + Self.oneLine(container.name) + "\n"
            lines += "reason " + container.reason + "\n"
            if !container.message.isEmpty { lines += "message " + Self.oneLine(container.message) + "\n" }
            Self.append(container, to: &lines)
        }
        return lines + "end\n"
    }

    private static func append(_ record: ContainerRecord, to lines: inout String) {
        lines += "exitCode \(record.exitCode)\nsignal \(record.signal)\n"
        lines += "startedNanoseconds \(record.startedNanoseconds)\n"
        lines += "finishedNanoseconds \(record.finishedNanoseconds)\n"
        lines += "userMicroseconds \(record.userMicroseconds)\n"
        lines += "systemMicroseconds \(record.systemMicroseconds)\n"
        lines += "maxRSSKiB \(record.maxRSSKiB)\n"
        if record.retries > 0 { lines += "retries \(record.retries)\n" }
    }

    private static func oneLine(_ text: String) -> String {
        String(text.map { $0.isNewline ? " " : $0 })
    }
}
