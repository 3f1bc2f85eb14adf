// Asks a daemon whether it is ready, as its `readinessProbe` says.

import Artifacts
import Glibc
import Text
import WorkflowLanguage

struct ReadinessProbe: Sendable {
    enum Check: Sendable, Equatable {
        /// Runs in the machine's view: the network is the daemon's, its files are not.
        case exec([String])
        case http(url: String, headers: [String])
        case tcp(port: Int)
    }

    /// What answers on this machine; every daemon shares its network.
    static let address = "127.0.0.1"

    let check: Check
    let initialDelay: Duration
    let timeoutSeconds: Int

    /// Nil for a container without a probe that can be asked.
    init?(_ container: Container) {
        let fields = Fields(container.raw)
        guard let probe = fields.object("readinessProbe") else { return nil }
        func port(_ value: JSONValue?) -> Int? {
            if let number = value?.intValue { return number }
            guard let name = value?.stringValue else { return nil }
            let ports = fields.list("ports").map { Fields($0) }
            return Int(name) ?? ports.first { $0.string("name") == name }?.int("containerPort")
        }
        if let get = probe.object("httpGet"), let port = port(get["port"]) {
            let scheme = get.string("scheme")?.lowercased() ?? "http"
            let path = get.string("path") ?? "/"
            let host = get.string("host") ?? Self.address
            let headers = get.list("httpHeaders").map { header in
                "\(Fields(header).text("name") ?? ""): \(Fields(header).text("value") ?? "")"
            }
            check = .http(
                url: "\(scheme)://\(host):\(port)\(path.hasPrefix("/") ? "" : "/")\(path)", headers: headers)
        } else if let socket = probe.object("tcpSocket"), let port = port(socket["port"]) {
            check = .tcp(port: port)
        } else if let exec = probe.object("exec") {
            check = .exec(exec.strings("command"))
        } else {
            return nil
        }
        initialDelay = .seconds(probe.int("initialDelaySeconds") ?? 0)
        timeoutSeconds = max(1, probe.int("timeoutSeconds") ?? 1)
    }

    /// Blocks for the probe's timeout at most.
    func isReady() -> Bool {
        switch check {
        case .exec(let command):
            guard !command.isEmpty else { return true }
            var run = CommandRun(command)
            run.timeout = .seconds(timeoutSeconds)
            return (try? run.run())?.exitCode == 0
        case .http(let url, let headers):
            var exchange = HTTPExchange(url: url)
            exchange.headers = headers
            exchange.timeout = .seconds(timeoutSeconds)
            // As for the kubelet, certificates of a probed server need not be anybody's.
            exchange.acceptsAnyCertificate = true
            let reply = try? exchange.perform(output: -1)
            return reply.map { (200..<400).contains($0.status) } ?? false
        case .tcp(let port): return Self.connects(port: port)
        }
    }

    /// On this machine a connection is made or refused at once.
    private static func connects(port: Int) -> Bool {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0, let number = UInt16(exactly: port) else { return false }
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = number.bigEndian
        address.sin_addr.s_addr = inet_addr(Self.address)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
