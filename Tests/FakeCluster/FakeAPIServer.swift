// A cluster's API over HTTP: verbs, watches, rights by role, logs. Faults can be put in between.

import Artifacts
import Glibc
import Kubernetes
import Synchronization
package import Text
import WorkflowLanguage

package final class FakeAPIServer: Sendable {
    /// One request as it came.
    package struct Request: Sendable {
        package var method: String
        package var path: String
        package var query: [String: String]
        package var token: String
        package var body: [UInt8]

        package var place: ObjectPlace? { ObjectPlace(path: path) }

        /// The verb as roles name it.
        package var verb: String {
            switch method {
            case "GET": query["watch"] == "true" ? "watch" : place?.name.isEmpty == false ? "get" : "list"
            case "POST": "create"
            case "PUT": "update"
            case "PATCH": "patch"
            case "DELETE": place?.name.isEmpty == false ? "delete" : "deletecollection"
            default: method.lowercased()
            }
        }
    }

    /// What a fault layer does with a request.
    package enum Fault: Sendable {
        case refuse(Refusal, retryAfter: Int?)
        /// The request is carried out and the connection cut before the answer.
        case loseAnswer
        /// A watch ends after so many events.
        case cutWatch(afterEvents: Int)
    }

    package let objects: FakeObjects
    /// `VERB RESOURCE` that the restricted token has used, and what it may use; nil: anything.
    private let role: JSONValue?
    private let used = Mutex<[String: Int]>([:])
    private let fault: Mutex<@Sendable (Request) -> Fault?>
    private let logPath: Mutex<@Sendable (_ uid: String, _ container: String) -> String?>
    private let listener: LineListener

    /// - Parameter role: a Role whose rules bind the token `martlet`; other tokens may do anything.
    package init(role: JSONValue? = nil, now: @escaping @Sendable () -> Timestamp) throws {
        objects = FakeObjects(now: now)
        self.role = role
        fault = Mutex { _ in nil }
        logPath = Mutex { _, _ in nil }
        listener = try LineListener()
    }

    package var url: String { "http://127.0.0.1:\(listener.port)" }
    /// Requests by verb and resource.
    package var usedVerbs: [String: Int] { used.withLock { $0 } }

    package func setFaults(_ judge: @escaping @Sendable (Request) -> Fault?) {
        fault.withLock { $0 = judge }
    }

    /// Where a container's log lies, as its node knows.
    package func setLogs(_ find: @escaping @Sendable (_ uid: String, _ container: String) -> String?) {
        logPath.withLock { $0 = find }
    }

    package func start() { listener.start { [weak self] connection in self?.serve(connection) } }

    package func stop() { listener.stop() }

    // MARK: One connection

    private func serve(_ connection: LineConnection) {
        while let request = connection.nextRequest() {
            if !answer(request, connection) { return }
        }
    }

    /// - Returns: whether the connection goes on.
    private func answer(_ request: Request, _ connection: LineConnection) -> Bool {
        let judge = fault.withLock { $0 }
        let fault = judge(request)
        if case .refuse(let refusal, let seconds)? = fault {
            return connection.send(refusal.status, refusal.json, retryAfter: seconds)
        }
        do throws(Refusal) {
            guard let place = request.place else {
                throw Refusal(404, "NotFound", "no such path \(request.path)")
            }
            try authorize(request, place)
            if request.verb == "watch" {
                var limit = Int.max
                if case .cutWatch(let events)? = fault { limit = events }
                try watch(place, request, connection, limit: limit)
                return false
            }
            if place.subresource == "log" {
                try sendLog(place, request, connection)
                return false
            }
            let (status, object) = try carryOut(request, place)
            if case .loseAnswer? = fault { return false }
            return connection.send(status, object)
        } catch {
            return connection.send(error.status, error.json)
        }
    }

    private func authorize(_ request: Request, _ place: ObjectPlace) throws(Refusal) {
        let resource = place.subresource.isEmpty ? place.resource : "\(place.resource)/\(place.subresource)"
        guard request.token == "martlet" else { return }
        used.withLock { $0["\(request.verb) \(resource)", default: 0] += 1 }
        guard let role else { return }
        let isAllowed = Fields(role).list("rules").contains { rule in
            let rule = Fields(rule)
            return rule.strings("apiGroups").contains(place.group)
                && rule.strings("resources").contains(resource)
                && rule.strings("verbs").contains(request.verb)
        }
        guard isAllowed else {
            throw Refusal(
                403, "Forbidden",
                "\(resource) is forbidden: User \"system:serviceaccount:default:martlet\" cannot \(request.verb) "
                    + "resource \"\(resource)\" in API group \"\(place.group)\"")
        }
    }

    private func carryOut(_ request: Request, _ place: ObjectPlace) throws(Refusal) -> (Int, JSONValue) {
        switch request.verb {
        case "get": return (200, try objects.get(place))
        case "list": return (200, try list(place, request))
        case "create" where place.subresource == "binding":
            return (201, try bind(place, try body(of: request)))
        case "create": return (201, try objects.create(place, try body(of: request)))
        case "update":
            let wanted = try body(of: request)
            return (200, try objects.update(place) { _ in wanted })
        case "patch":
            let patch = try body(of: request)
            return (200, try objects.update(place) { StrategicMerge.apply(patch, to: $0) })
        case "delete":
            let options = request.body.isEmpty ? JSONValue.object([:]) : try body(of: request)
            try objects.delete(place, options: options)
            return (200, ["kind": "Status", "apiVersion": "v1", "status": "Success"])
        default: throw Refusal(405, "MethodNotAllowed", "the server does not allow \(request.method) here")
        }
    }

    private func body(of request: Request) throws(Refusal) -> JSONValue {
        guard let json = try? JSONValue(parsingUTF8: request.body), json.objectValue != nil else {
            throw Refusal(400, "BadRequest", "the body is no JSON object")
        }
        return json
    }

    private func bind(_ place: ObjectPlace, _ binding: JSONValue) throws(Refusal) -> JSONValue {
        let node = binding["target"]?["name"] ?? .null
        var target = place
        target.subresource = ""
        return try objects.update(target) { pod throws(Refusal) in
            guard pod["spec"]?["nodeName"] == nil else {
                throw Refusal(409, "Conflict", "pod \(place.name) is already assigned to a node")
            }
            return StrategicMerge.apply(["spec": ["nodeName": node]], to: pod)
        }
    }

    private func list(_ place: ObjectPlace, _ request: Request) throws(Refusal) -> JSONValue {
        let labels = LabelTerms(request.query["labelSelector"] ?? "")
        let (items, version) = objects.list(place, labels: labels)
        let start = Int(request.query["continue"] ?? "0") ?? 0
        let limit = Int(request.query["limit"] ?? "") ?? Int.max
        let page = items.dropFirst(start).prefix(limit)
        var metadata: [String: JSONValue] = ["resourceVersion": .string(String(version))]
        if start + page.count < items.count { metadata["continue"] = .string(String(start + page.count)) }
        return [
            "kind": "List", "apiVersion": "v1", "metadata": .object(metadata), "items": .array(Array(page)),
        ]
    }

    // MARK: Streams

    private func watch(
        _ place: ObjectPlace, _ request: Request, _ connection: LineConnection, limit: Int
    ) throws(Refusal) {
        let labels = LabelTerms(request.query["labelSelector"] ?? "")
        var version = Int(request.query["resourceVersion"] ?? "") ?? objects.version
        let seconds = Double(request.query["timeoutSeconds"] ?? "") ?? 300
        let end = ContinuousClock.now + .seconds(seconds)
        var sent = 0
        _ = try objects.changes(of: place, after: version, labels: labels)
        guard connection.beginStream() else { return }
        while ContinuousClock.now < end {
            let found: (events: [(kind: String, object: JSONValue)], version: Int)
            do throws(Refusal) {
                found = try objects.changes(of: place, after: version, labels: labels)
            } catch {
                _ = connection.sendLine(["type": "ERROR", "object": error.json])
                break
            }
            for event in found.events {
                if sent >= limit { return }
                sent += 1
                guard connection.sendLine(["type": .string(event.kind), "object": event.object]) else {
                    return
                }
            }
            if found.events.isEmpty && found.version > version && connection.isIdle {
                let bookmark: JSONValue = ["metadata": ["resourceVersion": .string(String(found.version))]]
                guard connection.sendLine(["type": "BOOKMARK", "object": bookmark]) else { return }
            }
            version = found.version
            if connection.isGone { return }
            usleep(10_000)
        }
        connection.endStream()
    }

    private func sendLog(
        _ place: ObjectPlace, _ request: Request, _ connection: LineConnection
    ) throws(Refusal) {
        var pod = place
        pod.subresource = ""
        let uid = try objects.get(pod)["metadata"]?["uid"]?.stringValue ?? ""
        let find = logPath.withLock { $0 }
        guard let path = find(uid, request.query["container"] ?? "main") else {
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
