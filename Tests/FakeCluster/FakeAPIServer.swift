// A cluster's API over HTTP: verbs, rights by role, patches, discovery. Faults can be put in between.

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
        package var contentType: String
        package var body: [UInt8]

        package var place: ObjectPlace? { ObjectPlace(path: path) }

        /// `v1`, `batch/v1`: the beginning of the path.
        var apiVersion: String {
            let parts = path.split(separator: "/").map(String.init)
            return parts.first == "api" ? parts[1] : parts.count > 2 ? "\(parts[1])/\(parts[2])" : ""
        }

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
        /// The request is carried out and answered as if it was not.
        case failAfterwards(Refusal)
        /// A watch ends after so many events.
        case cutWatch(afterEvents: Int)
        /// A watch whose events come twice, late or in another order, and which may be cut.
        case noisyWatch(WatchNoise, cutAfter: Int?)
    }

    package let objects: FakeObjects
    /// What the token `martlet` may do and has done; other tokens may do anything.
    private let rules: RoleRules
    private let fault: Mutex<@Sendable (Request) -> Fault?>
    private let logPath: Mutex<@Sendable (_ uid: String, _ container: String) -> String?>
    /// Kinds that are not installed yet.
    private let hidden = Mutex<Set<String>>([])
    private let listener: LineListener

    /// - Parameters:
    ///   - role: a Role whose rules bind the token `martlet`; other tokens may do anything.
    ///   - port: 0 takes a free one.
    package init(role: JSONValue? = nil, port: Int = 0, now: @escaping @Sendable () -> Timestamp) throws {
        objects = FakeObjects(now: now)
        rules = RoleRules(role)
        fault = Mutex { _ in nil }
        logPath = Mutex { _, _ in nil }
        listener = try LineListener(port: port)
    }

    package var port: Int { listener.port }
    package var url: String { "http://127.0.0.1:\(listener.port)" }
    /// Requests of the token `martlet` by verb and resource.
    package var usedVerbs: [String: Int] { rules.counts }

    package func setFaults(_ judge: @escaping @Sendable (Request) -> Fault?) {
        fault.withLock { $0 = judge }
    }

    /// From now on these kinds, and no others, are not installed.
    package func hide(_ kinds: Set<String>) { hidden.withLock { $0 = kinds } }

    /// Where a container's log lies, as its node knows.
    package func setLogs(_ find: @escaping @Sendable (_ uid: String, _ container: String) -> String?) {
        logPath.withLock { $0 = find }
    }

    func logFile(uid: String, container: String) -> String? {
        logPath.withLock { $0 }(uid, container)
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
        if let known = KnownKinds.discovery(request.path, without: hidden.withLock { $0 })
            ?? tally(request.path)
        {
            return connection.send(200, known)
        }
        let judge = fault.withLock { $0 }
        let fault = judge(request)
        if case .refuse(let refusal, let seconds)? = fault {
            return connection.send(refusal.status, refusal.json, retryAfter: seconds)
        }
        do throws(Refusal) {
            guard let place = request.place else {
                throw Refusal(404, "NotFound", "the server could not find the requested resource")
            }
            if place.isBuiltIn, KnownKinds.name(place.resource, in: request.apiVersion) == nil {
                throw Refusal(404, "NotFound", "the server could not find the requested resource")
            }
            if request.token == "martlet" { try rules.check(request.verb, place) }
            if request.verb == "watch" {
                try watch(place, request, connection, fault: fault)
                return false
            }
            if place.subresource == "log" {
                try sendLog(place, request, connection)
                return false
            }
            let (status, object) = try carryOut(request, place)
            switch fault {
            case .loseAnswer?: return false
            case .failAfterwards(let refusal)?: return connection.send(refusal.status, refusal.json)
            default: return connection.send(status, object)
            }
        } catch {
            return connection.send(error.status, error.json)
        }
    }

    /// What tests ask about the cluster itself.
    private func tally(_ path: String) -> JSONValue? {
        switch path {
        case "/fake/requests": return .object(usedVerbs.mapValues(JSONValue.int))
        case "/fake/creates":
            let pairs = objects.createCounts.map { place, count in
                ("\(place.resource)/\(place.namespace)/\(place.name)", JSONValue.int(count))
            }
            return .object(Dictionary(pairs, uniquingKeysWith: { $1 }))
        default: return nil
        }
    }

    // MARK: Verbs

    private func carryOut(_ request: Request, _ place: ObjectPlace) throws(Refusal) -> (Int, JSONValue) {
        if place.subresource == "status" && !place.hasStatus {
            throw Refusal(404, "NotFound", "the server could not find the requested resource")
        }
        switch request.verb {
        case "get": return (200, try objects.get(place))
        case "list": return (200, try list(place, request))
        case "create" where place.subresource == "binding":
            return (201, try bind(place, try body(of: request)))
        case "create": return (201, try objects.create(place, try newObject(request, place)))
        case "update":
            let wanted = try body(of: request)
            try checkVersion(of: wanted, request)
            return (
                200, try objects.update(place) { (_) throws(Refusal) in try checked(wanted, request, place) }
            )
        case "patch": return try patch(request, place)
        case "delete":
            let left = try objects.delete(place, options: try deleteOptions(request))
            return (
                200, left ?? ["kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success"]
            )
        case "deletecollection":
            let doomed = try list(place, request)
            for object in doomed["items"]?.arrayValue ?? [] {
                var one = place
                one.name = object["metadata"]?["name"]?.stringValue ?? ""
                try objects.delete(one, options: [:])
            }
            return (200, doomed)
        default: throw Refusal(405, "MethodNotAllowed", "the server does not allow this method here")
        }
    }

    private func body(of request: Request) throws(Refusal) -> JSONValue {
        guard let json = try? JSONValue(parsingUTF8: request.body), json.objectValue != nil else {
            throw Refusal(400, "BadRequest", "the body is no JSON object")
        }
        return json
    }

    /// Options stand in the body or in the query.
    private func deleteOptions(_ request: Request) throws(Refusal) -> JSONValue {
        var options = request.body.isEmpty ? JSONValue.object([:]) : try body(of: request)
        if let seconds = request.query["gracePeriodSeconds"].flatMap({ Int($0) }) {
            options = options.setting(["gracePeriodSeconds"], to: .int(seconds))
        }
        if let policy = request.query["propagationPolicy"] {
            options = options.setting(["propagationPolicy"], to: .string(policy))
        }
        return options
    }

    private func checkVersion(of object: JSONValue, _ request: Request) throws(Refusal) {
        guard let version = object["apiVersion"]?.stringValue, version != request.apiVersion else { return }
        throw Refusal(
            400, "BadRequest",
            "the API version in the data (\(version)) does not match the expected API version "
                + "(\(request.apiVersion))")
    }

    private func newObject(_ request: Request, _ place: ObjectPlace) throws(Refusal) -> JSONValue {
        var object = try body(of: request)
        try checkVersion(of: object, request)
        guard object["kind"] != nil || place.isBuiltIn else {
            throw Refusal(400, "BadRequest", "Object 'Kind' is missing in the body")
        }
        if object["apiVersion"] == nil {
            object = object.setting(["apiVersion"], to: .string(request.apiVersion))
        }
        if object["kind"] == nil {
            let kind = KnownKinds.name(place.resource, in: request.apiVersion)
            object = object.setting(["kind"], to: kind.map(JSONValue.string))
        }
        return try checked(
            place.hasStatus ? object.setting(["status"], to: nil) : object, request, place.withoutSubresource)
    }

    /// The object, if it is as its kind is.
    private func checked(
        _ object: JSONValue, _ request: Request, _ place: ObjectPlace
    ) throws(Refusal) -> JSONValue {
        // A status says what is, and is not checked here.
        guard place.subresource != "status" else { return object }
        let mode = request.query["fieldValidation"] ?? "Strict"
        let kind = KnownKinds.name(place.resource, in: request.apiVersion).map(JSONValue.string)
        let named = object["kind"] == nil ? object.setting(["kind"], to: kind) : object
        guard kind == nil || named["kind"] == kind || !place.subresource.isEmpty else {
            throw Refusal(
                400, "BadRequest",
                "\(named["kind"]?.stringValue ?? "the object") cannot be handled as a \(kind?.stringValue ?? "")"
            )
        }
        try FieldRules.check(named, at: place, allowsUnknown: mode != "Strict")
        try ValueRules.check(named, at: place)
        return object
    }

    private func patch(_ request: Request, _ place: ObjectPlace) throws(Refusal) -> (Int, JSONValue) {
        guard request.contentType == KubernetesClient.PatchKind.apply.rawValue else {
            return (
                200,
                try objects.update(place) { (object) throws(Refusal) in
                    let patched = try ObjectPatch.apply(
                        request.body, type: request.contentType, to: object, at: place)
                    // A patch that names no version holds for whichever is there.
                    let version = ["metadata", "resourceVersion"]
                    return try checked(
                        patched.at(version) == nil
                            ? patched.setting(version, to: object.at(version)) : patched, request, place)
                }
            )
        }
        let wanted = try applied(request)
        let apply = ServerSideApply(
            place: place, manager: request.query["fieldManager"] ?? "",
            isForced: request.query["force"] == "true", moment: objects.now())
        do throws(Refusal) {
            let result = try objects.update(place) { (object) throws(Refusal) in
                try checked(try apply.apply(wanted, to: object), request, place)
            }
            return (200, result)
        } catch {
            guard error.status == 404 && place.subresource.isEmpty else { throw error }
            var kind = place
            kind.name = ""
            let named = wanted.setting(["metadata", "name"], to: .string(place.name))
            let fresh = try checked(try apply.apply(named, to: nil), request, kind)
            return (201, try objects.create(kind, fresh))
        }
    }

    /// An applied configuration is YAML, of which JSON is a part.
    private func applied(_ request: Request) throws(Refusal) -> JSONValue {
        if let json = try? JSONValue(parsingUTF8: request.body), json.objectValue != nil { return json }
        let (documents, _) = ManifestReader.read(request.body, file: "body")
        guard let first = documents.first?.json, first.objectValue != nil else {
            throw Refusal(400, "BadRequest", "error decoding YAML: the body is no object")
        }
        return first
    }

    private func bind(_ place: ObjectPlace, _ binding: JSONValue) throws(Refusal) -> JSONValue {
        let node = binding["target"]?["name"] ?? .null
        return try objects.update(place.withoutSubresource, isBinding: true) { pod throws(Refusal) in
            guard pod["spec"]?["nodeName"] == nil else {
                throw Refusal(409, "Conflict", "pod \(place.name) is already assigned to a node")
            }
            return pod.setting(["spec", "nodeName"], to: node)
        }
    }

    private func list(_ place: ObjectPlace, _ request: Request) throws(Refusal) -> JSONValue {
        let page = try objects.page(
            place, labels: try LabelTerms(checking: request.query["labelSelector"] ?? ""),
            fields: try FieldTerms(request.query["fieldSelector"] ?? "", for: place.resource),
            limit: Int(request.query["limit"] ?? "").flatMap { $0 > 0 ? $0 : nil } ?? Int.max,
            from: request.query["continue"] ?? "")
        var metadata: [String: JSONValue] = ["resourceVersion": .string(String(page.version))]
        if let next = page.next {
            metadata["continue"] = .string(next)
            metadata["remainingItemCount"] = .int(page.remaining)
        }
        let kind = KnownKinds.name(place.resource, in: request.apiVersion) ?? ""
        // The list says what its items are; of Kubernetes' own kinds each one by itself does not.
        let items = page.items.map { item in
            place.isBuiltIn ? item.setting(["kind"], to: nil).setting(["apiVersion"], to: nil) : item
        }
        return [
            "kind": .string(kind + "List"), "apiVersion": .string(request.apiVersion),
            "metadata": .object(metadata), "items": .array(items),
        ]
    }
}
