// `martlet lint`: all problems of manifests at once.

import ArgumentParser
import Controller
import Glibc
import Persistence
import Text
import WorkflowLanguage

enum LintOutput: String, ExpressibleByArgument, CaseIterable {
    case pretty, simple, json
}

struct LintCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lint", abstract: "Show all problems of manifests at once.",
        discussion: """
            Examples:
              martlet lint pipeline.yaml
              martlet lint workflows/ -o json
              cat pipeline.yaml | martlet lint -
            Exit status: 0 without errors, 1 with, 2 if a file cannot be read.
            """)

    @Argument(help: "Files, directories, or - for standard input.")
    var files: [String]

    @Flag(inversion: .prefixedNo, help: "Unknown fields are errors; otherwise warnings.")
    var strict = true

    @Option(name: .shortAndLong, help: "pretty, simple or json.")
    var output: LintOutput = .pretty

    @Option(help: "Fixtures that the manifests refer to (templates, ConfigMaps).")
    var load: [String] = []

    @Flag(help: "Refer to nothing but the files given: stored templates are not looked up.")
    var offline = false

    @OptionGroup var data: ClientOptions

    func run() async throws {
        let manifests = try Manifests.read(files)
        let fixtures = try Manifests.read(load)
        var stored = TemplateCatalog()
        let isThere = try data.endpoint() != nil || Environment.exists(data.path + "/martlet.db")
        if !offline, isThere {
            stored = try await RunAccess(data).backend.catalog(namespace: data.namespace)
        }
        var options = ValidationOptions()
        options.strict = strict
        options.readHead = FileHead.read
        let found = Linter.lint(
            manifests.documents, catalog: stored.including(manifests.documents).including(fixtures.documents),
            options: options)
        let diagnostics = manifests.diagnostics + fixtures.diagnostics + found
        show(diagnostics)
        if diagnostics.contains(where: { $0.severity == .error }) { throw ExitCode(1) }
    }

    private func show(_ diagnostics: [Diagnostic]) {
        switch output {
        case .json: Output.line(JSONValue.array(diagnostics.map(\.json)).prettyText)
        case .simple:
            for diagnostic in diagnostics {
                var short = diagnostic
                short.remedy = nil
                Output.line(short.description)
            }
        case .pretty:
            for diagnostic in diagnostics {
                Output.line(diagnostic.shown(colored: Output.colorsStandardOutput))
            }
            let errors = diagnostics.filter { $0.severity == .error }.count
            if errors == 0 {
                Output.line("✔ no errors" + (diagnostics.isEmpty ? "" : ", \(diagnostics.count) warnings"))
            } else {
                Output.line("✖ \(errors) \(errors == 1 ? "error" : "errors")")
            }
        }
    }
}

extension Environment {
    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }
}
