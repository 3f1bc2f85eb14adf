// Digests that say whether data, templates and settings are the same as before.

import Crypto
import Glibc
import Text

package enum ContentSHA256 {
    /// Of a text, in hexadecimal digits.
    package static func hex(of text: String) -> String { hex(SHA256.hash(data: Array(text.utf8))) }

    /// Of one file its own digest, as `sha256sum` prints it; of several that of the lines `digest  name`,
    /// which is `sha256sum` of all files in the order of their names, piped into `sha256sum`.
    package static func hex(of files: [DataFile]) throws -> String {
        if files.count == 1, let file = files.first { return try hex(ofFile: file.path) }
        var list = ""
        for file in files.sorted(by: { $0.name.precedesBytewise($1.name) }) {
            list += "\(try hex(ofFile: file.path))  \(file.name)\n"
        }
        return hex(of: list)
    }

    private static func hex(ofFile path: String) throws -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw readError(path) }
        defer { close(descriptor) }
        var hash = SHA256()
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let length = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if length < 0 && errno == EINTR { continue }
            guard length >= 0 else { throw readError(path) }
            if length == 0 { return hex(hash.finalize()) }
            buffer.withUnsafeBytes {
                hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: $0[..<length]))
            }
        }
    }

    private static func readError(_ path: String) -> EvaluationError {
        EvaluationError(
            path, problem: "cannot read the file: \(String(cString: strerror(errno)))",
            remedy: "check its owner and mode, and the disk")
    }

    private static func hex(_ digest: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
