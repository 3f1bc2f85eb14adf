// What of the machine a sandboxed step sees, and whether a sandbox works here at all.

import Artifacts
import CLinux
import Glibc
import Synchronization

extension SupervisorClient {
    package enum SandboxSupport: Sendable, Equatable {
        case namespaces
        case userNamespaces
        /// Steps can only run in the plain mode, where their paths are the machine's.
        case unavailable(reason: String)

        package var sandbox: SupervisorSpec.Sandbox {
            switch self {
            case .namespaces: return .namespaces
            case .userNamespaces: return .userNamespaces
            case .unavailable: return .plain
            }
        }

        /// What the probe prints for it.
        fileprivate var word: String? {
            switch self {
            case .namespaces: return "namespaces"
            case .userNamespaces: return "userNamespaces"
            case .unavailable: return nil
            }
        }
    }

    private static let known = Mutex<SandboxSupport?>(nil)

    /// Makes the view once, in a directory of its own below `scratchDirectory` (absolute, on the file system
    /// the attempts will use), and remembers a good answer in a file there for as long as nothing changes that
    /// it depends on. That there is no sandbox is found out anew by each process: a person may mend it.
    package static func sandboxSupport(supervisorPath: String, scratchDirectory: String) -> SandboxSupport {
        known.withLock { known in
            if let known { return known }
            let memory = scratchDirectory + "/.sandbox-support"
            let surroundings = surroundings(supervisorPath: supervisorPath)
            if let support = remembered(memory, surroundings) {
                known = support
                return support
            }
            let support = probe(supervisorPath: supervisorPath, scratchDirectory: scratchDirectory)
            if let word = support.word, let surroundings {
                // Losing it costs a probe, so it need not be durable and may fail.
                try? Disk.replace(memory, with: Array((word + "\n" + surroundings).utf8), durable: false)
            }
            known = support
            return support
        }
    }

    private static func remembered(_ memory: String, _ surroundings: String?) -> SandboxSupport? {
        guard let surroundings, let bytes = try? Disk.read(memory, limitBytes: 1 << 16) else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        return [.namespaces, .userNamespaces].first { support in
            support.word.map { text == $0 + "\n" + surroundings } ?? false
        }
    }

    /// All that decides whether a sandbox can be made: the boot, this process's user, namespaces, capabilities
    /// and filters, and the supervisor's own file. Nil where that cannot be told.
    private static func surroundings(supervisorPath: String) -> String? {
        guard let file = Disk.targetStatus(supervisorPath),
            let boot = try? Disk.read("/proc/sys/kernel/random/boot_id", limitBytes: 4096),
            let status = try? Disk.read("/proc/self/status", limitBytes: 1 << 16)
        else { return nil }
        let telling = ["Uid:", "CapEff:", "CapBnd:", "NoNewPrivs:", "Seccomp:", "Seccomp_filters:"]
        let lines = String(decoding: status, as: UTF8.self).split(separator: "\n")
            .filter { line in telling.contains { line.hasPrefix($0) } }
        let namespaces = ["user", "mnt"].map { Disk.linkTarget("/proc/self/ns/\($0)") ?? "" }
        let settings = [
            "/proc/sys/kernel/unprivileged_userns_clone", "/proc/sys/user/max_user_namespaces",
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "/proc/self/attr/current",
        ].map { (try? Disk.read($0, limitBytes: 4096)).map { String(decoding: $0, as: UTF8.self) } ?? "-" }
        let program = "\(supervisorPath) \(file.sizeBytes) \(file.changedNanoseconds)"
        return
            ([String(decoding: boot, as: UTF8.self), program] + namespaces + settings + lines.map(String.init))
            .joined(separator: "\n")
    }

    private static func probe(supervisorPath: String, scratchDirectory: String) -> SandboxSupport {
        let root = scratchDirectory + "/.sandbox-probe-\(getpid())"
        guard mkdir(root, 0o700) == 0 || errno == EEXIST else {
            return .unavailable(reason: failure("cannot create \(root)", errno).description)
        }
        defer {
            for name in ["/proc", "/dev", "/tmp", ""] { rmdir(root + name) }
        }
        var ends: [Int32] = [-1, -1]
        guard martlet_pipe(&ends) == 0 else { return .unavailable(reason: "no pipe can be made") }
        let pid = martlet_spawn_captured(supervisorPath, "--probe", root, ends[1])
        close(ends[1])
        defer { close(ends[0]) }
        guard pid > 0 else {
            return .unavailable(reason: failure("cannot start \(supervisorPath)", -pid).description)
        }
        while waitpid(pid, nil, 0) < 0 && errno == EINTR {}
        var bytes = [UInt8](repeating: 0, count: 4096)
        let length = read(ends[0], &bytes, bytes.count)
        let answer = String(decoding: bytes.prefix(max(0, length)), as: UTF8.self).split(separator: "\n")
        switch answer.first {
        case "namespaces": return .namespaces
        case "userNamespaces": return .userNamespaces
        default:
            return .unavailable(
                reason: answer.dropFirst().first.map(String.init) ?? "the probe gave no answer")
        }
    }
}

/// The machine's programs as a step sees them, all read-only.
package struct HostView: Sendable {
    package private(set) var binds: [SupervisorSpec.Bind] = []
    package private(set) var links: [SupervisorSpec.Link] = []

    /// Looks at the machine once; the answer fits any number of attempts.
    /// - Parameters:
    ///   - path: the PATH whose programs steps may use, also outside /usr, as Python environments are.
    ///   - home: never bound as a whole, however PATH is set.
    package init(path: String, home: String) {
        let names = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/usr", "/etc", "/opt"]
        for name in names {
            if let destination = Self.destination(ofLink: name) {
                links.append(.init(path: name, destination: destination))
            } else if SupervisorClient.exists(name) {
                add(name)
            }
        }
        for folder in path.split(separator: ":") where folder.hasPrefix("/") {
            addPrograms(of: String(folder), home: home)
        }
        // The file may be a link to what a resolver keeps under /run.
        if let resolver = Self.resolved("/etc/resolv.conf") { add(resolver) }
    }

    /// A directory on PATH needs what lies beside it: libraries, or the versions behind pyenv's shims.
    private mutating func addPrograms(of folder: String, home: String) {
        guard let real = Self.resolved(folder) else { return }
        for place in Set([folder, real]) where !isVisible(place) {
            let parent = String(place.prefix(upTo: place.lastIndex(of: "/") ?? place.startIndex))
            let isPrivate = ["", "/", "/home", "/root", "/tmp", "/var", "/mnt", home, home + "/.local"]
                .contains(parent)
            let isPrefix = place.hasSuffix("/bin") || place.hasSuffix("/sbin") || place.hasSuffix("/shims")
            if isPrefix && !isPrivate {
                add(parent)
            } else {
                add(place)
                for sibling in ["/lib", "/share/uv"] where parent == home + "/.local" {
                    add(parent + sibling)
                }
            }
        }
        // A virtual environment's interpreter is a link to an installation elsewhere.
        for name in ["/python3", "/python"] {
            guard let interpreter = Self.resolved(real + name), !isVisible(interpreter) else { continue }
            let folder = interpreter.prefix(upTo: interpreter.lastIndex(of: "/") ?? interpreter.startIndex)
            add(String(folder.hasSuffix("/bin") ? folder.dropLast(4) : folder))
        }
    }

    private mutating func add(_ place: String) {
        guard !place.isEmpty, SupervisorClient.exists(place), !isVisible(place) else { return }
        // One mount less for each that lies inside.
        binds.removeAll { $0.target.hasPrefix(place + "/") }
        binds.append(.init(source: place, target: place, access: .optional))
    }

    private func isVisible(_ place: String) -> Bool {
        binds.contains { place == $0.target || place.hasPrefix($0.target + "/") }
            || links.contains { place == $0.path || place.hasPrefix($0.path + "/") }
    }

    private static func destination(ofLink path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let length = readlink(path, &buffer, buffer.count)
        guard length > 0 else { return nil }
        return String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func resolved(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }
}
