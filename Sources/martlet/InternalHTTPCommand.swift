// The request of an http template, as a process of its own under a supervisor: so it outlives the engine.

import ArgumentParser
import Executors

struct InternalHTTPCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "internal-http", abstract: "Perform the request of an http template.", shouldDisplay: false)

    @Argument(help: "File that describes the request.")
    var file: String

    func run() throws {
        let status = HTTPRequestStep.run(specPath: file)
        if status != 0 { throw ExitCode(status) }
    }
}
