// Secrets at rest: what is stored can be read with the key alone, and found nowhere without it.

import Foundation
import Testing
import Text
import WorkflowLanguage

@testable import Persistence

@Suite struct SecretTests {
    let directory: TemporaryDirectory
    let canary = "canary-7f3a9c51e0"

    init() throws { directory = try TemporaryDirectory() }

    var keyFile: String { directory.path + "/keys/secret.key" }

    func secret(_ value: String) -> JSONValue {
        .object(["kind": "Secret", "stringData": .object(["token": .string(value)])])
    }

    func put(_ store: Store, _ value: String, name: String = "keys") async throws {
        try await store.putDefinition(
            .secret, namespace: "ml", name: name, body: secret(value), at: Timestamp(seconds: 1))
    }

    /// The files below the test's directory that hold the canary, plain or in base64.
    func filesWithCanary() throws -> [String] {
        let needles = [Data(canary.utf8), Data(Data(canary.utf8).base64EncodedString().utf8)]
        let files = FileManager.default.enumerator(atPath: directory.path)?.allObjects as? [String] ?? []
        return files.filter { file in
            guard let bytes = FileManager.default.contents(atPath: "\(directory.path)/\(file)") else {
                return false
            }
            return needles.contains { bytes.range(of: $0) != nil }
        }
    }

    @Test("A secret is in no byte of the data directory or of a backup, and its key is for the owner only")
    func canaryInNoFile() async throws {
        let store = try directory.open()
        try await put(store, canary)
        try await put(store, "before", name: "other")
        try await put(store, canary, name: "other")
        try await store.backup(to: directory.path + "/backup.db")
        #expect(try await store.definition(.secret, namespace: "ml", name: "keys")?.body == secret(canary))
        #expect(try await store.catalog(namespace: "ml").secrets["other"]?.values == ["token": canary])
        #expect(try filesWithCanary() == [])
        try await store.deleteDefinition(.secret, namespace: "ml", name: "keys")
        try store.close()
        #expect(try filesWithCanary() == [])
        let mode = try FileManager.default.attributesOfItem(atPath: keyFile)[.posixPermissions] as? Int
        #expect(mode == 0o600)
    }

    @Test("No key is made before there is a secret") func noKeyBefore() async throws {
        let store = try directory.open()
        try await store.insertWorkflow(.sample("a"))
        _ = try await store.catalog(namespace: "ml")
        #expect(!FileManager.default.fileExists(atPath: keyFile))
    }

    @Test("The same value twice is encrypted differently, and counts as no change") func nonces() async throws
    {
        let store = try directory.open()
        for name in ["a", "b"] { try await put(store, canary, name: name) }
        let rows = try await store.read { try $0.storedBodies() }
        #expect(Set(rows).count == 2)
        let before = try await store.latestDefinitionRevision()
        try await put(store, canary, name: "a")
        #expect(try await store.latestDefinitionRevision() == before)
    }

    @Test("Plain secrets of an earlier version are encrypted when the database is opened, in its copies too")
    func conversion() async throws {
        let old = try Store.open(
            dataDirectory: directory.data, readOnly: false, migrations: Array(Migration.all.prefix(4)))
        try await old.execute(
            """
            INSERT INTO definitions (kind, namespace, name, body, generation, resource_version, created_at, updated_at)
            VALUES ('Secret', 'ml', 'keys', '\(secret(canary).compactText)', 1, 1, 1, 1),
                ('Secret', 'ml', 'gone', '\(secret(canary + String(repeating: "x", count: 9000)).compactText)',
                    1, 2, 1, 1);
            DELETE FROM definitions WHERE name = 'gone';
            UPDATE counters SET value = 2 WHERE name = 'resource_version';
            """)
        try old.close()
        #expect(try !filesWithCanary().isEmpty)
        let store = try directory.open()
        #expect(try filesWithCanary() == [])
        let files = try FileManager.default.contentsOfDirectory(atPath: directory.data)
        #expect(files.contains("martlet.db.v4.backup"))
        #expect(try await store.definition(.secret, namespace: "ml", name: "keys")?.body == secret(canary))
        #expect(try await store.setting("secrets.sweep") == nil)
        try await store.verify()
        #expect(try Snapshot.verify(directory.data + "/martlet.db.v4.backup").version == 4)
    }

    @Test("A lost key is named with the secrets that need it, and a new value may replace an old one")
    func lostKey() async throws {
        let store = try directory.open()
        try await put(store, canary, name: "a")
        try await put(store, canary, name: "b")
        try store.close()
        try FileManager.default.moveItem(atPath: keyFile, toPath: keyFile + ".moved")
        let without = try directory.open()
        let error = await storeError {
            _ = try await without.definition(.secret, namespace: "ml", name: "a")
        }
        #expect(error == .keyMissing(secrets: ["ml/a", "ml/b"], place: keyFile))
        #expect(error?.message.contains("MARTLET_SECRET_KEY_FILE") == true)
        // No new key hides that the old one is lost.
        #expect(await storeError { try await put(without, "x", name: "c") } == error)
        #expect(!FileManager.default.fileExists(atPath: keyFile))
        try without.close()
        let other = try Store.open(
            dataDirectory: directory.data,
            secretKey: .text(Data(repeating: 7, count: 32).base64EncodedString()))
        #expect(await storeError { _ = try await other.definitions(.secret) } != nil)
        try await put(other, "new", name: "a")
        #expect(try await other.definition(.secret, namespace: "ml", name: "a")?.body == secret("new"))
        try await other.deleteDefinition(.secret, namespace: "ml", name: "b")
        #expect(try await other.definitions(.secret).map(\.body) == [secret("new")])
    }

    @Test("A row under another name, or changed in one byte, is not read") func tampering() async throws {
        let store = try directory.open()
        try await put(store, canary, name: "a")
        try await store.execute("UPDATE definitions SET name = 'b' WHERE kind = 'Secret'")
        let moved = await storeError { _ = try await store.definition(.secret, namespace: "ml", name: "b") }
        #expect(moved?.message.contains("changed in the database") == true)
        try await store.execute(
            """
            UPDATE definitions SET name = 'a', body = 'AAAA' || substr(body, 5) WHERE kind = 'Secret'
            """)
        let changed = await storeError { _ = try await store.definition(.secret, namespace: "ml", name: "a") }
        #expect(changed?.message.contains("changed in the database") == true)
    }

    @Test("A key inside the data directory is refused, also by way of a link") func keyInside() async throws {
        let inside = try Store.open(
            dataDirectory: directory.data, secretKey: .file(directory.data + "/keys/../secret.key"))
        let error = await storeError { try await put(inside, "x") }
        #expect(error?.message.contains("lies in the data directory") == true)
        try FileManager.default.createSymbolicLink(
            atPath: directory.path + "/link", withDestinationPath: directory.data)
        let linked = try Store.open(
            dataDirectory: directory.data, secretKey: .file(directory.path + "/link/secret.key"))
        #expect(await storeError { try await put(linked, "x") } != nil)
        #expect(!FileManager.default.fileExists(atPath: directory.data + "/secret.key"))
    }

    @Test(
        "What is no key is refused with what a key looks like",
        arguments: ["", "short", "!!!!", Data(repeating: 1, count: 31).base64EncodedString()])
    func badKeys(text: String) async throws {
        let store = try Store.open(dataDirectory: directory.data, secretKey: .text(text))
        #expect(await storeError { try await put(store, "x") }?.message.contains("32 bytes") == true)
    }

    @Test("The environment says where the key is") func places() {
        #expect(
            SecretKeySource.standard(["MARTLET_SECRET_KEY": "k", "MARTLET_SECRET_KEY_FILE": "f"])
                == .text("k"))
        #expect(SecretKeySource.standard(["MARTLET_SECRET_KEY_FILE": "/f", "HOME": "/h"]) == .file("/f"))
        #expect(
            SecretKeySource.standard(["XDG_CONFIG_HOME": "/c", "HOME": "/h"])
                == .file("/c/martlet/secret.key"))
        #expect(SecretKeySource.standard(["HOME": "/h"]) == .file("/h/.config/martlet/secret.key"))
    }

    @Test("Stores of several processes agree on one key") func race() async throws {
        let stores = try (0..<4).map { _ in try directory.open() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, store) in stores.enumerated() {
                group.addTask { try await put(store, "v", name: "s\(index)") }
            }
            try await group.waitForAll()
        }
        #expect(try await stores[0].definitions(.secret).count == 4)
    }
}
