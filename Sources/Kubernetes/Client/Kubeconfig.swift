// Reading kubeconfig files: clusters, users and contexts, several files laid over one another as kubectl
// does.

import Artifacts
import Glibc
import Text
import WorkflowLanguage

package struct Kubeconfig: Sendable {
    private static let sizeLimit = 4 << 20

    /// An entry and the directory that its relative paths begin at.
    private struct Entry: Sendable {
        var fields: JSONValue
        var directory: String
    }

    private var clusters: [String: Entry] = [:]
    private var users: [String: Entry] = [:]
    private var contexts: [String: Entry] = [:]
    private var currentContext: String?

    /// The access that options and environment give: the files of `path` or of $KUBECONFIG, else
    /// ~/.kube/config, else the files that a pod has of itself.
    package static func access(
        path: String?, context: String?, environment: [String: String]
    ) throws -> ClusterAccess {
        var paths = (path ?? environment["KUBECONFIG"])?.split(separator: ":").map(String.init) ?? []
        if paths.isEmpty, let home = environment["HOME"], Disk.exists(home + "/.kube/config") {
            paths = [home + "/.kube/config"]
        }
        if !paths.isEmpty { return try Kubeconfig(paths: paths).access(context: context) }
        if let access = try InClusterFiles().access(environment: environment) { return access }
        throw ClusterAccessError(
            "no cluster is named: give --kubeconfig FILE, set KUBECONFIG, or run inside a pod with a service account"
        )
    }

    package init(paths: [String]) throws {
        for path in paths where Disk.exists(path) || paths.count == 1 {
            let bytes = try Disk.read(path, limitBytes: Self.sizeLimit)
            let (documents, diagnostics) = ManifestReader.read(bytes, file: path)
            if let problem = diagnostics.first(where: { $0.severity == .error }) {
                throw ClusterAccessError(problem.description)
            }
            for document in documents { add(document.json, directory: Disk.parent(of: path)) }
        }
    }

    /// Of entries of one name, the first counts.
    private mutating func add(_ json: JSONValue, directory: String) {
        func entries(_ list: String, _ member: String) -> [(String, Entry)] {
            Fields(json).list(list).compactMap { item in
                let fields = Fields(item)
                guard let name = fields.text("name") else { return nil }
                return (name, Entry(fields: fields[member] ?? [:], directory: directory))
            }
        }
        clusters.merge(entries("clusters", "cluster")) { first, _ in first }
        users.merge(entries("users", "user")) { first, _ in first }
        contexts.merge(entries("contexts", "context")) { first, _ in first }
        if currentContext == nil, let name = Fields(json).text("current-context"), !name.isEmpty {
            currentContext = name
        }
    }

    // MARK: One context

    package func access(context wanted: String?) throws -> ClusterAccess {
        guard let name = wanted ?? currentContext ?? (contexts.count == 1 ? contexts.keys.first : nil) else {
            throw ClusterAccessError("the kubeconfig has no current-context; give --context NAME")
        }
        guard let context = contexts[name] else {
            let known = contexts.keys.sorted().joined(separator: ", ")
            throw ClusterAccessError("the kubeconfig has no context \"\(name)\"; it has \(known)")
        }
        let fields = Fields(context.fields)
        guard let cluster = fields.text("cluster").flatMap({ clusters[$0] }),
            let server = Fields(cluster.fields).string("server"), !server.isEmpty
        else { throw ClusterAccessError("context \"\(name)\" names no cluster with a server") }
        var access = ClusterAccess(server: server)
        let place = Fields(cluster.fields)
        access.tlsServerName = place.string("tls-server-name")
        access.skipsVerification = place.bool("insecure-skip-tls-verify") ?? false
        access.proxy = place.string("proxy-url")
        access.authority = try Self.bytes(cluster, "certificate-authority")
        access.namespace = fields.text("namespace") ?? "default"
        if let user = fields.text("user").flatMap({ users[$0] }) {
            access.credentials = try Self.credentials(user, cluster: cluster)
        }
        return access
    }

    private static func credentials(_ user: Entry, cluster: Entry) throws -> ClusterAccess.Credentials {
        let fields = Fields(user.fields)
        var credentials = ClusterAccess.Credentials()
        credentials.token = fields.string("token")
        credentials.tokenFile = fields.string("tokenFile").map { absolute($0, user.directory) }
        credentials.user = fields.text("username")
        credentials.password = fields.text("password")
        if let chain = try bytes(user, "client-certificate") {
            guard let key = try bytes(user, "client-key") else {
                throw ClusterAccessError("the kubeconfig has a client-certificate without its client-key")
            }
            credentials.certificate = .init(chain: chain, key: key)
        }
        if let exec = fields.object("exec") {
            credentials.plugin = plugin(exec, user: user, cluster: cluster)
        }
        if fields["auth-provider"] != nil && credentials.plugin == nil {
            throw ClusterAccessError(
                "the kubeconfig uses an auth-provider, which Kubernetes no longer has; use an exec plugin")
        }
        return credentials
    }

    private static func plugin(_ exec: Fields, user: Entry, cluster: Entry) -> CredentialPlugin {
        var command = exec.string("command") ?? ""
        // A bare name is looked up on PATH; a path counts from the file.
        if command.contains("/") { command = absolute(command, user.directory) }
        var environment: [String: String] = [:]
        for variable in exec.list("env").map({ Fields($0) }) {
            environment[variable.text("name") ?? ""] = variable.text("value") ?? ""
        }
        return CredentialPlugin(
            apiVersion: exec.string("apiVersion") ?? "client.authentication.k8s.io/v1", command: command,
            arguments: exec.strings("args"), environment: environment,
            installHint: exec.string("installHint"),
            cluster: exec.bool("provideClusterInfo") == true ? cluster.fields : nil)
    }

    /// `NAME-data` in base64, else the file that `NAME` names.
    private static func bytes(_ entry: Entry, _ name: String) throws -> [UInt8]? {
        let fields = Fields(entry.fields)
        if let text = fields.string(name + "-data"), !text.isEmpty {
            guard let bytes = Base64Text.bytes(text) else {
                throw ClusterAccessError("\(name)-data of the kubeconfig is not base64")
            }
            return bytes
        }
        guard let path = fields.string(name), !path.isEmpty else { return nil }
        return try Disk.read(absolute(path, entry.directory), limitBytes: sizeLimit)
    }

    private static func absolute(_ path: String, _ directory: String) -> String {
        path.hasPrefix("/") ? path : "\(directory)/\(path)"
    }
}

/// What a pod knows of its cluster.
package struct InClusterFiles: Sendable {
    var directory = "/var/run/secrets/kubernetes.io/serviceaccount"

    package init() {}

    init(directory: String) { self.directory = directory }

    /// Nil outside of a pod.
    package func access(environment: [String: String]) throws -> ClusterAccess? {
        guard let host = environment["KUBERNETES_SERVICE_HOST"], Disk.exists(directory + "/token") else {
            return nil
        }
        let port =
            environment["KUBERNETES_SERVICE_PORT_HTTPS"] ?? environment["KUBERNETES_SERVICE_PORT"] ?? "443"
        var access = ClusterAccess(server: "https://\(host.contains(":") ? "[\(host)]" : host):\(port)")
        access.authority = try Disk.read(directory + "/ca.crt", limitBytes: 1 << 20)
        // The token is projected and changes.
        access.credentials.tokenFile = directory + "/token"
        if let bytes = try? Disk.read(directory + "/namespace", limitBytes: 1 << 10) {
            access.namespace = String(decoding: bytes, as: UTF8.self).trimmed
        }
        return access
    }
}

package enum Base64Text {
    /// The bytes of base64 with or without its filling; line breaks are skipped. Nil for anything else.
    package static func bytes(_ text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for byte in text.utf8 where byte != 10 && byte != 13 && byte != UInt8(ascii: "=") {
            guard let value = value(byte) else { return nil }
            bits = bits << 6 | value
            count += 1
            if count % 4 == 0 {
                bytes += [UInt8(truncatingIfNeeded: bits >> 16), UInt8(truncatingIfNeeded: bits >> 8)]
                bytes.append(UInt8(truncatingIfNeeded: bits))
            }
        }
        switch count % 4 {
        case 1: return nil
        case 2: bytes.append(UInt8(truncatingIfNeeded: bits >> 4))
        case 3: bytes += [UInt8(truncatingIfNeeded: bits >> 10), UInt8(truncatingIfNeeded: bits >> 2)]
        default: break
        }
        return bytes
    }

    private static func value(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(byte) - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(byte) - 71
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte) + 4
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }

    package static func text(_ bytes: [UInt8]) -> String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits: UInt32 = 0
            for (index, byte) in group.enumerated() { bits |= UInt32(byte) << (16 - 8 * UInt32(index)) }
            for index in 0..<4 {
                let digit = digits[Int(bits >> (18 - 6 * UInt32(index)) & 63)]
                text.append(index <= group.count ? digit : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
