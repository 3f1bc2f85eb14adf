// The logs of a server's run as `martlet logs` prints them: streamed, and taken up again after a broken connection
// without losing or repeating a line.

import Artifacts
import Controller
import Executors
import Synchronization
import Text

/// One look at the logs of a run.
struct ServerLogs: Sendable {
    /// So many connections in a row may bring nothing new before it is given up.
    private static let attemptLimit = 5
    private static let attemptPause = Duration.seconds(1)

    let connection: ServerConnection
    let run: RunReference
    var follows = false
    var container: String?
    var tail: Int?
    /// The regular expression as it was written; the server looks for it.
    var grep: String?
    /// Only these pods' lines; nil for all.
    var pods: Set<String>?
    let printer: LogPrinter

    init(connection: ServerConnection, run: RunReference, printer: LogPrinter) {
        self.connection = connection
        self.run = run
        self.printer = printer
    }

    /// How far the lines of each pod were printed. A connection that is taken up again brings a pod's log from its
    /// beginning, so that lines are counted: times tell nothing, because what a step writes at once has one time.
    private final class Progress: Sendable {
        private struct Place {
            var printed = 0
            /// Lines of this connection.
            var met = 0
            /// The newest time, with how many of its lines were printed and were met over this connection: a first
            /// connection that had only the last lines leaves no other way.
            var time = ""
            var printedAtTime = 0
            var metAtTime = 0
        }

        private let isCounted: Bool
        private let state = Mutex((places: [String: Place](), connections: 0, isNew: false))

        /// - Parameter isCounted: whether all connections bring the same lines.
        init(isCounted: Bool) { self.isCounted = isCounted }

        /// A connection begins.
        /// - Returns: whether it is the first that brings anything.
        func begin() -> Bool {
            state.withLock { state in
                if !state.places.isEmpty { state.connections += 1 }
                for pod in state.places.keys {
                    state.places[pod]?.met = 0
                    state.places[pod]?.metAtTime = 0
                }
                return state.places.isEmpty
            }
        }

        /// Whether the line was not printed over an earlier connection.
        func take(_ time: String, of pod: String) -> Bool {
            state.withLock { state in
                var place = state.places[pod] ?? Place()
                defer { state.places[pod] = place }
                place.met += 1
                if isCounted || state.connections == 0 {
                    if place.met <= place.printed { return false }
                } else if time < place.time {
                    return false
                } else if time == place.time {
                    place.metAtTime += 1
                    if place.metAtTime <= place.printedAtTime { return false }
                }
                place.printed += 1
                if time != place.time { (place.time, place.printedAtTime, place.metAtTime) = (time, 0, 1) }
                place.printedAtTime += 1
                state.isNew = true
                return true
            }
        }

        /// Whether a line came since the last call.
        func takeNew() -> Bool {
            state.withLock { state in
                defer { state.isNew = false }
                return state.isNew
            }
        }
    }

    /// Prints until the log ends; with `follows`, until the run does.
    func show() async throws {
        let progress = Progress(isCounted: tail == nil)
        var failures = 0
        while true {
            do {
                let logs = self
                return try await SystemThread.run { try logs.read(progress) }
            } catch let error as CommandError where follows {
                failures = progress.takeNew() ? 1 : failures + 1
                guard failures < Self.attemptLimit else { throw error }
                Output.note("the connection broke; asking again")
                try await Task.sleep(for: Self.attemptPause)
            }
        }
    }

    /// Prints what one connection brings. Blocks until it ends.
    private func read(_ progress: Progress) throws {
        let isFirst = progress.begin()
        var query = [("logOptions.follow", follows ? "true" : "false"), ("logOptions.timestamps", "true")]
        if let container { query.append(("logOptions.container", container)) }
        if let tail, isFirst { query.append(("logOptions.tailLines", "\(tail)")) }
        if let earliest = printer.earliest { query.append(("logOptions.sinceTime", earliest)) }
        if let grep { query.append(("grep", grep)) }
        if let pods, pods.count == 1, let pod = pods.first { query.append(("podName", pod)) }
        var failure: OperationError?
        try connection.lines(
            ["api", "v1", "workflows", run.namespace, run.name, "log"], query, accept: "text/event-stream"
        ) { line in
            guard line.hasPrefix("data:"),
                let message = try? JSONValue(parsingUTF8: Array(line.utf8.dropFirst("data:".utf8.count)))
            else { return true }
            if let problem = message["error"]?["message"]?.stringValue {
                failure = OperationError(.unavailable, problem)
                return false
            }
            if let result = message["result"] { print(result, progress) }
            return true
        }
        if let failure { throw failure }
    }

    private func print(_ result: JSONValue, _ progress: Progress) {
        guard let pod = result["podName"]?.stringValue, let content = result["content"]?.stringValue else {
            return
        }
        if let pods, !pods.contains(pod) { return }
        let time = content.prefix { $0 != " " }
        guard progress.take(String(time), of: pod) else { return }
        let text = String(content.dropFirst(time.count + 1))
        printer.print(LogLine(time: String(time), container: "", isError: false, text: text), pod: pod)
    }
}
