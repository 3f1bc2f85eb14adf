// `martlet archive`: runs that have ended, by their uids, as Argo's command line has it. Martlet keeps ended runs where
// the others are, until retention deletes them.

import ArgumentParser
import Controller
import Persistence
import Scheduling
import Text
import WorkflowLanguage

struct ArchiveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "archive", abstract: "Look at, repeat and delete runs that have ended, by uid.",
        subcommands: [
            ArchiveList.self, ArchiveGet.self, ArchiveDelete.self, ArchiveRetry.self, ArchiveResubmit.self,
            ArchiveLabelKeys.self, ArchiveLabelValues.self,
        ])
}

struct ArchiveList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Show the runs that have ended, newest first, with their uids.",
        discussion: """
            Examples:
              martlet archive list
              martlet archive list -l team=nlp --limit 20
              martlet archive list -o json
            """)

    @Option(name: [.customShort("l"), .long], help: ArgumentHelp("Labels: a=b,c!=d.", valueName: "LABELS"))
    var selector: String?

    @Flag(name: [.customShort("A"), .long], help: "Runs of all namespaces.")
    var allNamespaces = false

    @Option(help: ArgumentHelp("At most so many runs.", valueName: "N"))
    var limit: Int?

    @Option(name: .shortAndLong, help: "name, wide, json or yaml.")
    var output: ListOutput?

    @OptionGroup var data: ClientOptions

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit must be at least 1") }
    }

    func run() async throws {
        var query = WorkflowQuery(namespace: allNamespaces ? nil : data.namespace, limit: 1_000)
        query.phases = ["Succeeded", "Failed", "Error"]
        do throws(OperationError) {
            if let selector { query.labels = try LabelSelector.parse(selector) }
        } catch {
            throw CommandError(error.message, status: 64)
        }
        let access = try RunAccess(data)
        let found = try await access.backend.summaries(
            RunSelection(query: query, labels: selector, limit: limit))
        switch output {
        case .name: for run in found { Output.line(run.uid) }
        case .json, .yaml:
            var documents: [JSONValue] = []
            for run in found {
                let reference = RunReference(uid: run.uid, namespace: run.namespace, name: run.name)
                documents.append(try await access.state(reference).documentJSON)
            }
            Output.text(
                output == .json
                    ? JSONValue.array(documents).prettyText + "\n" : ManifestPrinter.yaml(.array(documents)))
        case nil, .wide:
            if found.isEmpty { return Output.line("No workflows found") }
            let now = Environment.now()
            var table = TextTable(padding: 3)
            table.add(["NAMESPACE", "NAME", "UID", "STATUS", "AGE", "DURATION"])
            for run in found {
                let duration = run.startedAt.map { HumanTime.short((run.finishedAt ?? now) - $0) } ?? "0s"
                table.add([
                    run.namespace, run.name, run.uid, run.phase, HumanTime.short(now - run.createdAt),
                    duration,
                ])
            }
            Output.text(table.lines.map { $0 + "\n" }.joined())
        }
    }
}

struct ArchiveGet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Show an ended run with the tree of its nodes.",
        discussion: """
            Examples:
              martlet archive get 1b4e28ba-2fa1-4d8c-9c07-5f3c1b1e6a55
              martlet archive get 1b4e28ba-2fa1-4d8c-9c07-5f3c1b1e6a55 -o json
            """)

    @Argument(help: "Uid of a run.")
    var uid: String

    @Option(name: .shortAndLong, help: "wide, short, name, json or yaml.")
    var output: GetOutput?

    @OptionGroup var data: ClientOptions

    func run() async throws {
        let access = try RunAccess(data)
        let state = try await access.state(of: uid)
        switch output {
        case .name: Output.line(state.name)
        case .json: Output.line(state.documentJSON.prettyText)
        case .yaml: Output.text(ManifestPrinter.yaml(state.documentJSON))
        case nil, .wide, .short:
            var options = TreeOptions(isColored: Output.colorsStandardOutput, now: Environment.now())
            options.columns = output == .wide ? .wide : output == .short ? .short : .standard
            Output.text(TreeRenderer.render(state: state, options: options))
        }
    }
}

struct ArchiveDelete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Delete ended runs with their logs and working files.",
        discussion: """
            Examples:
              martlet archive delete 1b4e28ba-2fa1-4d8c-9c07-5f3c1b1e6a55
            """)

    @Argument(help: "Uids of runs.")
    var uids: [String]

    @OptionGroup var data: ClientOptions

    func run() async throws {
        let access = try RunAccess(data)
        for uid in uids {
            _ = try await access.backend.delete(try await access.reference(uid), force: false, dryRun: false)
            Output.line("Archived workflow '\(uid)' deleted")
        }
    }
}

struct ArchiveRetry: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry", abstract: "Run the failed part of ended runs again.",
        discussion: """
            Examples:
              martlet archive retry 1b4e28ba-2fa1-4d8c-9c07-5f3c1b1e6a55
            Exit status: as `martlet run` has it.
            """)

    @OptionGroup var command: RetryCommand

    func validate() throws { try command.validate() }
    func run() async throws { try await command.run() }
}

struct ArchiveResubmit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resubmit", abstract: "Run the definition of an ended run anew.",
        discussion: """
            Examples:
              martlet archive resubmit 1b4e28ba-2fa1-4d8c-9c07-5f3c1b1e6a55 --memoized
            Exit status: as `martlet run` has it.
            """)

    @OptionGroup var command: ResubmitCommand

    func run() async throws { try await command.run() }
}

struct ArchiveLabelKeys: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list-label-keys", abstract: "Show the keys of labels that runs have.",
        discussion: """
            Examples:
              martlet archive list-label-keys
            """)

    @OptionGroup var data: ClientOptions

    func run() async throws {
        for key in try await RunAccess(data).backend.labelKeys() { Output.line(key) }
    }
}

struct ArchiveLabelValues: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list-label-values", abstract: "Show the values that a label has.",
        discussion: """
            Examples:
              martlet archive list-label-values -l team
            """)

    @Option(name: [.customShort("l"), .long], help: ArgumentHelp("Key of the label.", valueName: "KEY"))
    var selector: String

    @OptionGroup var data: ClientOptions

    func run() async throws {
        for value in try await RunAccess(data).backend.labelValues(selector) { Output.line(value) }
    }
}
