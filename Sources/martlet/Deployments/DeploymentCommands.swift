// `martlet deployments`: models that are served on this machine or by a server elsewhere.

import ArgumentParser
import Controller
import Executors
import Persistence
import Scheduling
import Text

struct DeploymentsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deployments", abstract: "Models that are served: list, scale, roll back, delete.",
        discussion: """
            A `deploy` step of a workflow makes one. Its processes outlive the run and the server; a running server
            looks after them and serves them at /deployments/NAME/v1, as OpenAI's API. A server whose steps run in a
            cluster lists, scales and deletes what they deployed there; the cluster keeps it running.
            Examples:
              martlet deployments list
              martlet deployments logs chat --tail 50
              martlet deployments rollback chat
              martlet deployments delete chat
            """,
        subcommands: [
            DeploymentsList.self, DeploymentsGet.self, DeploymentsLogs.self, DeploymentsScale.self,
            DeploymentsRollback.self, DeploymentsDelete.self,
        ], aliases: ["deployment"])
}

struct DeploymentsList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List deployments with state, revision and address.",
        discussion: """
            Examples:
              martlet deployments list
              martlet deployments list -o json --server http://127.0.0.1:2746
            """)

    @Flag(name: [.customShort("A"), .long], help: "Those of all namespaces.")
    var allNamespaces = false
    @Option(name: .shortAndLong, help: "wide, name or json.")
    var output = ListingFormat.wide
    @OptionGroup var client: ClientOptions

    func run() async throws {
        let found = try await DeploymentAccess(client).list(allNamespaces ? nil : client.namespace)
        Listing.show(
            found, output, empty: "No deployments found",
            header: ["NAME", "STATE", "READY", "REVISION", "REQUESTS", "MODEL", "URL"],
            name: { $0.cell("name") }
        ) { item in
            let rollOut = item["wanted"]?.intValue.map { " -> \($0)" } ?? ""
            return [
                item.cell("name"), item.cell("state"), "\(item.cell("ready"))/\(item.cell("replicas"))",
                item.cell("active") + rollOut, item.cell("requests"), item.cell("model"), item.cell("url"),
            ]
        }
    }
}

struct DeploymentsGet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Show a deployment with its processes and revisions.",
        discussion: """
            Examples:
              martlet deployments get chat
              martlet deployments get chat -o json
            """)

    @Argument(help: "Name of the deployment.")
    var name: String
    @Option(name: .shortAndLong, help: "wide, name or json.")
    var output = ListingFormat.wide
    @OptionGroup var client: ClientOptions

    func run() async throws {
        let found = try await DeploymentAccess(client).get(name)
        guard output == .wide else {
            return Output.line(output == .json ? found.prettyText : name)
        }
        Self.show(found)
    }

    static func show(_ found: JSONValue) {
        Listing.facts([
            ("Name", found.cell("name")), ("Namespace", found.cell("namespace")),
            ("State", found.cell("state")),
            ("Model", found.cell("model")), ("Ready", "\(found.cell("ready"))/\(found.cell("replicas"))"),
            ("URL", found.cell("url")), ("Requests", found.cell("requests")),
            ("Message", found.cell("message")),
        ])
        Output.line("")
        Listing.table(
            ["PROCESS", "REVISION", "STATE", "PORT", "REQUESTS NOW", "REASON"],
            (found["processes"]?.arrayValue ?? []).map { item in
                ["\(item.cell("slot"))-\(item.cell("attempt"))"]
                    + ["revision", "state", "port", "inFlight", "reason"].map(item.cell)
            })
        Output.line("")
        Listing.table(
            ["REVISION", "PHASE", "MODEL", "CREATED", "MESSAGE"],
            (found["revisions"]?.arrayValue ?? []).map { item in
                ["number", "phase", "model", "createdAt", "message"].map(item.cell)
            })
    }
}

struct DeploymentsLogs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Show what a deployment's processes wrote.",
        discussion: """
            Examples:
              martlet deployments logs chat
              martlet deployments logs chat --revision 3 --tail 1000
            """)

    @Argument(help: "Name of the deployment.")
    var name: String
    @Option(help: "Only processes of this revision.")
    var revision: Int?
    @Option(help: "Lines at most.")
    var tail = 200
    @OptionGroup var client: ClientOptions

    func validate() throws {
        guard (1...10_000).contains(tail) else { throw ValidationError("--tail must be from 1 to 10000") }
    }

    func run() async throws {
        for line in try await DeploymentAccess(client).logs(name, revision: revision, tail: tail) {
            let process = "\(line.cell("revision"))/\(line.cell("slot"))-\(line.cell("attempt"))"
            Output.line("\(line.cell("t")) \(process): \(line.cell("s").printable)")
        }
    }
}

struct DeploymentsScale: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scale", abstract: "Set how many processes serve.",
        discussion: """
            Examples:
              martlet deployments scale chat --replicas 2
            """)

    @Argument(help: "Name of the deployment.")
    var name: String
    @Option(help: "Processes, from 1.")
    var replicas: Int
    @OptionGroup var client: ClientOptions

    func run() async throws {
        let access = try DeploymentAccess(client)
        try await access.change(name, "scale", ["replicas": .int(replicas)]) {
            try await $0.scale(name, to: replicas)
        }
        Output.line("Deployment '\(name)' scaled to \(replicas)")
    }
}

struct DeploymentsRollback: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollback", abstract: "Roll an earlier revision out again.",
        discussion: """
            The earlier one is started and looked at as a new one is; requests go on meanwhile.
            Examples:
              martlet deployments rollback chat
              martlet deployments rollback chat --revision 2
            """)

    @Argument(help: "Name of the deployment.")
    var name: String
    @Option(help: "Number of the revision; the one that was active before unless given.")
    var revision: Int?
    @OptionGroup var client: ClientOptions

    func run() async throws {
        let access = try DeploymentAccess(client)
        let body = revision.map { ["revision": JSONValue.int($0)] } ?? [:]
        try await access.change(name, "rollback", body) { try await $0.rollBack(name, to: revision) }
        Output.line("Deployment '\(name)' rolled back" + (revision.map { " to revision \($0)" } ?? ""))
    }
}

struct DeploymentsDelete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Take deployments down; running requests are finished.",
        discussion: """
            Examples:
              martlet deployments delete chat
            """)

    @Argument(help: "Names of deployments.")
    var names: [String]
    @OptionGroup var client: ClientOptions

    func run() async throws {
        let access = try DeploymentAccess(client)
        for name in names {
            try await access.delete(name)
            Output.line("Deployment '\(name)' deleted")
        }
    }
}
