// Lists page by page, watches line by line, and logs as they are written.

import AsyncHTTPClient
import NIOCore
import NIOHTTP1
package import Text

/// What a watch tells.
package struct WatchEvent: Sendable, Hashable {
    package enum Kind: String, Sendable {
        case added = "ADDED"
        case modified = "MODIFIED"
        case deleted = "DELETED"
        case bookmark = "BOOKMARK"
        case error = "ERROR"
    }

    package var kind: Kind
    package var object: JSONValue

    var resourceVersion: String? { object["metadata"]?["resourceVersion"]?.stringValue }

    /// Nil for a line that is no event, or of a kind that is not known yet.
    init?(line: ArraySlice<UInt8>) {
        guard let json = try? JSONValue(parsingUTF8: Array(line)), let object = json["object"],
            let kind = json["type"]?.stringValue.flatMap(Kind.init)
        else { return nil }
        self.kind = kind
        self.object = object
    }
}

extension KubernetesClient {
    private static let pageSize = 250
    /// The API ends a watch by itself after so long; then the next begins where it stood.
    static let watchSeconds = 290
    /// An object may have 1.5 MiB, an event holds one.
    private static let lineLimitBytes = 16 << 20

    /// All objects of a list, and where a watch of it begins.
    package func list(
        _ path: String, labelSelector: String = "", fieldSelector: String = ""
    ) async throws -> (items: [JSONValue], resourceVersion: String) {
        var items: [JSONValue] = []
        let version = try await pages(path, labelSelector: labelSelector, fieldSelector: fieldSelector) {
            part, isFirst in
            items = isFirst ? part : items + part
        }
        return (items, version)
    }

    /// Hands out a list page by page, since thousands of objects at a time take much memory.
    /// - Parameter each: told of a page, and whether it is the first: where the rest of a list is too old, it
    ///   begins anew.
    /// - Returns: where a watch of the list begins.
    package func pages(
        _ path: String, labelSelector: String = "", fieldSelector: String = "",
        each: ([JSONValue], _ isFirst: Bool) async throws -> Void
    ) async throws -> String {
        var query: [(String, String)] = [("limit", String(Self.pageSize))]
        if !labelSelector.isEmpty { query.append(("labelSelector", labelSelector)) }
        if !fieldSelector.isEmpty { query.append(("fieldSelector", fieldSelector)) }
        var place = ""
        var restarts = 0
        while true {
            let page: JSONValue
            do {
                page = try await get(path, place.isEmpty ? query : query + [("continue", place)])
            } catch let error as KubernetesError where error.isExpired && !place.isEmpty && restarts < 3 {
                // The pages that are left are too old: from the beginning.
                (place, restarts) = ("", restarts + 1)
                continue
            }
            try await each(page["items"]?.arrayValue ?? [], place.isEmpty)
            place = page["metadata"]?["continue"]?.stringValue ?? ""
            if place.isEmpty { return page["metadata"]?["resourceVersion"]?.stringValue ?? "" }
        }
    }

    /// Hands out events until the API ends the watch, or is silent for longer than bookmarks take to come.
    /// - Throws: `KubernetesError`; `isExpired` when the version is too old.
    package func watch(
        _ path: String, labelSelector: String = "", from resourceVersion: String,
        each: (WatchEvent) async throws -> Void
    ) async throws {
        var query = [
            ("watch", "true"), ("allowWatchBookmarks", "true"), ("resourceVersion", resourceVersion),
            ("timeoutSeconds", String(Self.watchSeconds)),
        ]
        if !labelSelector.isEmpty { query.append(("labelSelector", labelSelector)) }
        let response = try await send(
            "GET", path, query, deadline: .now() + .seconds(Int64(Self.watchSeconds) + 30), by: watches)
        try await lines(of: response) { line in
            guard let event = WatchEvent(line: line) else { return }
            if event.kind == .error { throw Self.error(of: event.object) }
            try await each(event)
        }
    }

    private static func error(of status: JSONValue) -> KubernetesError {
        KubernetesError(
            status: status["code"]?.intValue ?? 500, reason: status["reason"]?.stringValue ?? "",
            message: status["message"]?.stringValue ?? "the watch failed")
    }

    /// The log of a container, line by line, each with its time in front.
    /// - Parameter follows: whether to wait for more until the container has ended.
    package func log(
        namespace: String, pod: String, container: String, follows: Bool, since: String? = nil,
        each: (ArraySlice<UInt8>) async throws -> Void
    ) async throws {
        var query = [("container", container), ("timestamps", "true")]
        if follows { query.append(("follow", "true")) }
        if let since { query.append(("sinceTime", since)) }
        let deadline: NIODeadline = follows ? .now() + .hours(24 * 7) : .now() + .minutes(10)
        let response = try await send(
            "GET", "/api/v1/namespaces/\(namespace)/pods/\(pod)/log", query, deadline: deadline)
        try await lines(of: response, each: each)
    }

    /// Takes a body apart into lines; a last one without end counts too.
    private func lines(
        of response: HTTPClientResponse, each: (ArraySlice<UInt8>) async throws -> Void
    ) async throws {
        var pending: [UInt8] = []
        var iterator = response.body.makeAsyncIterator()
        while let buffer = try await Self.unavailable({ try await iterator.next() }) {
            let scanned = pending.count
            pending.append(contentsOf: buffer.readableBytesView)
            var start = 0
            var searched = scanned
            while let end = pending[searched...].firstIndex(of: 10) {
                if end > start { try await each(pending[start..<end]) }
                start = end + 1
                searched = start
            }
            pending.removeFirst(start)
            guard pending.count <= Self.lineLimitBytes else {
                throw KubernetesError(status: 0, message: "a line of the answer is longer than 16 MiB")
            }
        }
        if !pending.isEmpty { try await each(pending[...]) }
    }
}
