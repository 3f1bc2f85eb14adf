// `martlet models`: the models that runs have made, with where they come from.

import ArgumentParser
import Controller
import Persistence
import Scheduling
import Text
import WorkflowLanguage

struct ModelsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "models", abstract: "Models that runs have made: list, show, tag, export.",
        discussion: """
            Each model or adapter of a download, pretrain, sft, rlhf, dpo, quantize or merge step is a version of a
            name: the pipeline's with the template's, or what the annotation martlet.dev/model says. A server has
            them at /hf for Hugging Face's clients, as NAME with the revisions main, v1, v2, ... and all tags.
            Examples:
              martlet models list
              martlet models show finetune-sft:v3
              martlet models tag finetune-sft:v3 production
              HF_ENDPOINT=http://127.0.0.1:2746/hf hf download finetune-sft --revision production
            """,
        subcommands: [
            ModelsList.self, ModelsShow.self, ModelsTag.self, ModelsUntag.self, ModelsExport.self,
            ModelsCollect.self,
        ])
}

/// The registry of a data directory, or a server's.
struct ModelAccess: Sendable {
    private enum Place {
        case server(ServerConnection)
        case directory(ModelOperations)
    }

    private let place: Place
    private let namespace: String

    init(_ client: ClientOptions) throws {
        namespace = client.namespace
        if let endpoint = try client.endpoint() {
            place = .server(ServerConnection(endpoint))
        } else {
            let store = try client.location.openStore()
            place = .directory(
                ExecutorFactory.models(
                    store, try ExecutorFactory.artifactStore(client.location), client.location))
        }
    }

    private static func path(_ rest: [String]) -> [String] { ["api", "martlet", "v1", "models"] + rest }

    private func name(_ text: String) throws -> ModelName {
        guard let name = ModelName(text, namespace: namespace) else {
            throw CommandError(
                "\"\(text)\" is no name of a model; write NAME, NAME:TAG or NAMESPACE/NAME", status: 64)
        }
        return name
    }

    func list(_ name: String?, everywhere: Bool) async throws -> [JSONValue] {
        switch place {
        case .server(let connection):
            var query = everywhere ? [] : [("namespace", namespace)]
            if let name { query.append(("name", name)) }
            return try await connection.ask("GET", Self.path([]), query)["items"]?.arrayValue ?? []
        case .directory(let models):
            return try await models.list(everywhere ? nil : [namespace], name: name).map(\.json)
        }
    }

    func show(_ text: String) async throws -> JSONValue {
        let name = try name(text)
        switch place {
        case .server(let connection):
            return try await connection.ask(
                "GET", Self.path([name.namespace, name.name]),
                name.reference.map { [("reference", $0)] } ?? [])
        case .directory(let models):
            let row = try await models.model(text, namespace: namespace, mayBeDeleted: true)
            var members = row.json.objectValue ?? [:]
            members["family"] = .array(try await models.family(of: row).map(\.json))
            members["deployments"] = .array(try await models.deployments(of: row).map { .string($0.name) })
            members["evaluations"] = .array(
                try await models.evaluations(of: row).map {
                    [
                        "template": .string($0.template), "run": ["name": .string($0.workflow)],
                        "metrics": $0.metrics,
                    ]
                })
            return .object(members)
        }
    }

    func tag(_ text: String, _ tag: String) async throws {
        let name = try name(text)
        switch place {
        case .server(let connection):
            var body: [String: JSONValue] = ["tag": .string(tag)]
            if let reference = name.reference { body["reference"] = .string(reference) }
            _ = try await connection.ask(
                "POST", Self.path([name.namespace, name.name, "tags"]), body: .object(body))
        case .directory(let models):
            try await models.tag(try await models.model(text, namespace: namespace), tag)
        }
    }

    func untag(_ text: String) async throws {
        let name = try name(text)
        guard let tag = name.reference else { throw CommandError("write NAME:TAG", status: 64) }
        switch place {
        case .server(let connection):
            _ = try await connection.ask("DELETE", Self.path([name.namespace, name.name, "tags", tag]))
        case .directory(let models): try await models.untag(text, namespace: namespace)
        }
    }

    func export(_ text: String, to path: String) async throws {
        switch place {
        case .server(let connection):
            let name = try name(text)
            throw CommandError(
                "a server's models are fetched as from a hub: martlet download --model \(name.name) --endpoint "
                    + "\(connection.endpoint.root)/hf", status: 64)
        case .directory(let models):
            try await models.export(try await models.model(text, namespace: namespace), to: path)
        }
    }

    func collect(_ rule: ModelOperations.Collection) async throws -> (models: [JSONValue], bytes: Int) {
        switch place {
        case .server(let connection):
            let answer = try await connection.ask(
                "POST", Self.path(["gc"]),
                body: [
                    "keep": .int(rule.keep), "ageSeconds": .double(rule.age.inSeconds),
                    "dryRun": .bool(rule.isDryRun),
                ])
            return (answer["items"]?.arrayValue ?? [], answer["bytes"]?.intValue ?? 0)
        case .directory(let models):
            let done = try await models.collect(rule)
            return (done.models.map(\.json), done.bytes)
        }
    }
}

struct ModelsList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List versions, newest first.",
        discussion: """
            Examples:
              martlet models list
              martlet models list finetune-sft -o json
            """)

    @Argument(help: "Only versions of this name.")
    var name: String?
    @Flag(name: [.customShort("A"), .long], help: "Those of all namespaces.")
    var allNamespaces = false
    @Option(name: .shortAndLong, help: "wide, name or json.")
    var output = ListingFormat.wide
    @OptionGroup var client: ClientOptions

    func run() async throws {
        let found = try await ModelAccess(client).list(name, everywhere: allNamespaces)
        switch output {
        case .json: Output.line(JSONValue.array(found).prettyText)
        case .name: for item in found { Output.line(Self.words(item)) }
        case .wide:
            if found.isEmpty { return Output.line("No models found") }
            var table = TextTable(padding: 3)
            table.add(["MODEL", "KIND", "STEP", "TAGS", "SIZE", "RUN", "CREATED"])
            for item in found {
                func text(_ key: String) -> String { item[key]?.scalarText ?? "" }
                let tags = (item["tags"]?.arrayValue ?? []).compactMap(\.stringValue).joined(separator: ",")
                let isGone = item["deletedAt"]?.stringValue != nil
                table.add([
                    Self.words(item), text("kind"), text("step"), tags, isGone ? "deleted" : text("bytes"),
                    item["run"]?["name"]?.stringValue ?? "", text("createdAt"),
                ])
            }
            for line in table.lines { Output.line(line) }
        }
    }

    static func words(_ item: JSONValue) -> String {
        "\(item["repository"]?.stringValue ?? ""):v\(item["version"]?.scalarText ?? "")"
    }
}

struct ModelsShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show where a version comes from and what came of it.",
        discussion: """
            Examples:
              martlet models show finetune-sft
              martlet models show finetune-sft:production -o json
            """)

    @Argument(help: "NAME, NAME:TAG or NAME:vN.")
    var model: String
    @Option(name: .shortAndLong, help: "wide, name or json.")
    var output = ListingFormat.wide
    @OptionGroup var client: ClientOptions

    func run() async throws {
        let found = try await ModelAccess(client).show(model)
        guard output == .wide else {
            return Output.line(output == .json ? found.prettyText : ModelsList.words(found))
        }
        func text(_ key: String) -> String { found[key]?.scalarText ?? "" }
        func list(_ key: String) -> String {
            (found[key]?.arrayValue ?? []).compactMap(\.stringValue).joined(separator: ", ")
        }
        for (label, value) in [
            ("Model", ModelsList.words(found)), ("Kind", text("kind")), ("Step", text("step")),
            ("SHA-256", text("sha256")), ("Commit", text("commit")), ("Bytes", text("bytes")),
            ("Tags", list("tags")), ("Deployed as", list("deployments")),
            ("Run", found["run"]?["name"]?.stringValue ?? ""), ("Node", text("node")),
            ("Code", text("codeVersion")), ("Created", text("createdAt")), ("Deleted", text("deletedAt")),
            ("Parameters", found["parameters"]?.compactText ?? ""),
            ("Metrics", found["metrics"]?.compactText ?? ""),
        ] where !value.isEmpty { Output.line((label + ":").padded(toWidth: 16) + value.printable) }
        for input in found["inputs"]?.arrayValue ?? [] {
            let role = input["role"]?.stringValue ?? ""
            Output.line("Input:".padded(toWidth: 16) + "\(role) sha256:\(input["sha256"]?.stringValue ?? "")")
        }
        for evaluation in found["evaluations"]?.arrayValue ?? [] {
            Output.line(
                "Evaluation:".padded(toWidth: 16) + "\(evaluation["template"]?.stringValue ?? "") "
                    + (evaluation["metrics"]?.compactText ?? ""))
        }
        Output.line("Family:")
        for line in FamilyTree.lines(found["family"]?.arrayValue ?? [], of: found["id"]?.intValue) {
            Output.line("  " + line)
        }
    }
}

/// A family of models as lines: children below their first parent.
enum FamilyTree {
    static func lines(_ family: [JSONValue], of focus: Int?) -> [String] {
        let ids = Set(family.compactMap { $0["id"]?.intValue })
        var children: [Int: [JSONValue]] = [:]
        var roots: [JSONValue] = []
        for item in family {
            let parents = (item["parents"]?.arrayValue ?? []).compactMap { $0["id"]?.intValue }
            if let parent = parents.first(where: ids.contains) {
                children[parent, default: []].append(item)
            } else {
                roots.append(item)
            }
        }
        func walk(_ item: JSONValue, _ depth: Int) -> [String] {
            let mark = item["id"]?.intValue == focus ? "  <-" : ""
            let line = String(repeating: "  ", count: depth) + ModelsList.words(item)
            let step = item["step"]?.stringValue ?? ""
            // A parent has always the smaller id, so that this ends.
            let below = (item["id"]?.intValue).flatMap { children[$0] } ?? []
            return ["\(line) (\(step))\(mark)"] + below.flatMap { walk($0, depth + 1) }
        }
        return roots.flatMap { walk($0, 0) }
    }
}

struct ModelsTag: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tag", abstract: "Put a tag on a version.",
        discussion: """
            A tag that another version of the name has moves here. Tagged versions are never collected.
            Examples:
              martlet models tag finetune-sft:v3 production
            """)

    @Argument(help: "NAME, NAME:TAG or NAME:vN.")
    var model: String
    @Argument(help: "The tag.")
    var tag: String
    @OptionGroup var client: ClientOptions

    func run() async throws {
        try await ModelAccess(client).tag(model, tag)
        Output.line("Model '\(model)' tagged '\(tag)'")
    }
}

struct ModelsUntag: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "untag", abstract: "Take a tag away.",
        discussion: """
            Examples:
              martlet models untag finetune-sft:production
            """)

    @Argument(help: "NAME:TAG.")
    var model: String
    @OptionGroup var client: ClientOptions

    func run() async throws {
        try await ModelAccess(client).untag(model)
        Output.line("Tag '\(model)' taken away")
    }
}

struct ModelsExport: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Copy a version's files to a directory.",
        discussion: """
            Examples:
              martlet models export finetune-sft:production ./model
            """)

    @Argument(help: "NAME, NAME:TAG or NAME:vN.")
    var model: String
    @Argument(help: ArgumentHelp("A directory that is not there yet.", valueName: "DIR"))
    var directory: String
    @OptionGroup var client: ClientOptions

    func run() async throws {
        let path = Environment.absolute(directory)
        try await ModelAccess(client).export(model, to: path)
        Output.line("Model '\(model)' exported to \(path)")
    }
}

struct ModelsCollect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gc", abstract: "Delete the files of versions that nobody holds.",
        discussion: """
            Tagged and deployed versions stay, the newest of each name, and what is young. What is known of the
            others stays, without their files.
            Examples:
              martlet models gc --dry-run
              martlet models gc --keep 3 --older 30d
            """)

    @Option(help: "Newest versions of each name that stay.")
    var keep = 1
    @Option(help: ArgumentHelp("Younger versions stay: 12h, 30d.", valueName: "SPAN"))
    var older = "7d"
    @Flag(help: "Say what would be deleted, and delete nothing.")
    var dryRun = false
    @OptionGroup var client: ClientOptions

    func run() async throws {
        var rule = ModelOperations.Collection()
        guard keep >= 0, let age = Self.span(older) else {
            throw CommandError("--keep is at least 0, --older a span such as 12h or 30d", status: 64)
        }
        (rule.keep, rule.age, rule.isDryRun) = (keep, age, dryRun)
        let (models, bytes) = try await ModelAccess(client).collect(rule)
        for model in models { Output.line(ModelsList.words(model)) }
        Output.line("\(models.count) versions, \(bytes) bytes" + (dryRun ? " (dry-run)" : ""))
    }

    static func span(_ text: String) -> Duration? {
        if text.hasSuffix("d"), let days = Int(text.dropLast()), days >= 0 { return .seconds(days * 86_400) }
        return GoDuration.parse(text)
    }
}
