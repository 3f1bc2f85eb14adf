// A directory for one test, deleted with the value that holds it.

import Artifacts
import Glibc

final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = "/tmp/martlet-test-\(Disk.uniqueSuffix())"
        try Disk.makeDirectories(path)
    }

    deinit { Disk.removeTree(path) }

    func write(_ text: String, to name: String, mode: UInt32 = 0o644) throws {
        try Disk.makeDirectories(Disk.parent(of: "\(path)/\(name)"))
        try Disk.write(Array(text.utf8), to: "\(path)/\(name)")
        chmod("\(path)/\(name)", mode)
    }

    func read(_ name: String) throws -> String {
        String(decoding: try Disk.read("\(path)/\(name)", limitBytes: 1 << 20), as: UTF8.self)
    }

    /// Every path below, with what it is: `a/b 644 text`, `c -> target`, `d/ 755`.
    func listing(_ name: String) -> [String] {
        var lines: [String] = []
        for entry in (Disk.list("\(path)/\(name)") ?? []).sorted() {
            let inside = "\(name)/\(entry)"
            guard let status = Disk.status("\(path)/\(inside)") else { continue }
            let shown = inside.split(separator: "/").dropFirst().joined(separator: "/")
            let mode = String(status.mode, radix: 8)
            switch status.kind {
            case .directory: lines += ["\(shown)/ \(mode)"] + listing(inside)
            case .link: lines.append("\(shown) -> \(Disk.linkTarget("\(path)/\(inside)") ?? "")")
            default: lines.append("\(shown) \(mode) \((try? read(inside)) ?? "")")
            }
        }
        return lines
    }
}
