// `martlet token`: tokens for the server, made and revoked on its data directory while it runs or not.

import ArgumentParser
import Glibc
import Persistence
import Text
import WebServer

extension Role: ExpressibleByArgument {}

struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Tokens for `martlet server`: who may do what.",
        discussion: """
            A running server knows a new or revoked token within a second.
            Examples:
              martlet token create alice --role admin
              martlet token create ci --role editor --namespace training --ttl 30d
              martlet token list
              martlet token revoke 3f2a9c0d1b2e4f56
            """,
        subcommands: [TokenCreate.self, TokenList.self, TokenRevoke.self])
}

/// Where the tokens are.
struct TokenLocation: ParsableArguments {
    @Option(
        name: .customLong("data-dir"),
        help: ArgumentHelp("The server's data directory; default as for `martlet server`.", valueName: "DIR"))
    var dataDirectory: String?

    func open() throws -> Store { try DataLocation(directory: dataDirectory).openStore() }
}

struct TokenCreate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make a token and print it, once.",
        discussion: """
            viewer sees, editor also changes runs and definitions, admin everything. Only a hash of the token is
            stored: what is lost is made anew.
            Examples:
              martlet token create alice --role admin
              martlet token create ci --role editor --namespace training --namespace evaluation --ttl 30d
            """)

    @Argument(help: "Who or what will use it.")
    var name: String

    @Option(help: "viewer, editor or admin.")
    var role: Role

    @Option(
        name: [.customShort("n"), .long],
        help: ArgumentHelp("Namespace of the role; may be given again. Without: all.", valueName: "NAMESPACE")
    )
    var namespace: [String] = []

    @Option(help: ArgumentHelp("How long it is valid: 12h, 30d. Without: until revoked.", valueName: "SPAN"))
    var ttl: String?

    @OptionGroup var location: TokenLocation

    func run() async throws {
        let now = Environment.now()
        let namespaces = namespace.isEmpty ? ["*"] : namespace
        let order: TokenOrder
        do {
            order = try TokenOrder(
                name: name, roles: Dictionary(namespaces.map { ($0, role) }, uniquingKeysWith: { $1 }),
                expiresAt: try ttl.map { now + (try Self.span($0)) }, now: now)
        } catch let error as TokenOrderError {
            throw CommandError(error.description, status: 64)
        }
        do {
            let store = try location.open()
            let (text, row) = try await order.create(in: store, now: now)
            try await store.appendAudit([
                .byHand("token create", target: "\(row.name) \(row.id)", at: now)
            ])
            Output.note("token \(row.id) for \(name); it is shown this once")
            Output.line(text)
        } catch let error as StoreError {
            throw CommandError(error.message, status: 2)
        }
    }

    /// `90m`, `12h`, `30d`, `2w`, or several of Go's units.
    private static func span(_ text: String) throws -> Duration {
        let units = ["d": 86_400, "w": 7 * 86_400]
        if let unit = text.last, let seconds = units[String(unit)], let number = Int(text.dropLast()),
            (1...36_600).contains(number)
        {
            return .seconds(number * seconds)
        }
        guard let span = GoDuration.parse(text), span > .zero else {
            throw CommandError("--ttl: \"\(text)\" is no span of time; write 90m, 12h, 30d or 2w", status: 64)
        }
        return span
    }
}

struct TokenList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List tokens, without what opens anything.",
        discussion: """
            Examples:
              martlet token list
              martlet token list --output json
            """)

    @Option(name: .shortAndLong, help: "table or json.")
    var output = "table"

    @OptionGroup var location: TokenLocation

    func validate() throws {
        if !["table", "json"].contains(output) { throw ValidationError("--output is table or json") }
    }

    func run() async throws {
        let tokens: [TokenRow]
        do {
            tokens = try await location.open().tokens()
        } catch let error as StoreError {
            throw CommandError(error.message, status: 2)
        }
        let now = Environment.now()
        if output == "json" {
            return Output.line(JSONValue.array(tokens.map { Self.json($0) }).prettyText)
        }
        var table = TextTable(padding: 3)
        table.add(["ID", "NAME", "ROLES", "CREATED", "EXPIRES", "LAST USED", "STATE"])
        for token in tokens {
            let roles = token.roles.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            let isOver = token.expiresAt.map { $0 <= now } ?? false
            table.add([
                token.id, token.name, roles.joined(separator: ","), token.createdAt.rfc3339,
                token.expiresAt?.rfc3339 ?? "never", token.lastUsedAt?.rfc3339 ?? "never",
                token.revokedAt != nil ? "revoked" : isOver ? "expired" : "valid",
            ])
        }
        for line in table.lines { Output.line(line) }
    }

    private static func json(_ token: TokenRow) -> JSONValue {
        func text(_ moment: Timestamp?) -> JSONValue { moment.map { .string($0.rfc3339) } ?? .null }
        return .object([
            "id": .string(token.id), "name": .string(token.name),
            "roles": .object(token.roles.mapValues { .string($0) }), "createdAt": text(token.createdAt),
            "expiresAt": text(token.expiresAt), "lastUsedAt": text(token.lastUsedAt),
            "revokedAt": text(token.revokedAt),
        ])
    }
}

struct TokenRevoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "Revoke tokens at once.",
        discussion: """
            Examples:
              martlet token revoke 3f2a9c0d1b2e4f56
            """)

    @Argument(help: "Ids of `martlet token list`, or names that one valid token has.")
    var tokens: [String]

    @OptionGroup var location: TokenLocation

    func run() async throws {
        do {
            let store = try location.open()
            let now = Environment.now()
            for word in tokens {
                let row = try await Self.find(word, in: store)
                try await store.revokeToken(row.id, at: now)
                try await store.appendAudit([
                    .byHand("token revoke", target: "\(row.name) \(row.id)", at: now)
                ])
                Output.line("token \(row.id) (\(row.name)) revoked")
            }
        } catch let error as StoreError {
            throw CommandError(error.message, status: 2)
        }
    }

    private static func find(_ word: String, in store: Store) async throws -> TokenRow {
        if let row = try await store.token(id: word) { return row }
        let named = try await store.tokens().filter { $0.name == word && $0.revokedAt == nil }
        guard let row = named.first else {
            throw CommandError(
                "there is no token \"\(word)\"; `martlet token list` shows those there are", status: 2)
        }
        guard named.count == 1 else {
            throw CommandError(
                "\(named.count) tokens are named \"\(word)\"; give an id of `martlet token list`", status: 2)
        }
        return row
    }
}

extension AuditRow {
    /// What somebody at this machine's command line did.
    fileprivate static func byHand(_ what: String, target: String, at moment: Timestamp) -> AuditRow {
        let name = getpwuid(getuid()).flatMap { $0.pointee.pw_name }.map { String(cString: $0) }
        return AuditRow(
            at: moment, who: name ?? "uid \(getuid())", what: what, namespace: "", target: target,
            source: "command line", status: 0)
    }
}
