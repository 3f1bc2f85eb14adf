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
        Listing.show(
            found, output, empty: "No models found",
            header: ["MODEL", "KIND", "STEP", "TAGS", "SIZE", "RUN", "CREATED"], name: Self.words
        ) { item in
            let isGone = item["deletedAt"]?.stringValue != nil
            return [
                Self.words(item), item.cell("kind"), item.cell("step"),
                item.cells("tags").joined(separator: ","),
                isGone ? "deleted" : item.cell("bytes"), item["run"]?.cell("name") ?? "",
                item.cell("createdAt"),
            ]
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
        Listing.facts([
            ("Model", ModelsList.words(found)), ("Kind", found.cell("kind")), ("Step", found.cell("step")),
            ("SHA-256", found.cell("sha256")), ("Commit", found.cell("commit")),
            ("Bytes", found.cell("bytes")),
            ("Tags", found.cells("tags").joined(separator: ", ")),
            ("Deployed as", found.cells("deployments").joined(separator: ", ")),
            ("Run", found["run"]?.cell("name") ?? ""), ("Node", found.cell("node")),
            ("Code", found.cell("codeVersion")), ("Created", found.cell("createdAt")),
            ("Deleted", found.cell("deletedAt")), ("Parameters", found["parameters"]?.compactText ?? ""),
            ("Metrics", found["metrics"]?.compactText ?? ""),
        ])
        for input in found["inputs"]?.arrayValue ?? [] {
            Listing.facts([("Input", "\(input.cell("role")) sha256:\(input.cell("sha256"))")])
        }
        Self.show(evaluations: found["evaluations"]?.arrayValue ?? [])
        Output.line("Family:")
        for line in FamilyTree.lines(found["family"]?.arrayValue ?? [], of: found["id"]?.intValue) {
            Output.line("  " + line)
        }
    }

    /// Six digits behind the point are enough to compare by; what is no number is shown as it is.
    private static func figure(_ value: JSONValue?) -> String {
        guard case .double(let number)? = value, number.isFinite, abs(number) < 1e9 else {
            return value?.scalarText ?? ""
        }
        return JSONValue.double((number * 1e6).rounded() / 1e6).compactText
    }

    /// The family's evaluations side by side: a line each, a column a metric.
    private static func show(evaluations: [JSONValue]) {
        guard !evaluations.isEmpty else { return }
        let names = Set(evaluations.flatMap { ($0["metrics"]?.objectValue ?? [:]).keys }).sorted()
        Output.line("Evaluations of the family:")
        Listing.table(
            ["  MODEL", "TEMPLATE"] + names.map { $0.uppercased() },
            evaluations.map { item in
                let model = item["model"]?.stringValue ?? String(item.cell("sha256").prefix(12))
                let metrics = names.map { figure(item["metrics"]?[$0]) }
                return ["  " + model, item.cell("template")] + metrics
            })
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
