// What the step image runs in the pods of steps: before their command, and beside it.

import ArgumentParser
import Glibc
import Kubernetes

struct InternalStepCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "internal-step", abstract: "Serve a step inside of its pod.",
        discussion: """
            Pods that `--executor kubernetes` makes call this; it is of no use by hand.
            Examples:
              martlet internal-step prepare --directory /.martlet --input data=/.martlet/inputs/data
              martlet internal-step save --directory /.martlet --main main
            """, shouldDisplay: false)

    enum Task: String, ExpressibleByArgument, CaseIterable {
        case prepare, save
    }

    @Argument(help: "prepare or save.")
    var task: Task

    @Option(help: "The volume that the pod's containers share.")
    var directory = "/.martlet"

    @Option(help: ArgumentHelp("An input artifact and where it belongs.", valueName: "NAME=PATH"))
    var input: [String] = []

    @Option(help: "The container whose outputs are taken.")
    var main = "main"

    func run() throws {
        do {
            let companion = try StepCompanion(
                directory: directory, url: Environment.value("MARTLET_STEP_URL") ?? "",
                token: Environment.value("MARTLET_STEP_TOKEN") ?? "", variable: { Environment.value($0) })
            switch task {
            case .prepare:
                try companion.prepare(inputs: input.compactMap(RunWordPair.init).map { ($0.name, $0.value) })
            case .save:
                EndRequest.listen()
                try companion.save(main: main)
                // The kubelet ends a sidecar after the work; one that ended by itself would be started again.
                while !EndRequest.wasMade { usleep(100_000) }
            }
        } catch {
            let text = Array("\(error)".utf8)
            let file = open("/dev/termination-log", O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
            _ = write(file, text, min(text.count, 4000))
            throw error
        }
    }
}

/// `NAME=VALUE`.
struct RunWordPair {
    var name: String
    var value: String

    init?(_ text: String) {
        guard let equals = text.firstIndex(of: "="), equals != text.startIndex else { return nil }
        name = String(text[..<equals])
        value = String(text[text.index(after: equals)...])
    }
}
