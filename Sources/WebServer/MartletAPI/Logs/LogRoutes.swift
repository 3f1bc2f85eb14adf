// Logs by line: any part of a log of any size, a search in it, the whole as a file, and all logs of a run as one.

import Executors
import Glibc
import Persistence
import Scheduling
import Text

extension MartletRoutes {
    /// Lines that one answer holds.
    static let lineLimit = 2_000

    var logRoutes: [ServiceRoute] {
        let path = "/runs/{uid}/nodes/{node}/log"
        return [
            route("GET", path, "MartletAPI_GetLog", .run(.viewer), summary: "How long a node's log is.") {
                try await getLog($0)
            },
            route(
                "GET", path + "/lines", "MartletAPI_GetLogLines", .run(.viewer),
                summary: "Lines of a node's log by their numbers."
            ) { try await getLines($0) },
            route(
                "GET", path + "/search", "MartletAPI_SearchLog", .run(.viewer),
                summary: "The numbers of the lines that hold a text or match a regular expression."
            ) { try await searchLog($0) },
            route(
                "GET", path + "/raw", "MartletAPI_DownloadLog", .run(.viewer),
                summary: "A node's log as a file of text."
            ) { try await downloadLog($0) },
            route(
                "GET", "/runs/{uid}/log", "MartletAPI_GetRunLog", .run(.viewer),
                summary: "The lines of all nodes of a run in the order in which they were written."
            ) { try await getRunLog($0) },
        ]
    }

    /// The log that a request is about; nil where nothing was written, which is no error.
    private func log(_ reader: APIReader) async throws -> (node: Node, log: NodeLog) {
        let uid = try await summary(reader).uid
        let node = try await storedNode(reader)
        guard var log = NodeLog(node, workflowUID: uid) else {
            throw ServiceError.notFound("node \(node.displayName) of type \(node.type.rawValue) has no log")
        }
        if let container = try reader.text("container") { log.container = container }
        return (node, log)
    }

    private func snapshot(_ reader: APIReader) async throws -> LogSnapshot? {
        let log = try await log(reader).log
        let attempt = try reader.integer("attempt")
        let found = try await logs.snapshot(log, attempt: attempt)
        if found == nil, let attempt {
            throw ServiceError.notFound("there is no attempt \(attempt) with a log")
        }
        return found
    }

    private func getLog(_ reader: APIReader) async throws -> HTTPReply {
        let snapshot = try await snapshot(reader)
        return .json(.object(Self.members(snapshot)))
    }

    static func members(_ snapshot: LogSnapshot?) -> [String: JSONValue] {
        [
            "attempt": .integer(snapshot?.attempt.number), "lines": .int(snapshot?.lines ?? 0),
            "bytes": .int(snapshot?.index.bytes ?? 0), "complete": .bool(snapshot?.isComplete ?? false),
        ]
    }

    private func getLines(_ reader: APIReader) async throws -> HTTPReply {
        let asked = try reader.integer("from", or: 0)
        let count = try reader.integer("count", or: 500)
        guard let snapshot = try await snapshot(reader) else {
            return .json(["from": 0, "lines": .array([]), "total": 0])
        }
        let from = asked < 0 ? max(0, snapshot.lines + asked) : asked
        let lines = try await onThread {
            snapshot.index.read(from: from, count: count, complete: snapshot.isComplete)
        }
        return .json(
            .object([
                "from": .int(from), "lines": .array(lines.map(LogLineJSON.json)),
                "total": .int(snapshot.lines),
            ]))
    }

    // MARK: Search

    /// Lines that are searched between two looks at whether the client is still there.
    private static let linesPerSlice = 200_000
    /// Longer searches say where they stopped.
    private static let searchTime = Duration.seconds(20)

    private func searchLog(_ reader: APIReader) async throws -> HTTPReply {
        let text = try reader.text("q") ?? ""
        let pattern: LogPattern
        do {
            pattern = try LogPattern(
                text, isExpression: reader.flag("regex"), isCaseSensitive: reader.flag("case"))
        } catch let error as RegularExpressionError {
            throw ServiceError.invalid("`q`: \(error.description)")
        }
        let first = try reader.integer("from", or: 0)
        let limit = try reader.integer("limit", or: 1_000)
        var found = LogMatches()
        if let snapshot = try await snapshot(reader) {
            found = try await reader.request.call.connection.whileConnected {
                try await search(LogSearch(pattern), snapshot.index, first, limit)
            }
        }
        return .json(
            .object([
                "total": .int(found.total), "capped": .bool(found.stoppedAt != nil),
                "matches": .array(found.lines.map(JSONValue.int)), "stoppedAt": .integer(found.stoppedAt),
            ]))
    }

    /// Searches a part after the other, so that no thread is kept and nobody waits for a search that is not wanted.
    private func search(_ search: LogSearch, _ index: LogIndex, _ first: Int, _ limit: Int) async throws
        -> LogMatches
    {
        let began = context.surroundings.now()
        var found = LogMatches()
        var next = first
        while next < index.lines {
            let (from, wanted) = (next, limit - found.lines.count)
            let end = min(index.lines, from + Self.linesPerSlice)
            let part = try await onThread { search.matches(in: index, from: from, upTo: end, limit: wanted) }
            found.total = min(LogSearch.countLimit, found.total + part.total)
            found.lines += part.lines
            next = part.stoppedAt ?? end
            let isLong = context.surroundings.now() - began > Self.searchTime
            if found.total >= LogSearch.countLimit || (isLong && next < index.lines) {
                found.stoppedAt = next
                return found
            }
            try Task.checkCancellation()
        }
        return found
    }

    // MARK: Download

    private func downloadLog(_ reader: APIReader) async throws -> HTTPReply {
        let node = try await log(reader).node
        let snapshot = try await snapshot(reader)
        let name = "\(node.displayName)-\(snapshot?.attempt.number ?? 0).log"
        let headers: [(name: String, value: String)] = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Disposition", "attachment; filename*=UTF-8''\(PercentEncoding.encoded(name))"),
        ]
        guard let snapshot else { return HTTPReply(headers: headers) }
        return HTTPReply(
            headers: headers,
            body: .stream { sink in
                var next = 0
                while next < snapshot.lines {
                    let from = next
                    let lines = try await onThread {
                        snapshot.index.read(from: from, count: Self.lineLimit, complete: snapshot.isComplete)
                    }
                    guard let last = lines.last else { return }
                    var bytes: [UInt8] = []
                    for line in lines { bytes += Array(line.line.text.utf8) + [0x0A] }
                    try await sink.write(bytes)
                    next = last.number + 1
                }
            })
    }

    // MARK: All nodes

    private func getRunLog(_ reader: APIReader) async throws -> HTTPReply {
        let view = try await view(reader)
        let count = try reader.integer("count", or: 500)
        let pods = view.nodes.filter { $0.type == .pod && $0.startedAt != nil }
        let (uid, now) = (view.summary.uid, context.now())
        let page: RunLogPage
        if let text = try reader.text("to") {
            let cursor = try text == "end" ? nil : Self.cursor(text, of: "to")
            page = try await RunLogPage.readBack(
                pods, uid: uid, before: cursor, count: count, logs, now: now)
        } else {
            let cursor = try reader.text("from").map { try Self.cursor($0, of: "from") }
            page = try await RunLogPage.read(pods, uid: uid, after: cursor, count: count, logs, now: now)
        }
        let lines = page.lines.map { line in
            JSONValue.object(LogLineJSON.members(line.line).merging(["node": .string(line.node)]) { $1 })
        }
        return .json(
            .object([
                "lines": .array(lines), "next": .text(page.next?.text), "first": .text(page.first?.text),
            ]))
    }

    private static func cursor(_ text: String, of name: String) throws -> RunLogCursor {
        if let cursor = RunLogCursor(text) { return cursor }
        throw ServiceError.invalid("`\(name)` is no cursor; take `next` or `first` of an answer before")
    }
}

enum LogLineJSON {
    static func members(_ line: IndexedLine) -> [String: JSONValue] {
        var members: [String: JSONValue] = [
            "n": .int(line.number), "t": .string(line.line.time), "c": .string(line.line.container),
            "e": .bool(line.line.isError), "s": .string(line.line.text),
        ]
        if line.isCut { members["cut"] = true }
        return members
    }

    static func json(_ line: IndexedLine) -> JSONValue { .object(members(line)) }
}
