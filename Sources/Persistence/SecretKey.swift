// The key that Secrets are encrypted with: where it is kept, and how it is made.

import Crypto
import Foundation
import Glibc

/// A key of 256 bits.
package struct SecretKey: Sendable {
    static let byteCount = 32

    /// Names the key in the database without telling anything of it.
    package let id: String
    let key: SymmetricKey

    /// - Returns: nil unless there are 32 bytes.
    package init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        key = SymmetricKey(data: bytes)
        let digest = SHA256.hash(data: Array("martlet secret key ".utf8) + bytes)
        id = digest.prefix(8).map { String(format: "%02x", $0) }.joined()
    }

    /// - Parameter text: 32 bytes in base64, blanks around it allowed.
    package init?(base64 text: String) {
        guard let data = Data(base64Encoded: text.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            return nil
        }
        self.init(bytes: Array(data))
    }

    static func random() -> [UInt8] { SymmetricKey(size: .bits256).withUnsafeBytes(Array.init) }
}

/// Where the key comes from. Nothing is read or made before a Secret is.
package enum SecretKeySource: Sendable, Hashable {
    /// 32 bytes in base64, as `MARTLET_SECRET_KEY` has them.
    case text(String)
    /// A file with 32 bytes, as they are or in base64; made with the first Secret if it is not there.
    case file(String)

    /// What the environment says: `MARTLET_SECRET_KEY`, else the file `MARTLET_SECRET_KEY_FILE`, else
    /// `martlet/secret.key` in the directory of the user's settings.
    /// - Parameter environment: nil for this process's own.
    package static func standard(_ environment: [String: String]? = nil) -> SecretKeySource {
        func value(_ name: String) -> String? {
            let text = environment.map { $0[name] } ?? getenv(name).map { String(cString: $0) }
            return text.flatMap { $0.isEmpty ? nil : $0 }
        }
        if let text = value("MARTLET_SECRET_KEY") { return .text(text) }
        if let file = value("MARTLET_SECRET_KEY_FILE") { return .file(file) }
        let settings = value("XDG_CONFIG_HOME") ?? (value("HOME") ?? NSHomeDirectory()) + "/.config"
        return .file(settings + "/martlet/secret.key")
    }

    /// For messages.
    package var place: String {
        switch self {
        case .text: "$MARTLET_SECRET_KEY"
        case .file(let path): path
        }
    }

    /// The key; nil if its file is not there.
    func load(dataDirectory: String) throws -> SecretKey? {
        switch self {
        case .text(let text):
            guard let key = SecretKey(base64: text) else {
                throw StoreError.invalid(
                    detail: """
                        $MARTLET_SECRET_KEY is not a key: it needs 32 bytes in base64; \
                        `head -c 32 /dev/urandom | base64` makes one
                        """)
            }
            return key
        case .file(let path):
            try refuse(path, inside: dataDirectory)
            return try Self.read(path)
        }
    }

    /// Makes the key's file, unless another process was faster; then that one's key counts.
    func create(dataDirectory: String) throws -> SecretKey {
        guard case .file(let path) = self else {
            throw StoreError.invalid(detail: "the key in $MARTLET_SECRET_KEY cannot be made anew")
        }
        try refuse(path, inside: dataDirectory)
        let directory = (path as NSString).deletingLastPathComponent
        try Store.createDirectory(directory.isEmpty ? "." : directory)
        let partial = "\(path).\(UUID().uuidString).partial"
        defer { unlink(partial) }
        let text = Data(SecretKey.random()).base64EncodedString() + "\n"
        let descriptor = Glibc.open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure(path) }
        let bytes = Array(text.utf8)
        let isWritten = write(descriptor, bytes, bytes.count) == bytes.count && fsync(descriptor) == 0
        close(descriptor)
        // A link fails where a file is, so that no key is ever replaced.
        guard isWritten, link(partial, path) == 0 || errno == EEXIST else { throw Self.failure(path) }
        try synchronizeToDisk(directory.isEmpty ? "." : directory)
        guard let key = try Self.read(path) else { throw Self.failure(path) }
        return key
    }

    private static func read(_ path: String) throws -> SecretKey? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw StoreError.io(path: path, detail: "the key of Secrets is not readable for this user")
        }
        let bytes = Array(data)
        guard let key = SecretKey(bytes: bytes) ?? SecretKey(base64: String(decoding: bytes, as: UTF8.self))
        else {
            throw StoreError.invalid(
                detail: "\(path) is not a key of Secrets: it needs 32 bytes, as they are or in base64")
        }
        return key
    }

    private func refuse(_ path: String, inside dataDirectory: String) throws {
        let data = Self.canonical(dataDirectory)
        guard Self.canonical(path).hasPrefix(data.hasSuffix("/") ? data : data + "/") else { return }
        throw StoreError.invalid(
            detail: """
                the key \(path) lies in the data directory \(dataDirectory): whoever copies the directory would have \
                the Secrets and their key; move it elsewhere and set MARTLET_SECRET_KEY_FILE to its new place
                """)
    }

    private static func canonical(_ path: String) -> String {
        // The file may be missing, its directory too: links of what is there count.
        let url = URL(fileURLWithPath: path).standardizedFileURL
        let directory = url.deletingLastPathComponent().resolvingSymlinksInPath().path
        let whole = url.resolvingSymlinksInPath().path
        if FileManager.default.fileExists(atPath: url.path) { return whole }
        return (directory == "/" ? "" : directory) + "/" + url.lastPathComponent
    }

    private static func failure(_ path: String) -> StoreError {
        .io(path: path, detail: "the key of Secrets cannot be made: \(String(cString: strerror(errno)))")
    }
}
