// `create`, `update`, `list`, `get`, `delete` and `lint`, the same for each kind of stored definition.

import ArgumentParser
import Controller
import Persistence
import Text
import WorkflowLanguage

enum DefinitionOutput: String, ExpressibleByArgument, CaseIterable {
    case name, wide, json, yaml
}

struct DefinitionCreate<Family: DefinitionFamily>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "create", abstract: "Store \(Family.noun)s that are not there yet.",
            discussion: """
                Examples:
                  martlet \(Family.command) create definitions.yaml
                  cat definitions.yaml | martlet \(Family.command) create -
                """)
    }

    @Argument(help: "Manifests, directories, or - for standard input.")
    var files: [String]

    @Flag(inversion: .prefixedNo, help: "Unknown fields are errors; otherwise warnings.")
    var strict = true

    @Option(name: .shortAndLong, help: "name, wide, json or yaml.")
    var output: DefinitionOutput?

    @OptionGroup var data: ClientOptions

    func run() async throws {
        let rows = try await DefinitionShelf<Family>(data).put(files, strict: strict, replaces: false)
        DefinitionPrinter.show(rows, output)
        if Family.kind == .cronWorkflow {
            Output.note(
                "stored; schedules fire under `martlet server`, and `martlet submit --from cronwf/NAME` makes a "
                    + "run by hand")
        }
    }
}

struct DefinitionUpdate<Family: DefinitionFamily>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "update", abstract: "Replace \(Family.noun)s that are there.",
            discussion: """
                Runs keep the definition that they began with.
                Examples:
                  martlet \(Family.command) update definitions.yaml
                """)
    }

    @Argument(help: "Manifests, directories, or - for standard input.")
    var files: [String]

    @Flag(inversion: .prefixedNo, help: "Unknown fields are errors; otherwise warnings.")
    var strict = true

    @Option(name: .shortAndLong, help: "name, wide, json or yaml.")
    var output: DefinitionOutput?

    @OptionGroup var data: ClientOptions

    func run() async throws {
        DefinitionPrinter.show(
            try await DefinitionShelf<Family>(data).put(files, strict: strict, replaces: true), output)
    }
}

struct DefinitionList<Family: DefinitionFamily>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "list", abstract: "Show the stored \(Family.noun)s.",
            discussion: """
                Examples:
                  martlet \(Family.command) list
                  martlet \(Family.command) list -A -o json
                """)
    }

    @Flag(name: [.customShort("A"), .long], help: "Those of all namespaces.")
    var allNamespaces = false

    @Option(name: .shortAndLong, help: "name, wide, json or yaml.")
    var output: DefinitionOutput?

    @OptionGroup var data: ClientOptions

    func run() async throws {
        let namespace = allNamespaces ? nil : data.namespace
        let rows = try await DefinitionShelf<Family>(data).access.backend.definitions(
            Family.kind, namespace: namespace)
        switch output {
        case .name: for row in rows { Output.line(row.name) }
        case .json: Output.line(JSONValue.array(rows.map(\.document)).prettyText)
        case .yaml: Output.text(ManifestPrinter.yaml(.array(rows.map(\.document))))
        case nil, .wide:
            if rows.isEmpty { return Output.line("No \(Family.noun)s found") }
            Output.text(
                DefinitionPrinter.table(
                    rows, hasNamespace: allNamespaces && !Family.kind.isClusterWide, now: Environment.now()))
        }
    }
}

struct DefinitionGet<Family: DefinitionFamily>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "get", abstract: "Show stored \(Family.noun)s.",
            discussion: """
                Examples:
                  martlet \(Family.command) get NAME
                  martlet \(Family.command) get NAME -o yaml > definition.yaml
                """)
    }

    @Argument(help: "Names.")
    var names: [String]

    @Option(name: .shortAndLong, help: "name, wide, json or yaml.")
    var output: DefinitionOutput?

    @OptionGroup var data: ClientOptions

    func run() async throws {
        let shelf = try DefinitionShelf<Family>(data)
        var rows: [ShownDefinition] = []
        for name in names { rows.append(try await shelf.definition(name)) }
        DefinitionPrinter.show(rows, output)
    }
}

struct DefinitionDelete<Family: DefinitionFamily>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "delete", abstract: "Delete stored \(Family.noun)s; runs of them stay.",
            discussion: """
                Examples:
                  martlet \(Family.command) delete NAME
                  martlet \(Family.command) delete --all
                """)
    }

    @Argument(help: "Names.")
    var names: [String] = []

    @Flag(help: "All of the namespace.")
    var all = false

    @OptionGroup var data: ClientOptions

    func validate() throws {
        guard names.isEmpty == all else { throw ValidationError("give names, or --all") }
    }

    func run() async throws {
        let shelf = try DefinitionShelf<Family>(data)
        let backend = shelf.access.backend
        let doomed =
            all ? try await backend.definitions(Family.kind, namespace: data.namespace).map(\.name) : names
        for name in doomed { _ = try await shelf.definition(name) }
        for name in doomed {
            try await backend.deleteDefinition(Family.kind, name: name, namespace: data.namespace)
            Output.line("\(Family.kind.rawValue) '\(name)' deleted")
        }
    }
}

struct DefinitionLint<Family: DefinitionFamily>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "lint", abstract: "Show all problems of manifests at once.",
            discussion: """
                Examples:
                  martlet \(Family.command) lint definitions.yaml
                Exit status: 0 without errors, 1 with.
                """)
    }

    @Argument(help: "Manifests, directories, or - for standard input.")
    var files: [String]

    @Flag(inversion: .prefixedNo, help: "Unknown fields are errors; otherwise warnings.")
    var strict = true

    @OptionGroup var data: ClientOptions

    func run() async throws {
        let manifests = try Manifests.read(files)
        let found = try await DefinitionShelf<Family>(data).diagnostics(manifests, strict: strict)
        for diagnostic in found { Output.line(diagnostic.shown(colored: Output.colorsStandardOutput)) }
        if found.contains(where: { $0.severity == .error }) { throw ExitCode(1) }
        Output.line("✔ no errors")
    }
}

enum DefinitionPrinter {
    static func show(_ rows: [ShownDefinition], _ output: DefinitionOutput?) {
        switch output {
        case .name: for row in rows { Output.line(row.name) }
        case .json: for row in rows { Output.line(row.document.prettyText) }
        case .yaml: Output.text(ManifestPrinter.yaml(documents: rows.map(\.document)))
        case nil, .wide: for row in rows { Output.text(row.header(now: Environment.now())) }
        }
    }

    static func table(_ rows: [ShownDefinition], hasNamespace: Bool, now: Timestamp) -> String {
        var table = TextTable(padding: 3)
        let isCron = rows.first?.kind == .cronWorkflow
        table.add(
            (hasNamespace ? ["NAMESPACE"] : []) + ["NAME", "AGE"]
                + (isCron ? ["SCHEDULES", "TIMEZONE", "SUSPENDED"] : []))
        for row in rows {
            var cells =
                (hasNamespace ? [row.namespace] : []) + [row.name, HumanTime.short(now - row.createdAt)]
            if isCron {
                let cron = CronWorkflow(row.document)
                cells += [
                    cron.schedules.joined(separator: ","), cron.timezone ?? "UTC",
                    cron.suspend ? "true" : "false",
                ]
            }
            table.add(cells)
        }
        return table.lines.map { $0 + "\n" }.joined()
    }
}
