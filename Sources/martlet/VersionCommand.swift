// `martlet version` and `martlet completion`.

import ArgumentParser
import Text

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Show the version of martlet.",
        discussion: """
            Examples:
              martlet version
              martlet version --short
            """)

    @Flag(help: "The number only.")
    var short = false

    func run() {
        Output.line(short ? BuildInfo.version : "martlet: \(BuildInfo.version)")
    }
}

enum Shell: String, ExpressibleByArgument, CaseIterable {
    case bash, zsh, fish
}

struct CompletionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completion", abstract: "Print the completion script of a shell.",
        discussion: """
            Examples:
              source <(martlet completion bash)
              martlet completion zsh > "${fpath[1]}/_martlet"
              martlet completion fish > ~/.config/fish/completions/martlet.fish
            """)

    @Argument(help: "bash, zsh or fish.")
    var shell: Shell

    func run() {
        switch shell {
        case .bash: Output.line(Martlet.completionScript(for: .bash))
        case .zsh: Output.line(Martlet.completionScript(for: .zsh))
        case .fish: Output.line(Martlet.completionScript(for: .fish))
        }
    }
}
