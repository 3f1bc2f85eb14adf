// Brings the logs of pods to where those of local steps lie, so that they outlive their pods and are read the
// same way.

import Artifacts
import Executors
import Glibc
import Scheduling
import Text

struct PodLogs: Sendable {
    /// A log is kept up to here, like a local step's.
    private static let limitBytes = 4 << 30
    private static let bufferBytes = 256 << 10
    private static let tries = 5

    let client: KubernetesClient
    let dataDirectory: String

    func path(_ key: AttemptKey) -> String { AttemptPaths.log(dataDirectory, key: key) }

    /// Reads the logs of all containers that ran, in the order in which they stand in the pod, and gives up
    /// after `limit`.
    func keep(_ pod: JSONValue, key: AttemptKey, limit: Duration) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await read(pod, key) }
            group.addTask { try? await Task.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
    }

    private func read(_ pod: JSONValue, _ key: AttemptKey) async {
        let names = Self.containers(of: pod)
        guard let name = pod["metadata"]?["name"]?.stringValue,
            let namespace = pod["metadata"]?["namespace"]?.stringValue, !names.isEmpty
        else { return }
        let path = path(key)
        do {
            try Disk.makeDirectories(Disk.parent(of: path))
            let file = open(path + ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
            guard file >= 0 else { return }
            defer { close(file) }
            for container in names {
                try await copy(container, of: name, namespace, to: file, path)
            }
            if !Task.isCancelled { rename(path + ".new", path) }
        } catch {
            unlink(path + ".new")
        }
    }

    /// Writes one container's log behind what is there. An answer that breaks off is asked for again, from its
    /// beginning.
    private func copy(
        _ container: String, of pod: String, _ namespace: String, to file: Int32, _ path: String
    ) async throws {
        let tag = Array((container == "main" ? " stdout F " : " stdout:\(container) F ").utf8)
        let start = lseek(file, 0, SEEK_END)
        for attempt in 1...Self.tries {
            var text: [UInt8] = []
            var size = 0
            do {
                try await client.log(namespace: namespace, pod: pod, container: container, follows: false) {
                    line in
                    guard size < Self.limitBytes else { return }
                    let space = line.firstIndex(of: 32) ?? line.endIndex
                    text += line[..<space]
                    text += tag
                    text += line[min(space + 1, line.endIndex)...]
                    text.append(10)
                    size += line.count
                    if text.count > Self.bufferBytes {
                        try Disk.append(text, to: file, path: path)
                        text.removeAll(keepingCapacity: true)
                    }
                }
                return try Disk.append(text, to: file, path: path)
            } catch let error as KubernetesError {
                // A container that never was has no log.
                guard error.isPassing, attempt < Self.tries else { return }
                ftruncate(file, start)
                lseek(file, start, SEEK_SET)
                try await Task.sleep(for: .milliseconds(200 * attempt))
            }
        }
    }

    /// The manifest's containers that have begun; ours only when they failed.
    private static func containers(of pod: JSONValue) -> [String] {
        ["initContainerStatuses", "containerStatuses"].flatMap { list in
            (pod["status"]?[list]?.arrayValue ?? []).compactMap { status -> String? in
                guard let name = status["name"]?.stringValue else { return nil }
                let ended = status["state"]?["terminated"]
                guard ended != nil || status["state"]?["running"] != nil else { return nil }
                if name.hasPrefix("martlet-") && (ended?["exitCode"]?.intValue ?? 0) == 0 { return nil }
                return name
            }
        }
    }
}
