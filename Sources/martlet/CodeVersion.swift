// Which code the built-in steps run, for the content cache: the version alone would not tell two builds apart.

import Artifacts
import Glibc

enum CodeVersion {
    /// The version and the digest of this program. Reading it takes a tenth of a second, once.
    static let text: String = {
        let program = Environment.executablePath
        let file = open(program, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return BuildInfo.version }
        defer { close(file) }
        var hash = ContentHash()
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = read(file, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            buffer.withUnsafeBytes { hash.update(.init(rebasing: $0[..<count])) }
        }
        return "\(BuildInfo.version) \(hash.finished().prefix(16))"
    }()
}
