// One `resource` step: the call of the API that it asks for, made once though it may be tried again, and the
// wait for its conditions.

import Artifacts
import Scheduling
import Text
import WorkflowLanguage

/// The object that a step is about, as it is noted once the action was done.
struct ResourceTarget: Sendable, Hashable {
    var path: String
    var shown: String
    /// Empty where several are meant.
    var uid = ""

    var json: JSONValue { ["path": .string(path), "shown": .string(shown), "uid": .string(uid)] }

    init(path: String, shown: String, uid: String = "") {
        self.path = path
        self.shown = shown
        self.uid = uid
    }

    init?(_ json: JSONValue?) {
        guard let path = json?["path"]?.stringValue else { return nil }
        self.init(
            path: path, shown: json?["shown"]?.stringValue ?? "", uid: json?["uid"]?.stringValue ?? "")
    }
}

struct ResourceRun: Sendable {
    /// How a step ends before its object says so.
    struct Ended: Error {
        var end: PodEnd
    }

    private static let firstPause = Duration.milliseconds(250)
    private static let longestPause = Duration.seconds(30)
    /// Between two looks at an object whose condition is waited for.
    private static let firstLook = Duration.milliseconds(250)
    private static let longestLook = Duration.seconds(5)

    let launch: Launch
    let template: ResourceTemplate
    let client: KubernetesClient
    let kinds: ResourceKinds
    let owner: @Sendable () async throws -> RunOwner
    /// Throws `Ended` once the step is to go on no longer.
    let check: @Sendable () throws -> Void
    /// Tells why nothing happens for now.
    let tellWaiting: @Sendable (String) -> Void

    // MARK: The action

    /// What the action was done to, and the object as the API gave it; `.null` for what is deleted.
    func act() async throws -> (ResourceTarget, JSONValue) {
        switch template.action {
        case .get:
            let target = try await target()
            return (target, try await patiently { try await client.get(target.path) })
        case .create: return try await create()
        case .apply: return try await apply()
        case .replace: return try await replace()
        case .patch: return try await patch()
        case .delete: return try await delete()
        }
    }

    /// Tries again what may do better later.
    func patiently<Value>(_ body: () async throws -> Value) async throws -> Value {
        var pause = Self.firstPause
        while true {
            try check()
            do {
                return try await body()
            } catch let error as KubernetesError where error.isPassing {
                tellWaiting(error.description)
            }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, Self.longestPause)
        }
    }

    private func create() async throws -> (ResourceTarget, JSONValue) {
        let (kind, object) = try await prepared()
        let query = [
            ("fieldManager", template.flags.fieldManager), ("fieldValidation", template.flags.validation),
        ]
        let place = namespace(of: object)
        let made = try await patiently {
            do {
                return try await client.call("POST", kind.path(namespace: place), query, body: object)
            } catch let error as KubernetesError where error.isAlreadyThere {
                // The answer of an earlier try may have been lost, or the server was away since.
                let there = try await client.get(kind.path(namespace: place, name: Self.name(of: object)))
                guard PodMarks.key(of: there) == launch.key else { throw error }
                return there
            }
        }
        return (target(kind, made), made)
    }

    private func apply() async throws -> (ResourceTarget, JSONValue) {
        let (kind, object) = try await prepared()
        let flags = template.flags
        let query = [
            ("fieldManager", flags.fieldManager), ("force", flags.forcesConflicts ? "true" : "false"),
            ("fieldValidation", flags.validation),
        ]
        let place = namespace(of: object)
        let path = kind.path(namespace: place, name: Self.name(of: object))
        let made = try await patiently {
            do {
                return try await client.call("PATCH", path, query, body: object, type: .apply)
            } catch let error as KubernetesError where error.isNotFound {
                // Servers from before this kind of patch could make what is not there.
                return try await client.call("POST", kind.path(namespace: place), query, body: object)
            }
        }
        return (target(kind, made), made)
    }

    private func replace() async throws -> (ResourceTarget, JSONValue) {
        let (kind, object) = try await prepared()
        let query = [
            ("fieldManager", template.flags.fieldManager), ("fieldValidation", template.flags.validation),
        ]
        let path = kind.path(namespace: namespace(of: object), name: Self.name(of: object))
        let made = try await patiently {
            var object = object
            if object["metadata"]?["resourceVersion"] == nil {
                let there = try await client.get(path)
                object = Self.with(object, "resourceVersion", there["metadata"]?["resourceVersion"])
            }
            return try await client.call("PUT", path, query, body: object)
        }
        return (target(kind, made), made)
    }

    private func patch() async throws -> (ResourceTarget, JSONValue) {
        let target = try await target()
        let query = [("fieldManager", template.flags.fieldManager)]
        let made = try await patiently {
            do {
                return try await client.call(
                    "PATCH", target.path, query, body: template.patch, type: template.patchKind)
            } catch let error as KubernetesError
                where (error.status == 0 || error.status >= 500) && template.patchKind == .json
            {
                // Behind a 500 or a 504 the store may have taken it all the same, and `add` twice is not `add` once.
                throw Ended(
                    end: PodEnd(
                        .error,
                        "whether the JSON patch was applied is not known: \(error.description); look at "
                            + "\(target.shown), then retry the step or say mergeStrategy: merge",
                        .infrastructure))
            } catch let error as KubernetesError where error.status == 415 {
                throw PodProblem(
                    "\(target.shown): \(error.message); objects of kinds that were installed later take no strategic "
                        + "patch: say mergeStrategy: merge")
            }
        }
        return (target, made)
    }

    private func delete() async throws -> (ResourceTarget, JSONValue) {
        let flags = template.flags
        if let selector = flags.selector {
            let kind = try await kindOfWords()
            let place = kind.path(namespace: flags.namespace ?? launch.namespace)
            let found = try await patiently { try await client.list(place, labelSelector: selector).items }
            for object in found { try await remove("\(place)/\(URLText.encoded(Self.name(of: object)))") }
            return (ResourceTarget(path: place, shown: "\(found.count) \(kind.plural)"), .null)
        }
        var target = try await target()
        let there = try await patiently { () async throws -> JSONValue in
            do {
                return try await client.get(target.path)
            } catch let error as KubernetesError where error.isNotFound {
                return .null
            }
        }
        target.uid = there["metadata"]?["uid"]?.stringValue ?? ""
        if there != .null { try await remove(target.path) }
        return (target, .null)
    }

    private func remove(_ path: String) async throws {
        try await patiently {
            do {
                try await client.delete(
                    path, graceSeconds: template.flags.graceSeconds, propagation: template.flags.propagation)
            } catch let error as KubernetesError where error.isNotFound {
                return
            }
        }
    }

    // MARK: Which object

    /// The manifest as it is sent: with a namespace, a name, marks of the step, and its owner.
    private func prepared() async throws -> (ResourceKind, JSONValue) {
        guard var object = template.manifest else { throw PodProblem("resource.manifest is empty") }
        let kind = try await kindOfManifest(object)
        if kind.isNamespaced { object = Self.with(object, "namespace", .string(namespace(of: object))) }
        let metadata = Fields(object["metadata"])
        if metadata.text("name") == nil {
            guard let prefix = metadata.text("generateName"), template.action == .create else {
                throw PodProblem("resource.manifest: metadata.name is missing")
            }
            // The same each time, so that a create that is repeated finds what it made.
            object = Self.with(object, "name", .string(Self.generatedName(prefix, launch.key)))
        }
        if template.action != .replace {
            var notes = metadata["annotations"]?.objectValue ?? [:]
            notes[PodMarks.runID] = .string(launch.key.workflowUID)
            notes[PodMarks.nodeID] = .string(launch.key.nodeID)
            notes[PodMarks.attempt] = .string(String(launch.key.attempt))
            object = Self.with(object, "annotations", .object(notes))
        }
        guard template.setsOwner else { return (kind, object) }
        guard kind.isNamespaced, namespace(of: object) == launch.namespace else {
            throw PodProblem(
                "setOwnerReference: the owner is in namespace \(launch.namespace), and what it owns must be there, too"
            )
        }
        let owners = metadata.list("ownerReferences")
        let own = try await patiently { try await owner() }
        return (kind, Self.with(object, "ownerReferences", .array(owners + [own.plainReference])))
    }

    /// What `generateName` becomes for a launch.
    static func generatedName(_ prefix: String, _ key: AttemptKey) -> String {
        prefix + String(FNV1a.hash32("\(key.workflowUID)/\(key.nodeID)/\(key.attempt)"), radix: 16)
    }

    /// The object with a field of its metadata set.
    static func with(_ object: JSONValue, _ key: String, _ value: JSONValue?) -> JSONValue {
        var members = object.objectValue ?? [:]
        var metadata = members["metadata"]?.objectValue ?? [:]
        metadata[key] = value
        members["metadata"] = .object(metadata)
        return .object(members)
    }

    private static func name(of object: JSONValue) -> String {
        Fields(object["metadata"]).text("name") ?? ""
    }

    private func namespace(of object: JSONValue) -> String {
        Fields(object["metadata"]).text("namespace") ?? template.flags.namespace ?? launch.namespace
    }

    private func kindOfManifest(_ object: JSONValue) async throws -> ResourceKind {
        guard let kind = object["kind"]?.stringValue, let version = object["apiVersion"]?.stringValue else {
            throw PodProblem("resource.manifest must be one object with apiVersion and kind")
        }
        return try await patiently { try await kinds.kind(kind, apiVersion: version) }
    }

    private func kindOfWords() async throws -> ResourceKind {
        let word = template.flags.words.first ?? ""
        let name = String(word.prefix { $0 != "/" })
        return try await patiently { try await kinds.kind(word: name) }
    }

    private func target(_ kind: ResourceKind, _ object: JSONValue) -> ResourceTarget {
        let name = Self.name(of: object)
        return ResourceTarget(
            path: kind.path(namespace: namespace(of: object), name: name), shown: "\(kind.roleName)/\(name)",
            uid: object["metadata"]?["uid"]?.stringValue ?? "")
    }

    /// By the manifest, or by the words of the flags: KIND NAME, KIND/NAME, or a kind with a selector.
    private func target() async throws -> ResourceTarget {
        if let object = template.manifest, object["kind"]?.stringValue != nil {
            let kind = try await kindOfManifest(object)
            guard !Self.name(of: object).isEmpty else {
                throw PodProblem("resource.manifest: metadata.name is missing")
            }
            return target(kind, object)
        }
        let kind = try await kindOfWords()
        let words = template.flags.words
        let place = template.flags.namespace ?? launch.namespace
        let first = words.first ?? ""
        let name =
            first.firstIndex(of: "/").map { String(first[first.index(after: $0)...]) }
            ?? words.dropFirst().first
        guard words.count <= 2, let name else {
            if words.count > 2 {
                throw PodProblem("resource.flags name several objects; one step is for one")
            }
            throw PodProblem("resource.flags name no object of kind \(kind.plural); write KIND and NAME")
        }
        return ResourceTarget(
            path: kind.path(namespace: place, name: name), shown: "\(kind.roleName)/\(name)")
    }

    // MARK: Until it is over

    /// Waits until a condition holds, or for what was deleted to be gone.
    /// - Returns: the object as it was seen last.
    func awaitEnd(_ target: ResourceTarget, _ first: JSONValue) async throws -> JSONValue {
        if template.action == .delete {
            try await awaitAbsence(of: target)
            return .null
        }
        var object = first
        var pause = Self.firstLook
        while true {
            if object == .null { object = try await look(target) }
            if let failed = template.failure?.first(in: object) {
                throw Ended(
                    end: PodEnd(.failed, "failure condition '\(failed.text)' evaluated true", .user))
            }
            if template.success?.holds(for: object) ?? (template.failure == nil) { return object }
            try check()
            try await Task.sleep(for: pause)
            pause = min(pause * 3 / 2, Self.longestLook)
            object = .null
        }
    }

    private func look(_ target: ResourceTarget) async throws -> JSONValue {
        let object: JSONValue
        do {
            object = try await patiently { try await client.get(target.path) }
        } catch let error as KubernetesError where error.isNotFound {
            throw Ended(
                end: PodEnd(.failed, "\(target.shown) was deleted while the step waited for it", .user))
        }
        let uid = object["metadata"]?["uid"]?.stringValue ?? ""
        guard target.uid.isEmpty || uid == target.uid else {
            throw Ended(
                end: PodEnd(.failed, "\(target.shown) was replaced while the step waited for it", .user))
        }
        return object
    }

    private func awaitAbsence(of target: ResourceTarget) async throws {
        guard !target.uid.isEmpty else { return }
        var pause = Self.firstLook
        while true {
            do {
                let there = try await patiently { try await client.get(target.path) }
                if there["metadata"]?["uid"]?.stringValue != target.uid { return }
            } catch let error as KubernetesError where error.isNotFound {
                return
            }
            try check()
            try await Task.sleep(for: pause)
            pause = min(pause * 3 / 2, Self.longestLook)
        }
    }
}

extension RunOwner {
    /// An owner that is no controller: objects such as Jobs may have a controller of their own.
    var plainReference: JSONValue {
        ["apiVersion": "v1", "kind": "ConfigMap", "name": .string(name), "uid": .string(uid)]
    }
}

extension KubernetesClient {
    /// Any verb with any question, for objects whose kind only the manifest knows.
    func call(
        _ method: String, _ path: String, _ query: [(String, String)], body: JSONValue, type: PatchKind? = nil
    ) async throws -> JSONValue {
        let bytes = try await bytes(
            method, path, query, body: body, type: type?.rawValue ?? "application/json", mayRepeat: false)
        return bytes.isEmpty ? .null : try JSONValue(parsingUTF8: bytes)
    }
}
