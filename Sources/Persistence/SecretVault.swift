// Secrets in the database: AES-GCM, the key elsewhere. A row that is moved to another name does not open.

import Crypto
import Foundation
import GRDB
import Synchronization
import Text

/// Encrypts and decrypts the bodies of Secrets. The key is looked for when it is first needed.
final class SecretVault: Sendable {
    private static let scheme = "aes256gcm:"

    private let source: SecretKeySource
    private let dataDirectory: String
    private let known = Mutex<SecretKey?>(nil)

    init(source: SecretKeySource, dataDirectory: String) {
        self.source = source
        self.dataDirectory = dataDirectory
    }

    /// - Returns: what the columns `encryption` and `body` hold.
    func seal(_ body: String, namespace: String, name: String, _ database: Database) throws -> (
        encryption: String, body: String
    ) {
        let key = try keyForWriting(database)
        let box = try AES.GCM.seal(
            Array(body.utf8), using: key.key, authenticating: Self.owner(namespace, name))
        guard let bytes = box.combined else {
            throw StoreError.invalid(detail: "Secret \"\(name)\" could not be encrypted")
        }
        return (Self.scheme + key.id, bytes.base64EncodedString())
    }

    /// - Throws: `StoreError.keyMissing` with the names of all Secrets that need the same key.
    func open(_ body: String, encryption: String, namespace: String, name: String, _ database: Database)
        throws
        -> String
    {
        guard encryption.hasPrefix(Self.scheme) else {
            throw StoreError.invalid(
                detail: "Secret \"\(name)\" is encrypted with \(encryption), which this martlet does not know"
            )
        }
        guard let key = try key(), Self.scheme + key.id == encryption else {
            throw StoreError.keyMissing(
                secrets: try database.secretNames(encryption: encryption), place: source.place)
        }
        let bytes = Data(base64Encoded: body) ?? Data()
        do {
            let plain = try AES.GCM.open(
                AES.GCM.SealedBox(combined: bytes), using: key.key,
                authenticating: Self.owner(namespace, name))
            return String(decoding: plain, as: UTF8.self)
        } catch {
            throw StoreError.invalid(
                detail: """
                    Secret "\(name)" of namespace "\(namespace)" was changed in the database by another program, \
                    and cannot be read; set it again
                    """)
        }
    }

    private func key() throws -> SecretKey? {
        if let key = known.withLock({ $0 }) { return key }
        guard let key = try source.load(dataDirectory: dataDirectory) else { return nil }
        known.withLock { $0 = key }
        return key
    }

    /// The key, made if there never was one.
    private func keyForWriting(_ database: Database) throws -> SecretKey {
        if let key = try key() { return key }
        let orphans = try database.secretNames(encryption: nil)
        // A new key would hide that the old one is lost.
        guard orphans.isEmpty else {
            throw StoreError.keyMissing(secrets: orphans, place: source.place)
        }
        let key = try source.create(dataDirectory: dataDirectory)
        known.withLock { $0 = key }
        return key
    }

    /// What the ciphertext belongs to.
    private static func owner(_ namespace: String, _ name: String) -> [UInt8] {
        Array(JSONValue.array([.string("Secret"), .string(namespace), .string(name)]).compactText.utf8)
    }
}

extension Database {
    /// Encrypted Secrets as `namespace/name`, at most 20.
    fileprivate func secretNames(encryption: String?) throws -> [String] {
        try String.fetchAll(
            self,
            sql: """
                SELECT namespace || '/' || name FROM definitions
                WHERE kind = 'Secret' AND encryption <> '' AND ifnull(encryption = ?, 1)
                ORDER BY namespace, name LIMIT 20
                """, arguments: [encryption])
    }

    /// Encrypts the Secrets that an earlier version left as they were.
    /// - Returns: how many there were.
    func sealPlainSecrets(_ vault: SecretVault) throws -> Int {
        let rows = try Row.fetchAll(
            self,
            sql: "SELECT namespace, name, body FROM definitions WHERE kind = 'Secret' AND encryption = ''")
        for row in rows {
            let (namespace, name): (String, String) = (row[0], row[1])
            let sealed = try vault.seal(row[2], namespace: namespace, name: name, self)
            try run(
                """
                UPDATE definitions SET encryption = ?, body = ?
                WHERE kind = 'Secret' AND namespace = ? AND name = ?
                """, [sealed.encryption, sealed.body, namespace, name])
        }
        return rows.count
    }
}
