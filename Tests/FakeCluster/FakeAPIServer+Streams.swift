// Watches and logs: answers that go on for as long as there is something to tell.

import Artifacts
import Dispatch
import Glibc
import Kubernetes
import Text
import WorkflowLanguage

extension FakeAPIServer {
    /// So often a quiet watch looks whether anybody still listens.
    private static let look = DispatchTimeInterval.milliseconds(100)
    /// So many looks without an event are followed by a bookmark.
    private static let quietLooks = 10

    private struct Stream {
        var version: Int
        let labels: LabelTerms
        let fields: FieldTerms
        var noise: WatchNoise?
        /// Events until the watch is cut.
        var left: Int
        let wantsBookmarks: Bool
    }

    func watch(
        _ place: ObjectPlace, _ request: Request, _ connection: LineConnection, fault: Fault?
    ) throws(Refusal) {
        let given = request.query["resourceVersion"] ?? ""
        var stream = Stream(
            version: Int(given) ?? 0, labels: try LabelTerms(checking: request.query["labelSelector"] ?? ""),
            fields: try FieldTerms(request.query["fieldSelector"] ?? "", for: place.resource), noise: nil,
            left: Int.max, wantsBookmarks: request.query["allowWatchBookmarks"] == "true")
        switch fault {
        case .cutWatch(let count)?: stream.left = count
        case .noisyWatch(let noise, let count)?:
            stream.noise = noise
            stream.left = count ?? Int.max
        default: break
        }
        // Without a version, or with 0, what is there comes first.
        var first: [WatchNoise.Event] = []
        if stream.version == 0 {
            let (items, version) = objects.list(place, labels: stream.labels, fields: stream.fields)
            first = items.map { ("ADDED", $0) }
            stream.version = version
        }
        _ = try objects.changes(of: place, after: stream.version, labels: stream.labels)
        guard connection.beginStream() else { return }
        let seconds = Double(request.query["timeoutSeconds"] ?? "") ?? 300
        let end = ContinuousClock.now + .seconds(seconds)
        let wakes = DispatchSemaphore(value: 0)
        let number = objects.addListener { wakes.signal() }
        defer { objects.removeListener(number) }
        guard send(first, &stream, connection) else { return }
        follow(place, &stream, connection, until: end, wakes)
    }

    private func follow(
        _ place: ObjectPlace, _ stream: inout Stream, _ connection: LineConnection,
        until end: ContinuousClock.Instant, _ wakes: DispatchSemaphore
    ) {
        var quiet = 0
        while ContinuousClock.now < end {
            let found: (events: [WatchNoise.Event], version: Int)
            do throws(Refusal) {
                found = try objects.changes(
                    of: place, after: stream.version, labels: stream.labels, fields: stream.fields)
            } catch {
                _ = connection.sendLine(["type": "ERROR", "object": error.json])
                break
            }
            stream.version = found.version
            guard send(found.events, &stream, connection) else { return }
            quiet = found.events.isEmpty ? quiet + 1 : 0
            if quiet % Self.quietLooks == Self.quietLooks - 1, stream.wantsBookmarks {
                guard connection.sendLine(bookmark(place, stream.version)) else { return }
            }
            if connection.isGone { return }
            if wakes.wait(timeout: .now() + Self.look) == .success {
                // Many changes wake it once.
                while wakes.wait(timeout: .now()) == .success {}
            }
        }
        for event in stream.noise?.flush() ?? [] { _ = connection.sendLine(Self.line(event)) }
        connection.endStream()
    }

    /// - Returns: whether the watch goes on.
    private func send(
        _ events: [WatchNoise.Event], _ stream: inout Stream, _ connection: LineConnection
    ) -> Bool {
        let out = stream.noise?.pass(events) ?? events
        for (index, event) in out.enumerated() {
            if stream.left <= 0 {
                // The rest is lost with the connection. What was overtaken must not be: its place is behind the
                // client already, who would never ask for it again.
                guard stream.noise != nil else { return false }
                for late in out[index...] + (stream.noise?.flush() ?? []) {
                    _ = connection.sendLine(Self.line(late))
                }
                return false
            }
            stream.left -= 1
            guard connection.sendLine(Self.line(event)) else { return false }
        }
        return true
    }

    private static func line(_ event: WatchNoise.Event) -> JSONValue {
        ["type": .string(event.kind), "object": event.object]
    }

    private func bookmark(_ place: ObjectPlace, _ version: Int) -> JSONValue {
        let object: JSONValue = ["metadata": ["resourceVersion": .string(String(version))]]
        return ["type": "BOOKMARK", "object": object]
    }

    /// The log of a container from `sinceTime` on, which the API takes by whole seconds; with `follow`, until the
    /// container has ended.
    func sendLog(
        _ place: ObjectPlace, _ request: Request, _ connection: LineConnection
    ) throws(Refusal) {
        let pod = place.withoutSubresource
        let uid = try objects.get(pod).uid
        let container = request.query["container"] ?? "main"
        guard let path = logFile(uid: uid, container: container) else {
            if let port = logPort(of: pod) {
                return try passLog(of: pod, container, request, port, connection)
            }
            throw Refusal(400, "BadRequest", "the container is waiting to start")
        }
        guard connection.beginStream() else { return }
        var file = NodeLog(path: path, since: request.query["sinceTime"].flatMap { Timestamp(rfc3339: $0) })
        let wakes = DispatchSemaphore(value: 0)
        let number = objects.addListener { wakes.signal() }
        defer { objects.removeListener(number) }
        while true {
            // Asked before the file is read: what is written until the end is in it.
            let isOver = request.query["follow"] != "true" || !isAtWork(container, in: pod, uid: uid)
            guard connection.sendPiece(file.next()) else { return }
            if isOver || connection.isGone { break }
            if wakes.wait(timeout: .now() + Self.look) == .success {
                while wakes.wait(timeout: .now()) == .success {}
            }
        }
        connection.endStream()
    }

    /// The door of the pod's node, where it has told of one.
    private func logPort(of pod: ObjectPlace) -> Int? {
        guard let name = try? objects.get(pod)["spec"]?["nodeName"]?.stringValue else { return nil }
        let node = try? objects.get(ObjectPlace(resource: "nodes", namespace: "", name: name))
        return node?["status"]?["daemonEndpoints"]?["kubeletEndpoint"]?["Port"]?.intValue
    }

    /// Asks the node, and passes on what it says for as long as it goes on.
    private func passLog(
        of pod: ObjectPlace, _ container: String, _ request: Request, _ port: Int,
        _ connection: LineConnection
    ) throws(Refusal) {
        let words = request.query.filter { ["follow", "sinceTime", "timestamps"].contains($0.key) }
            .map { "\($0.key)=\($0.value)" }.sorted().joined(separator: "&")
        var exchange = HTTPExchange(
            url: "https://127.0.0.1:\(port)/containerLogs/\(pod.namespace)/\(pod.name)/\(container)?\(words)")
        // As the API does that was given no authority of its nodes.
        exchange.acceptsAnyCertificate = true
        exchange.stallSeconds = 600
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0, connection.beginStream() else { return }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let (asked, output) = (exchange, ends[1])
        FakeThread.start {
            _ = try? asked.perform(output: output)
            close(output)
        }
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        // Read to its end also when nobody listens any more: the other side writes into this.
        var isWanted = true
        while case let length = read(ends[0], &chunk, chunk.count), length > 0 {
            if isWanted { isWanted = connection.sendPiece(Array(chunk[..<length])) }
        }
        close(ends[0])
        connection.endStream()
    }

    private func isAtWork(_ container: String, in place: ObjectPlace, uid: String) -> Bool {
        guard let pod = try? objects.get(place), pod.uid == uid else { return false }
        let lists = ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"]
        return lists.contains { list in
            (pod["status"]?[list]?.arrayValue ?? []).contains {
                $0["name"]?.stringValue == container && $0["state"]?["running"] != nil
            }
        }
    }
}
