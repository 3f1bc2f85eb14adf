// A store in a directory of its own that goes when the test ends, and rows to fill it with.

import Foundation
import Scheduling
import Text

@testable import Persistence

/// A data directory under the system's temporary directory, removed with this object.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path =
            FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// A data directory that does not exist yet.
    var data: String { path + "/data" }
    var database: String { data + "/martlet.db" }

    func open(readOnly: Bool = false) throws -> Store {
        try Store.open(dataDirectory: data, readOnly: readOnly, secretKey: .file(path + "/keys/secret.key"))
    }

    /// Writes over a part of a file.
    func overwrite(_ file: String, at offset: UInt64, with bytes: [UInt8]) throws {
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: file))
        try handle.seek(toOffset: offset)
        try handle.write(contentsOf: Data(bytes))
        try handle.close()
    }
}

extension WorkflowRow {
    /// A run of namespace "ml", made at second `second`.
    static func sample(
        _ name: String, namespace: String = "ml", phase: String = "Running", second: Int = 1000,
        labels: [String: String] = [:], revision: Int64 = 0
    ) -> WorkflowRow {
        WorkflowRow(
            summary: WorkflowSummary(
                uid: "uid-\(namespace)-\(name)", namespace: namespace, name: name, phase: phase,
                createdAt: Timestamp(seconds: second), labels: labels, revision: revision),
            manifest: .object(["kind": "Workflow", "spec": .object(["entrypoint": "main"])]),
            state: .object(["step": 1]))
    }
}

extension Node {
    static func sample(_ name: String, sequence: Int, phase: Phase = .running) -> Node {
        var node = Node(
            id: Node.id(workflow: "w", nodeName: name), name: name, displayName: name, type: .pod,
            phase: phase,
            sequence: sequence)
        node.templateName = "train"
        node.startedAt = Timestamp(nanoseconds: 1_000_000_000_123 + Int64(sequence))
        node.parents = ["w"]
        return node
    }
}

/// The store's error that `body` ends with; nil if it succeeds or ends with another.
func storeError(_ body: () async throws -> Void) async -> StoreError? {
    do {
        try await body()
        return nil
    } catch { return error as? StoreError }
}
