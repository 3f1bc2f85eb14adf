// Reading artifacts that lie on other servers: how many at once, on which threads, with which keys, and what is told when
// it fails.

import Artifacts
import Executors
import NIOPosix
import Persistence
import Text
import WorkflowLanguage

enum RemoteReading {
    /// Artifacts of other servers that are read for somebody at the same time. Each holds a few MiB.
    static let limit = 32
    private static let gate = RequestGate(limit: limit)
    /// Threads that wait for those servers. They are made when the first is needed; the pool that reads disks must not
    /// wait for a network.
    private static let threads: NIOThreadPool = {
        let pool = NIOThreadPool(numberOfThreads: 16)
        pool.start()
        return pool
    }()

    static func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws
        -> Value
    {
        try await threads.runIfActive(body)
    }

    /// Takes a place for as long as the slot is kept.
    /// - Throws: 429 when all are taken.
    static func enter() throws -> RequestGate.Slot {
        if let slot = gate.enter() { return slot }
        var error = ServiceError.exhausted(
            "\(limit) artifacts of other servers are being read already; try again in a moment")
        error.headers = [("Retry-After", "2")]
        throw error
    }

    /// Looks an artifact up wherever it lies.
    /// - Parameter path: inside a directory artifact; empty for the artifact itself.
    /// - Returns: the content, with the place that is taken while it is read from another server.
    static func find(
        _ artifact: Artifact, path: String, namespace: String, _ context: ServiceContext
    ) async throws -> (content: ArtifactContent, slot: RequestGate.Slot?) {
        let parts = path.split(separator: "/").map(String.init)
        guard !parts.contains("."), !parts.contains("..") else {
            throw ServiceError.notFound("artifact \"\(artifact.name)\" has no file \"\(path.shortened)\"")
        }
        let path = parts.joined(separator: "/")
        guard !artifact.deleted else {
            throw ServiceError.notFound(
                "the bytes of artifact \"\(artifact.name)\" were deleted by garbage collection")
        }
        do {
            guard let remote = try RemoteArtifact(artifact) else {
                let store = context.artifacts
                let content = try await WorkflowRoutes.onThread {
                    try ArtifactContent.find(artifact, path: path, namespace: namespace, in: store)
                }
                return (content, nil)
            }
            let slot = try enter()
            let values = try await secrets(namespace, context.store)
            let content = try await onThread {
                do {
                    return try ArtifactContent.find(artifact, path: path, at: remote) {
                        values.secret($0, key: $1)
                    }
                } catch let error as ArtifactError {
                    throw elsewhere(error, artifact)
                }
            }
            return (content, slot)
        } catch let error as ArtifactError {
            throw told(error)
        }
    }

    /// Reads what was found, on the threads that suit where it lies.
    static func read<Value: Sendable>(
        isRemote: Bool, _ artifact: Artifact, _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        guard isRemote else { return try await WorkflowRoutes.onThread(body) }
        do {
            return try await onThread(body)
        } catch let error as ArtifactError {
            throw elsewhere(error, artifact)
        }
    }

    private static func secrets(_ namespace: String, _ store: Store) async throws -> LaunchValues {
        var values = LaunchValues()
        for row in try await store.definitions(.secret, namespace: namespace) {
            var body = row.body.objectValue ?? [:]
            body["kind"] = .string(DefinitionKind.secret.rawValue)
            values.secrets[row.name] = KeyedValues(.object(body))
        }
        return values
    }

    private static func told(_ error: ArtifactError) -> any Error {
        switch error.kind {
        case .notFound: ServiceError.notFound(error.description)
        case .unsupported: ServiceError.unimplemented(error.description)
        case .invalid: ServiceError(500, 15, error.description)
        case .permissionDenied, .noSpace, .transfer, .system: error
        }
    }

    /// What another server did is not this one's failure, and the reader learns what it was.
    private static func elsewhere(_ error: ArtifactError, _ artifact: Artifact) -> ServiceError {
        let text = "artifact \"\(artifact.name)\": \(error.description)"
        return switch error.kind {
        case .notFound: .notFound(text)
        case .unsupported, .invalid: .unimplemented(text)
        case .permissionDenied, .noSpace, .transfer, .system: ServiceError(502, 14, text)
        }
    }
}
