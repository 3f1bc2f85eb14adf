// `martlet run`: a manifest, in this process, to its end.

import ArgumentParser
import Controller
import Glibc
import Persistence
import Scheduling
import Text
import WorkflowLanguage

enum RunOutput: String, ExpressibleByArgument, CaseIterable {
    case tree, json, quiet
}

/// Options that say what a new run is given; `run` and `submit` share them.
struct SubmissionFlags: ParsableArguments {
    @Option(name: .shortAndLong, help: ArgumentHelp("An argument of the workflow.", valueName: "NAME=VALUE"))
    var parameter: [String] = []

    @Option(
        name: [.customShort("f"), .long], help: "YAML or JSON file with arguments: a map of names to values.")
    var parameterFile: String?

    @Option(help: "Name of the run, instead of the manifest's.")
    var name: String?

    @Option(help: "Prefix of the run's name, instead of the manifest's.")
    var generateName: String?

    @Option(help: "Template to begin with, instead of the manifest's.")
    var entrypoint: String?

    @Option(name: [.customShort("l"), .long], help: "Labels of the run: a=b,c=d.")
    var labels: String?

    @Option(help: "Fixtures that are loaded first (templates, ConfigMaps, Secrets).")
    var load: [String] = []

    @Flag(inversion: .prefixedNo, help: "Unknown fields are errors; otherwise warnings.")
    var strict = true

    @Flag(
        inversion: .prefixedNo,
        help: ArgumentHelp("Take steps over whose content has not changed (martlet.dev/cache)."))
    var cache = true

    /// The options as a plain value.
    var request: SubmissionRequest {
        SubmissionRequest(
            parameter: parameter, parameterFile: parameterFile, name: name, generateName: generateName,
            entrypoint: entrypoint, labels: labels, load: load, strict: strict, usesCache: cache)
    }
}

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a manifest in this process to its end.",
        discussion: """
            FILE may hold several documents: templates, ConfigMaps and Secrets, then the Workflow.
            Examples:
              martlet run pipeline.yaml -p epochs=3
              martlet run pipeline.yaml --load templates.yaml -o json > result.json
              martlet run --resume pipeline-x7k2q        go on with a run whose process was killed
            The first Ctrl-C ends the steps; `martlet retry NAME` goes on from there.
            Exit status: 0 Succeeded, 1 Failed, 2 Error or refused, 3 waits with --no-wait, 64 wrong usage, 130 interrupted.
            """)

    @Argument(help: "The manifest, or - for standard input.")
    var file: String?

    @Option(help: ArgumentHelp("Go on with a stored run whose process ended.", valueName: "NAME"))
    var resume: String?

    @Option(name: .shortAndLong, help: "tree, json or quiet.")
    var output: RunOutput = .tree

    @Flag(name: .customLong("no-wait"), help: "When only suspended nodes are left, print and exit with 3.")
    var noWait = false

    @OptionGroup var submission: SubmissionFlags
    @OptionGroup var execution: ExecutionOptions
    @OptionGroup var data: DataOptions

    func validate() throws {
        guard (file == nil) != (resume == nil) else {
            throw ValidationError("give a manifest, or --resume with the name of a run")
        }
    }

    func run() async throws { try await request.run() }

    /// The request that the general parser makes of the words after `run`.
    static func request(parsing words: [String]) throws -> RunRequest { try parse(words).request }

    /// The command as a plain value.
    var request: RunRequest {
        RunRequest(
            file: file, resume: resume, output: output, waits: !noWait, submission: submission.request,
            execution: execution.settings, data: data.location)
    }
}
