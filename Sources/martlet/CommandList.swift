// All subcommands, in the order in which `--help` lists them.

import ArgumentParser

enum CommandList {
    static let all: [any ParsableCommand.Type] = [
        RunCommand.self, LintCommand.self,
    ]
}
