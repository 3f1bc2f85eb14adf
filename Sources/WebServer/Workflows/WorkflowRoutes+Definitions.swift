// Workflow templates, cluster templates and cron workflows: one set of routes for the three, as their bodies
// differ in a word only.

import Controller
import Crypto
import Persistence
import Text
import WorkflowLanguage

/// What sets one kind of stored definition apart in Argo's interface.
struct DefinitionDoor: Sendable {
    let kind: DefinitionKind
    /// The path's word.
    let path: String
    /// The member of bodies that holds the object.
    let key: String
    let service: String
    /// What operations are called behind the verb.
    let noun: String

    static let all = [
        DefinitionDoor(
            kind: .workflowTemplate, path: "workflow-templates", key: "template",
            service: "WorkflowTemplateService", noun: "WorkflowTemplate"),
        DefinitionDoor(
            kind: .clusterWorkflowTemplate, path: "cluster-workflow-templates", key: "template",
            service: "ClusterWorkflowTemplateService", noun: "ClusterWorkflowTemplate"),
        DefinitionDoor(
            kind: .cronWorkflow, path: "cron-workflows", key: "cronWorkflow", service: "CronWorkflowService",
            noun: "CronWorkflow"),
    ]

    var base: String { "/api/v1/\(path)" + (kind.isClusterWide ? "" : "/{namespace}") }

    /// Runs of every namespace may use cluster templates, so that whoever may make one may read them.
    func access(_ role: Role) -> RouteAccess {
        guard kind.isClusterWide else { return .namespaced(role) }
        return role == .viewer ? .signedIn : .cluster(role)
    }

    func missing(_ name: String) -> ServiceError {
        .notFound("\(kind.rawValue.lowercased())s.argoproj.io \"\(name.shortened)\" not found")
    }
}

extension WorkflowRoutes {
    /// How often a change is tried again that met another one.
    private static let changeLimit = 5
    private static let definitionPage = 1_000

    var definitionRoutes: [ServiceRoute] {
        DefinitionDoor.all.flatMap(routes)
            + ["suspend", "resume"].map { word in
                ServiceRoute(
                    "PUT", "/api/v1/cron-workflows/{namespace}/{name}/\(word)",
                    "CronWorkflowService_\(word == "suspend" ? "Suspend" : "Resume")CronWorkflow",
                    .namespaced(.editor)
                ) { request in try await setSuspended(request, word == "suspend") }
            }
    }

    private func routes(_ door: DefinitionDoor) -> [ServiceRoute] {
        func name(_ verb: String) -> String { "\(door.service)_\(verb)\(door.noun)" }
        return [
            ServiceRoute("GET", door.base, name("List") + "s", door.access(.viewer)) {
                try await list(door, $0)
            },
            ServiceRoute("POST", door.base, name("Create"), door.access(.editor)) {
                try await create(door, $0)
            },
            ServiceRoute("POST", door.base + "/lint", name("Lint"), door.access(.viewer), isWrite: false) {
                try await lint(door, $0)
            },
            ServiceRoute("GET", door.base + "/{name}", name("Get"), door.access(.viewer)) {
                .json(try await find(door, $0).document)
            },
            ServiceRoute("PUT", door.base + "/{name}", name("Update"), door.access(.editor)) {
                try await update(door, $0)
            },
            ServiceRoute("DELETE", door.base + "/{name}", name("Delete"), door.access(.editor)) {
                try await delete(door, $0)
            },
        ]
    }

    // MARK: Reading

    private func find(_ door: DefinitionDoor, _ request: ServiceRequest) async throws -> DefinitionRow {
        let found = try await context.store.definition(
            door.kind, namespace: request["namespace"], name: request["name"])
        guard let found else { throw door.missing(request["name"]) }
        return found
    }

    private func list(_ door: DefinitionDoor, _ request: ServiceRequest) async throws -> HTTPReply {
        let selection = try DefinitionSelection(request)
        let options = try PageOptions(request.query)
        let version = try await context.store.latestDefinitionRevision()
        let namespace = request["namespace"]
        let rows = try await context.store.definitions(
            door.kind, namespace: namespace.isEmpty ? nil : namespace
        ).filter { row in
            if !row.kind.isClusterWide, !request.principal.may(.viewer, in: row.namespace) { return false }
            return selection.covers(row)
        }
        let left = options.after.map { place in rows.drop { $0.place <= place } } ?? rows[...]
        let page = left.prefix(options.limit ?? Self.definitionPage)
        var metadata: [String: JSONValue] = ["resourceVersion": .string("\(version)")]
        if page.count < left.count, let last = page.last {
            metadata["continue"] = .string(last.place)
            metadata["remainingItemCount"] = .int(left.count - page.count)
        }
        let answer: JSONValue = .object([
            "apiVersion": "argoproj.io/v1alpha1", "kind": .string("\(door.kind.rawValue)List"),
            "metadata": .object(metadata), "items": .array(page.map(\.document)),
        ])
        return .json(FieldMask(request.query["fields"]).clean(answer))
    }

    // MARK: Writing

    private func create(_ door: DefinitionDoor, _ request: ServiceRequest) async throws -> HTTPReply {
        let body = try await request.json()
        let object = try Self.object(door.key, of: body)
        let namespace =
            door.kind.isClusterWide ? "" : try namespace(ofWrite: request, body: body, object: object)
        let row = try await put(door, object, namespace: namespace, if: .absent)
        return .json(row.document)
    }

    private func put(
        _ door: DefinitionDoor, _ object: JSONValue, namespace: String, if condition: WriteCondition
    ) async throws -> DefinitionRow {
        var members = Self.cleaned(object).objectValue ?? [:]
        if let other = members["kind"]?.stringValue, !other.isEmpty, other != door.kind.rawValue {
            throw ServiceError.invalid(
                "the object is of kind \(other.shortened); this path takes \(door.kind.rawValue)")
        }
        members["kind"] = .string(door.kind.rawValue)
        members["apiVersion"] = "argoproj.io/v1alpha1"
        var metadata = members["metadata"]?.objectValue ?? [:]
        if (metadata["name"]?.stringValue ?? "").isEmpty, let prefix = metadata["generateName"]?.stringValue,
            !prefix.isEmpty
        {
            metadata["name"] = .string(Submission.generated(prefix))
        }
        if !door.kind.isClusterWide { metadata["namespace"] = .string(namespace) }
        members["metadata"] = .object(metadata)
        return try await context.operations.put(
            door.kind, .object(members), namespace: namespace, if: condition)
    }

    private func update(_ door: DefinitionDoor, _ request: ServiceRequest) async throws -> HTTPReply {
        let body = try await request.json()
        var object = try Self.object(door.key, of: body)
        let name = request["name"]
        let metadata = object["metadata"]
        let own = metadata?["name"]?.stringValue ?? ""
        guard own.isEmpty || own == name else {
            throw ServiceError.invalid(
                "the name of the object (\"\(own.shortened)\") does not match the path's "
                    + "(\"\(name.shortened)\")"
            )
        }
        if own.isEmpty { object = object.with(["metadata", "name"], .string(name)) }
        let namespace =
            door.kind.isClusterWide ? "" : try namespace(ofWrite: request, body: body, object: object)
        var condition = WriteCondition.present
        if let version = metadata?["resourceVersion"]?.scalarText, !version.isEmpty {
            guard let number = Int(version) else {
                throw ServiceError.invalid(
                    "metadata.resourceVersion is \"\(version.shortened)\", which no object has")
            }
            condition = .version(number)
        }
        return .json(try await put(door, object, namespace: namespace, if: condition).document)
    }

    private func delete(_ door: DefinitionDoor, _ request: ServiceRequest) async throws -> HTTPReply {
        let isThere = try await context.store.deleteDefinition(
            door.kind, namespace: request["namespace"], name: request["name"])
        guard isThere else { throw door.missing(request["name"]) }
        return .json([:])
    }

    private func lint(_ door: DefinitionDoor, _ request: ServiceRequest) async throws -> HTTPReply {
        let body = try await request.json()
        let object = try Self.object(door.key, of: body)
        let namespace =
            door.kind.isClusterWide
            ? context.defaultNamespace
            : try namespace(ofWrite: request, body: body, object: object, .viewer)
        return try await linted(object, kind: door.kind.rawValue, namespace: namespace)
    }

    private func setSuspended(_ request: ServiceRequest, _ isSuspended: Bool) async throws -> HTTPReply {
        _ = try await request.json()
        guard let door = DefinitionDoor.all.first(where: { $0.kind == .cronWorkflow }) else {
            throw ServiceError.internalError
        }
        for attempt in 1... {
            let row = try await find(door, request)
            do {
                let changed = row.body.with(["spec", "suspend"], .bool(isSuspended))
                return .json(
                    try await put(
                        door, changed, namespace: row.namespace, if: .version(row.resourceVersion)
                    ).document)
            } catch {
                // Its controller may have noted a run in between.
                guard ServiceError(error)?.status == 409, attempt < Self.changeLimit else { throw error }
            }
        }
        throw ServiceError.internalError
    }
}

/// Which definitions a list shows.
struct DefinitionSelection {
    private var labels: [LabelRequirement]
    private var pattern: String
    private var names: [(isEqual: Bool, name: String)] = []

    init(_ request: ServiceRequest) throws {
        labels = try LabelSelector.parse(request.query["listOptions.labelSelector"] ?? "")
        pattern = request.query["namePattern"] ?? ""
        for clause in (request.query["listOptions.fieldSelector"] ?? "").split(separator: ",").prefix(20) {
            guard let place = clause.firstIndex(of: "="), clause.hasPrefix("metadata.name") else {
                throw ServiceError.invalid(
                    "fieldSelector: \"\(String(clause).shortened)\" is not metadata.name=NAME")
            }
            let name = clause[clause.index(after: place)...].drop { $0 == "=" }
            names.append((!clause[..<place].hasSuffix("!"), String(name)))
        }
    }

    func covers(_ row: DefinitionRow) -> Bool {
        guard pattern.isEmpty || row.name.contains(pattern) else { return false }
        guard names.allSatisfy({ ($0.name == row.name) == $0.isEqual }) else { return false }
        return labels.isEmpty || labels.allSatisfy { $0.holds(ObjectMetadata(row.body["metadata"]).labels) }
    }
}

extension DefinitionRow {
    /// Orders the rows of a list, and names the place after one.
    var place: String { namespace + "/" + name }

    /// The object with what the store knows of it, as Kubernetes shows it.
    var document: JSONValue {
        var members = body.objectValue ?? [:]
        members["apiVersion"] = "argoproj.io/v1alpha1"
        members["kind"] = .string(kind.rawValue)
        var metadata = members["metadata"]?.objectValue ?? [:]
        metadata["name"] = .string(name)
        if !namespace.isEmpty { metadata["namespace"] = .string(namespace) }
        metadata["uid"] = .string(uid)
        metadata["creationTimestamp"] = .string(createdAt.rfc3339)
        metadata["generation"] = .int(generation)
        metadata["resourceVersion"] = .string("\(resourceVersion)")
        members["metadata"] = .object(metadata)
        if status != .null { members["status"] = status }
        return .object(members)
    }

    /// The store keeps no uid of definitions; this one stays the same until the definition is deleted.
    private var uid: String {
        var bytes = Array(
            SHA256.hash(data: Array("\(kind.rawValue)/\(place)/\(createdAt.nanoseconds)".utf8)).prefix(16))
        bytes[6] = bytes[6] & 0x0F | 0x80
        bytes[8] = bytes[8] & 0x3F | 0x80
        var text = ""
        for (index, byte) in bytes.enumerated() {
            if [4, 6, 8, 10].contains(index) { text.append("-") }
            text += (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
        return text
    }
}

extension JSONValue {
    /// A copy in which the member at a path has a value; objects on the way are made.
    func with(_ path: [String], _ value: JSONValue?) -> JSONValue {
        guard let key = path.first else { return value ?? .null }
        var members = objectValue ?? [:]
        members[key] =
            path.count == 1 ? value : (members[key] ?? .object([:])).with(Array(path.dropFirst()), value)
        return .object(members)
    }
}
