// `martlet get`: one run as a tree, or as Argo's API has it.

import ArgumentParser
import Persistence
import Scheduling
import Text
import WorkflowLanguage

enum GetOutput: String, ExpressibleByArgument, CaseIterable {
    case wide, short, name, json, yaml
}

struct GetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Show runs with the tree of their nodes.",
        discussion: """
            Examples:
              martlet get pipeline-x7k2q
              martlet get @latest -o wide
              martlet get @latest --status Failed
              martlet get @latest --node-field-selector templateName=train
              martlet get @latest -o json > run.json
            """)

    @Argument(help: "Names of runs, or @latest.")
    var names: [String]

    @Option(name: .shortAndLong, help: "wide, short, name, json or yaml.")
    var output: GetOutput?

    @Option(help: "Only nodes of this status: Pending, Running, Succeeded, Skipped, Failed, Error.")
    var status: String?

    @Option(
        help: ArgumentHelp("Only nodes that match: phase=Failed,displayName=train.", valueName: "SELECTOR"))
    var nodeFieldSelector: String?

    @Flag(help: "No colors.")
    var noColor = false

    @OptionGroup var data: ClientOptions

    func run() async throws {
        let selector = try SelectorOption.selector(nodeFieldSelector, status: status)
        let access = try RunAccess(data)
        for name in names {
            let state = try await access.state(of: name)
            switch output {
            case .name: Output.line(state.name)
            case .json: Output.line(state.documentJSON.prettyText)
            case .yaml:
                Output.text((names.count > 1 ? "---\n" : "") + ManifestPrinter.yaml(state.documentJSON))
            case nil, .wide, .short:
                var options = TreeOptions(
                    isColored: Output.colorsStandardOutput && !noColor, now: Environment.now())
                options.columns = output == .wide ? .wide : output == .short ? .short : .standard
                options.selector = selector
                Output.text(TreeRenderer.render(state: state, options: options))
                access.noteMissingDriver(of: state)
            }
        }
    }
}
