// What is shown to the API with each request: tokens are read again before they are old, plugins asked again
// before what they gave has expired.

import Artifacts
import Glibc
import Synchronization
import Text
import WorkflowLanguage

/// The authorization of one request.
struct RequestCredential: Sendable, Hashable {
    /// The whole value of the `Authorization` header.
    var authorization: String?
    var certificate: ClusterAccess.Certificate?
}

final class CredentialSource: Sendable {
    /// A projected token is valid for longer than this after it was replaced.
    private static let fileAge = Duration.seconds(60)
    /// So long before its end what a plugin gave is asked for anew.
    private static let margin = Duration.seconds(60)
    private static let pluginTimeout = Duration.seconds(60)

    private struct Kept: Sendable {
        var credential: RequestCredential
        var until: Timestamp
    }

    private let access: ClusterAccess
    private let now: @Sendable () -> Timestamp
    private let kept = Mutex<Kept?>(nil)

    init(_ access: ClusterAccess, now: @escaping @Sendable () -> Timestamp) {
        self.access = access
        self.now = now
    }

    /// Forgets what is kept, because the API did not take it.
    func refuse() { kept.withLock { $0 = nil } }

    /// May read a file or run a program, off the cooperative pool.
    func current() async throws -> RequestCredential {
        let given = access.credentials
        var credential = RequestCredential(authorization: nil, certificate: given.certificate)
        if given.plugin == nil && given.tokenFile == nil {
            if let token = given.token, !token.isEmpty {
                credential.authorization = "Bearer \(token)"
            } else if let user = given.user, let password = given.password {
                credential.authorization = "Basic \(Base64Text.text(Array("\(user):\(password)".utf8)))"
            }
            return credential
        }
        let moment = now()
        if let kept = kept.withLock({ $0 }), moment < kept.until { return kept.credential }
        let fresh: Kept
        if let plugin = given.plugin {
            fresh = try await BlockingCall.run { try Self.ask(plugin, given, at: moment) }
        } else {
            let path = given.tokenFile ?? ""
            fresh = try await BlockingCall.run {
                let bytes = try Disk.read(path, limitBytes: 64 << 10)
                var credential = RequestCredential(authorization: nil, certificate: given.certificate)
                credential.authorization = "Bearer \(String(decoding: bytes, as: UTF8.self).trimmed)"
                return Kept(credential: credential, until: moment + Self.fileAge)
            }
        }
        kept.withLock { $0 = fresh }
        return fresh.credential
    }

    private static func ask(
        _ plugin: CredentialPlugin, _ given: ClusterAccess.Credentials, at moment: Timestamp
    ) throws -> Kept {
        var spec: [String: JSONValue] = ["interactive": false]
        if let cluster = plugin.cluster { spec["cluster"] = cluster }
        let question: JSONValue = [
            "apiVersion": .string(plugin.apiVersion), "kind": "ExecCredential", "spec": .object(spec),
        ]
        // What a plugin says on the way would stand in the middle of its answer.
        let quiet = ["sh", "-c", "exec \"$0\" \"$@\" 2>/dev/null", plugin.command]
        var run = CommandRun(quiet + plugin.arguments)
        run.environment = plugin.environment.merging(["KUBERNETES_EXEC_INFO": question.compactText]) { $1 }
        run.timeout = pluginTimeout
        let outcome: CommandRun.Outcome
        do {
            outcome = try run.run()
        } catch {
            throw ClusterAccessError(
                "the credential plugin \(plugin.command) cannot be run: \(error)"
                    + (plugin.installHint.map { "; \($0)" } ?? ""))
        }
        guard outcome.exitCode == 0 else {
            throw ClusterAccessError(
                "the credential plugin \(plugin.command) ended with \(outcome.exitCode); run it by hand to see "
                    + "why" + (plugin.installHint.map { "; \($0)" } ?? ""))
        }
        return try kept(outcome.output, plugin, given, at: moment)
    }

    /// Reads what a plugin printed.
    private static func kept(
        _ output: String, _ plugin: CredentialPlugin, _ given: ClusterAccess.Credentials, at moment: Timestamp
    ) throws -> Kept {
        guard let start = output.firstIndex(of: "{"),
            let answer = try? JSONValue(parsingUTF8: Array(output[start...].utf8)),
            let status = answer["status"]
        else { throw ClusterAccessError("the credential plugin \(plugin.command) printed no ExecCredential") }
        let fields = Fields(status)
        var credential = RequestCredential(authorization: nil, certificate: given.certificate)
        credential.authorization = fields.string("token").map { "Bearer \($0)" }
        if let chain = fields.string("clientCertificateData"), let key = fields.string("clientKeyData") {
            credential.certificate = .init(chain: Array(chain.utf8), key: Array(key.utf8))
        }
        guard credential.authorization != nil || credential.certificate != nil else {
            throw ClusterAccessError(
                "the credential plugin \(plugin.command) gave neither token nor certificate")
        }
        let end = fields.string("expirationTimestamp").flatMap { Timestamp(rfc3339: $0) }
        // Without an end it is good until the API refuses it.
        let until = end.map { Timestamp(nanoseconds: $0.nanoseconds - margin.wholeNanoseconds) }
        return Kept(credential: credential, until: until ?? Timestamp(nanoseconds: .max))
    }
}
