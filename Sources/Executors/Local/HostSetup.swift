// What is the same for all steps of one executor: the machine's programs, the kind of sandbox, the common
// variables.

import Artifacts
import Glibc
import WorkflowLanguage

struct HostSetup: Sendable {
    let settings: LocalExecutorSettings
    let supervisorPath: String
    let sandbox: SupervisorSpec.Sandbox
    /// Why steps run without a sandbox; nil where they have one.
    let plainReason: String?
    let host: HostView
    /// GPUs' device nodes, and the directory that tells about them.
    let devices: [SupervisorSpec.Bind]
    let searchPath: String
    /// A directory with `python` where the machine has only `python3`; nil where none is needed.
    let programLinks: String?
    /// Of steps; without a sandbox it is this process's.
    let home: String
    /// Proxies and the like, which a pod's cluster would provide.
    let passedVariables: [(name: String, value: String)]

    static let programLinksTarget = "/.martlet/programs"
    static let martletTarget = "/.martlet/martlet"

    var dataDirectory: String { settings.dataDirectory }
    var isPlain: Bool { sandbox == .plain }

    init(_ settings: LocalExecutorSettings) throws {
        self.settings = settings
        supervisorPath = try settings.supervisorPath ?? SupervisorClient.locateSupervisor()
        let runs = settings.dataDirectory + "/runs"
        try Disk.makeDirectories(runs)
        (sandbox, plainReason) = try Self.sandbox(settings, supervisorPath: supervisorPath, scratch: runs)
        let home = Self.variable("HOME") ?? "/root"
        let path =
            settings.pathDirectories?.joined(separator: ":") ?? Self.variable("PATH")
            ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        host = HostView(path: path, home: home)
        self.home = sandbox == .plain ? home : "/root"
        devices = Self.gpuDevices()
        programLinks = try Self.linkPrograms(path: path, directory: settings.dataDirectory + "/programs")
        let shown = sandbox == .plain ? programLinks : Self.programLinksTarget
        searchPath = programLinks == nil ? path : path + ":" + (shown ?? "")
        let names = [
            "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy",
            "all_proxy",
            "SSL_CERT_FILE", "SSL_CERT_DIR", "TZ",
        ]
        passedVariables = names.compactMap { name in Self.variable(name).map { (name: name, value: $0) } }
    }

    private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    private static func sandbox(
        _ settings: LocalExecutorSettings, supervisorPath: String, scratch: String
    ) throws -> (SupervisorSpec.Sandbox, String?) {
        if settings.sandboxMode == .plain { return (.plain, "the plain mode was asked for") }
        let support = SupervisorClient.sandboxSupport(
            supervisorPath: supervisorPath, scratchDirectory: scratch)
        guard case .unavailable(let reason) = support else { return (support.sandbox, nil) }
        if settings.sandboxMode == .namespaces {
            throw SupervisorClient.Failure(
                description: "no sandbox works here: \(reason); allow user namespaces, or use the plain mode")
        }
        return (.plain, reason)
    }

    private static func gpuDevices() -> [SupervisorSpec.Bind] {
        let names = (Disk.list("/dev") ?? []).filter { $0.hasPrefix("nvidia") || $0 == "dri" || $0 == "kfd" }
        guard !names.isEmpty else { return [] }
        return names.sorted().map { .init(source: "/dev/\($0)", target: "/dev/\($0)", access: .readWrite) }
            + [.init(source: "/sys", target: "/sys", access: .optional)]
    }

    /// Scripts say `python`; Debian has only `python3`.
    private static func linkPrograms(path: String, directory: String) throws -> String? {
        func find(_ name: String) -> String? {
            path.split(separator: ":").map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
        }
        guard find("python") == nil, let python = find("python3") else { return nil }
        try Disk.makeDirectories(directory)
        let link = directory + "/python"
        unlink(link)
        guard symlink(python, link) == 0 || errno == EEXIST else { return nil }
        return directory
    }
}
