// Watches and logs: answers that go on for as long as there is something to tell.

import Artifacts
import Dispatch
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
            version: Int(given) ?? 0, labels: LabelTerms(request.query["labelSelector"] ?? ""),
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

    func sendLog(
        _ place: ObjectPlace, _ request: Request, _ connection: LineConnection
    ) throws(Refusal) {
        let uid = try objects.get(place.withoutSubresource).uid
        guard let path = logFile(uid: uid, container: request.query["container"] ?? "main") else {
            throw Refusal(400, "BadRequest", "the container is waiting to start")
        }
        guard connection.beginStream() else { return }
        let bytes = (try? Disk.read(path, limitBytes: 1 << 30)) ?? []
        // The node's file has stream and mark behind the time, which the API leaves out.
        var text: [UInt8] = []
        for line in bytes.split(separator: 10, omittingEmptySubsequences: true) {
            let parts = line.split(separator: 32, maxSplits: 3, omittingEmptySubsequences: false)
            guard parts.count >= 3 else { continue }
            text += parts[0] + [32] + (parts.count > 3 ? parts[3] : []) + [10]
        }
        _ = connection.sendPiece(text)
        connection.endStream()
    }
}
