// `martlet node set`: phase, message and outputs of suspend nodes, given by a person or another program.

import ArgumentParser
import Scheduling
import Text

struct NodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node", abstract: "Set what suspend nodes say.", subcommands: [NodeSetCommand.self])
}

struct NodeSetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Set phase, message and outputs of suspend nodes that wait.",
        discussion: """
            Examples:
              martlet node set @latest --node-field-selector displayName=approve -p choice=yes
              martlet node set @latest --phase Succeeded --message "looks good"
              martlet node set @latest --node-field-selector displayName=approve --phase Failed
            """)

    @Argument(help: "Name of a run, or @latest.")
    var name: String

    @Option(help: ArgumentHelp("Only the suspend nodes that match.", valueName: "SELECTOR"))
    var nodeFieldSelector: String?

    @Option(help: "Phase that the nodes get: Succeeded, Failed, Error or Skipped.")
    var phase: String?

    @Option(help: "Message that the nodes get.")
    var message: String?

    @Option(
        name: [.customShort("p"), .long],
        help: ArgumentHelp("An output parameter that the nodes get.", valueName: "NAME=VALUE"))
    var outputParameter: [String] = []

    @OptionGroup var execution: ExecutionOptions
    @OptionGroup var data: ClientOptions

    func validate() throws {
        if phase == nil, message == nil, outputParameter.isEmpty {
            throw ValidationError("nothing to set: give --phase, --message or -p NAME=VALUE")
        }
    }

    func run() async throws {
        let selector = try SelectorOption.selector(nodeFieldSelector)
        var wanted: Phase?
        if let phase {
            let allowed: [Phase] = [.succeeded, .failed, .error, .skipped]
            guard let known = allowed.first(where: { $0.rawValue.lowercased() == phase.lowercased() }) else {
                let words = allowed.map(\.rawValue).joined(separator: ", ")
                throw CommandError("--phase \(phase): it is one of \(words)", status: 64)
            }
            wanted = known
        }
        let pairs = try ParameterOption.pairs(outputParameter)
        let command = Scheduling.Command.set(
            selector: selector, phase: wanted, message: message,
            outputs: Dictionary(pairs.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 }))
        try await RunControl(data: data, execution: execution)
            .apply(command, to: [name], word: "values set", goesOn: wanted != nil)
    }
}
