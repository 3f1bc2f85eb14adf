// What a launch is remembered by beside its pod: the name that was chosen for it, and what it came to.

import Artifacts
import Executors
import Scheduling
import Synchronization
import Text
import WorkflowLanguage

extension KubernetesExecutor {
    static func named(_ name: String, _ pod: JSONValue) -> JSONValue {
        guard var members = pod.objectValue, var metadata = pod["metadata"]?.objectValue else { return pod }
        metadata["name"] = .string(name)
        members["metadata"] = .object(metadata)
        return .object(members)
    }

    /// Another run's pod has the name that ours should have.
    struct NameTaken: Error {}

    private func namePath(_ key: AttemptKey) -> String {
        AttemptPaths.attempt(logs.dataDirectory, key: key) + "/pod-name"
    }

    /// The name that was chosen before this process began, so that no second pod is made when the usual name
    /// has become free since.
    func recallName(_ key: AttemptKey) async {
        let path = namePath(key)
        let bytes = try? await BlockingCall.run { try Disk.read(path, limitBytes: 1024) }
        if let bytes { setName(String(decoding: bytes, as: UTF8.self), key) }
    }

    func changeName(_ key: AttemptKey) async {
        guard let launch = state.withLock({ $0.attempts[key]?.launch }) else { return }
        let (path, name) = (namePath(key), PodNames.otherPod(launch))
        do {
            try await BlockingCall.run {
                try Disk.makeDirectories(Disk.parent(of: path))
                try Disk.replace(path, with: Array(name.utf8), durable: true)
            }
            setName(name, key)
        } catch {
            end(key, PodEnd(.error, "\(error)", .infrastructure))
        }
    }

    private func setName(_ name: String, _ key: AttemptKey) {
        state.withLock { state in
            guard let attempt = state.attempts[key] else { return }
            state.keys[Self.place(attempt.launch.namespace, attempt.podName)] = nil
            state.keys[Self.place(attempt.launch.namespace, name)] = key
            state.attempts[key]?.podName = name
        }
    }

    // MARK: Told before

    private func outcomePath(_ key: AttemptKey) -> String {
        AttemptPaths.attempt(logs.dataDirectory, key: key) + "/outcome"
    }

    /// What a launch came to that has ended already, though its pod may be gone.
    func toldOutcome(_ key: AttemptKey) async -> AttemptOutcome? {
        let path = outcomePath(key)
        let bytes = try? await BlockingCall.run { try Disk.read(path, limitBytes: 64 << 20) }
        return bytes.flatMap(AttemptOutcome.init(fileContent:))
    }

    func tellAgain(_ key: AttemptKey, _ outcome: AttemptOutcome) {
        state.withLock { state in
            guard let attempt = state.attempts.removeValue(forKey: key) else { return }
            state.keys[Self.place(attempt.launch.namespace, attempt.podName)] = nil
        }
        exchange.forget(key)
        reporter.yield(.finished(key, outcome))
    }

    /// Notes how a launch ended; what cannot be noted is seen again at its pod.
    func note(_ outcome: AttemptOutcome, _ key: AttemptKey) async {
        guard !outcome.isLost else { return }
        let path = outcomePath(key)
        _ = try? await BlockingCall.run {
            try Disk.makeDirectories(Disk.parent(of: path))
            try Disk.replace(path, with: outcome.fileContent, durable: false)
        }
    }
}
