// Which file of the machine a path of the step means, before, while and after the step runs.

import Artifacts
import Glibc

/// The step's paths. In a sandbox the attempt's `root` is `/` and the mounts lie over it; in the plain mode
/// paths are the machine's own.
struct StepView: Sendable {
    struct Mount: Sendable, Hashable {
        /// In the step's view; absolute and normal.
        var target: String
        /// On the machine.
        var source: String
        var readOnly: Bool
    }

    /// A path that leads in circles.
    private static let linkLimit = 40

    let root: String
    let isPlain: Bool
    /// Longest target first.
    private(set) var mounts: [Mount] = []

    init(root: String, isPlain: Bool) {
        self.root = root
        self.isPlain = isPlain
    }

    mutating func add(_ mount: Mount) {
        mounts.removeAll { $0.target == mount.target }
        mounts.append(mount)
        mounts.sort { $0.target.utf8.count > $1.target.utf8.count }
    }

    /// The mount that a normal path lies in or is.
    func mount(of path: String) -> Mount? {
        mounts.first { path == $0.target || path.hasPrefix($0.target == "/" ? "/" : $0.target + "/") }
    }

    /// Where a normal path lies on the machine, links not looked at.
    func machinePath(_ path: String) -> String {
        if isPlain { return path }
        guard let mount = mount(of: path) else { return path == "/" ? root : root + path }
        return mount.source + path.dropFirst(mount.target == "/" ? 0 : mount.target.utf8.count)
    }

    /// Where a path of the step leads on the machine. Links are followed as the step would, never out of its
    /// view: what a step left behind must not make this process read or write elsewhere. Parts that do not
    /// exist stay as they are. In the plain mode the step has the machine's view, and nothing is to be kept
    /// apart.
    /// - Parameter followsLast: whether a link at the very end is followed too.
    func resolve(_ path: String, followsLast: Bool = true) throws(ArtifactError) -> String {
        if isPlain { return path }
        var pending = Array(Self.normal(path).split(separator: "/").map(String.init).reversed())
        var done: [String] = []
        var links = 0
        while let name = pending.popLast() {
            if name == ".." {
                _ = done.popLast()
                continue
            }
            if name == "." { continue }
            let here = machinePath("/" + (done + [name]).joined(separator: "/"))
            if !pending.isEmpty || followsLast, let target = Disk.linkTarget(here) {
                links += 1
                guard links <= Self.linkLimit else {
                    throw ArtifactError(errno: ELOOP, path: path, while: "follow links")
                }
                if target.hasPrefix("/") { done = [] }
                pending += target.split(separator: "/").map(String.init).reversed()
            } else {
                done.append(name)
            }
        }
        return machinePath("/" + done.joined(separator: "/"))
    }

    /// Where a link of the root leads: `/usr/lib` for `/lib`.
    static func destination(of link: SupervisorSpec.Link) -> String {
        normal(
            link.destination.hasPrefix("/")
                ? link.destination : "\(Disk.parent(of: link.path))/\(link.destination)")
    }

    /// A normal path with a link of the root at its beginning followed.
    static func following(_ links: [SupervisorSpec.Link], _ path: String) -> String {
        guard let link = links.first(where: { path.hasPrefix($0.path + "/") }) else { return path }
        return destination(of: link) + path.dropFirst(link.path.utf8.count)
    }

    /// Absolute, without empty parts, `.` and `..`.
    static func normal(_ path: String) -> String {
        var parts: [Substring] = []
        for part in path.split(separator: "/") {
            switch part {
            case ".": continue
            case "..": _ = parts.popLast()
            default: parts.append(part)
            }
        }
        return "/" + parts.joined(separator: "/")
    }
}
