// The request of an http template, as a process of its own under a supervisor: so it outlives the engine.

import ArgumentParser
import Executors

struct InternalHTTPCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "internal-http", abstract: "Perform the request of an http template.",
        discussion: """
            The engine starts this under a supervisor; it is of no use by hand.
            Examples:
              martlet internal-http request.json
            """, shouldDisplay: false)

    @Argument(help: "File that describes the request.")
    var file: String

    func run() throws {
        let status = HTTPRequestStep.run(specPath: file)
        if status != 0 { throw ExitCode(status) }
    }
}
