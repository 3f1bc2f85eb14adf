// The command line: one file a subcommand.

import ArgumentParser
import Controller
import Glibc

/// `martlet`.
@main
struct Martlet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet",
        abstract: "Runs machine-learning pipelines: Argo Workflows manifests, without a cluster.",
        discussion: """
            Examples:
              martlet run pipeline.yaml -p epochs=3     run a manifest to its end
              martlet lint pipeline.yaml                show all problems of a manifest at once
              martlet list                              what has run and what runs
              martlet get @latest                       the newest run as a tree
              martlet logs @latest -f                   its output, as it comes
            """,
        version: BuildInfo.version,
        subcommands: CommandList.all)

    static func main() async {
        // A reader that goes away (`| head`) must not kill a run that is being driven.
        signal(SIGPIPE, SIG_IGN)
        ResourceLimits.raiseOpenFiles()
        do {
            try await perform(Array(CommandLine.arguments.dropFirst()))
            ProcessEnd.now(0)
        } catch let error as CommandError {
            Output.error(error.message)
            ProcessEnd.now(error.status)
        } catch let error as OperationError {
            let failure = CommandError(error)
            Output.error(failure.message)
            ProcessEnd.now(failure.status)
        } catch let code as ExitCode {
            ProcessEnd.now(code.rawValue)
        } catch {
            let code = exitCode(for: error)
            if code == .validationFailure {
                // 64 is EX_USAGE: the words on the command line were wrong.
                Output.errorText(fullMessage(for: error))
                ProcessEnd.now(64)
            }
            exit(withError: error)
        }
    }

    nonisolated private static func perform(_ given: [String]) async throws {
        if let request = RunRequest(words: given) { return try await request.run() }
        let words = try ParameterWords.expanded(ParameterWords.normalized(given))
        var command = quicklyParsed(words)
        if command == nil { command = try parseAsRoot(words) }
        if var command = command as? any AsyncParsableCommand {
            try await command.run()
        } else {
            try command?.run()
        }
    }

    /// The subcommand that the words name, without building the tree of all others first, which takes
    /// milliseconds of every start. Nil if the words need more than that: help, an error's text, a family.
    nonisolated private static func quicklyParsed(_ words: [String]) -> (any ParsableCommand)? {
        guard let name = words.first,
            let command = CommandList.all.first(where: {
                $0.configuration.commandName == name && $0.configuration.subcommands.isEmpty
            })
        else { return nil }
        return try? command.parse(Array(words.dropFirst()))
    }
}

/// A failure with the exit status that DESIGN gives it.
struct CommandError: Error {
    var message: String
    var status: Int32

    init(_ message: String, status: Int32 = 1) {
        self.message = message
        self.status = status
    }
}

extension CommandError {
    /// A refusal with the exit status that its reason has on the command line.
    init(_ error: OperationError) {
        switch error.reason {
        case .invalid, .conflict, .unavailable: self.init(error.message, status: 2)
        case .notFound, .precondition, .exhausted: self.init(error.message)
        }
    }
}

enum BuildInfo {
    static let version = "0.1.0"
}

enum ResourceLimits {
    /// As many open files as the system lets this process have: each running step needs a few.
    static func raiseOpenFiles() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
