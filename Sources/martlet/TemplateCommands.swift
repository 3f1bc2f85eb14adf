// `martlet template`, `martlet cluster-template` and `martlet cron`: what is kept for runs to come.

import ArgumentParser
import Persistence
import Text

struct TemplateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: TemplateFamily.command,
        abstract: "Keep workflow templates, which runs of a namespace use.",
        subcommands: [
            DefinitionCreate<TemplateFamily>.self, DefinitionList<TemplateFamily>.self,
            DefinitionGet<TemplateFamily>.self, DefinitionUpdate<TemplateFamily>.self,
            DefinitionDelete<TemplateFamily>.self, DefinitionLint<TemplateFamily>.self,
        ])
}

struct ClusterTemplateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: ClusterTemplateFamily.command, abstract: "Keep workflow templates for all namespaces.",
        subcommands: [
            DefinitionCreate<ClusterTemplateFamily>.self, DefinitionList<ClusterTemplateFamily>.self,
            DefinitionGet<ClusterTemplateFamily>.self, DefinitionUpdate<ClusterTemplateFamily>.self,
            DefinitionDelete<ClusterTemplateFamily>.self, DefinitionLint<ClusterTemplateFamily>.self,
        ])
}

struct CronCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: CronFamily.command, abstract: "Keep workflows with schedules.",
        discussion: """
            Schedules fire while `martlet server` runs on the data directory; `martlet submit --from cronwf/NAME`
            makes a run by hand.
            """,
        subcommands: [
            DefinitionCreate<CronFamily>.self, DefinitionList<CronFamily>.self,
            DefinitionGet<CronFamily>.self,
            DefinitionUpdate<CronFamily>.self, DefinitionDelete<CronFamily>.self,
            DefinitionLint<CronFamily>.self,
            CronSuspend.self, CronResume.self, CronNextCommand.self, CronBackfillCommand.self,
        ])
}

struct CronSuspend: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "suspend", abstract: "Let schedules make no runs.",
        discussion: """
            Examples:
              martlet cron suspend nightly
            """)

    @Argument(help: "Names.")
    var names: [String]

    @OptionGroup var data: ClientOptions

    func run() async throws { try await CronSwitch.set(names, suspend: true, data) }
}

struct CronResume: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Let schedules make runs again.",
        discussion: """
            Examples:
              martlet cron resume nightly
            """)

    @Argument(help: "Names.")
    var names: [String]

    @OptionGroup var data: ClientOptions

    func run() async throws { try await CronSwitch.set(names, suspend: false, data) }
}

private enum CronSwitch {
    static func set(_ names: [String], suspend: Bool, _ data: ClientOptions) async throws {
        let shelf = try DefinitionShelf<CronFamily>(data)
        for name in names {
            _ = try await shelf.definition(name)
            try await shelf.told {
                try await shelf.access.backend.suspendCron(name, namespace: data.namespace, suspend)
            }
            Output.line("CronWorkflow '\(name)' \(suspend ? "suspended" : "resumed")")
        }
    }
}
