// Where in a cluster a data directory has ever had objects: noted before the first is made, so that what a crash or
// a cluster that was away has left there can be looked for later.

import Artifacts
import Synchronization

final class ClusterTraces: Sendable {
    /// The value of the label by which the objects of this data directory are found.
    let dataMark: String
    private let directory: String
    private let noted = Mutex<Set<String>>([])

    init(_ dataDirectory: String, _ dataMark: String) {
        directory = dataDirectory + "/cluster-namespaces"
        self.dataMark = dataMark
    }

    /// Notes that something is about to be made in a namespace.
    /// - Throws: when it cannot be written.
    func note(_ namespace: String) async throws {
        // Another name is refused by the cluster, too.
        guard Self.isName(namespace), noted.withLock({ !$0.contains(namespace) }) else { return }
        let (directory, path) = (directory, "\(directory)/\(namespace)")
        try await BlockingCall.run {
            guard !Disk.exists(path) else { return }
            try Disk.makeDirectories(directory)
            try Disk.replace(path, with: [], durable: true)
        }
        noted.withLock { _ = $0.insert(namespace) }
    }

    /// In order of their names.
    func namespaces() async throws -> [String] {
        let directory = directory
        return try await BlockingCall.run { (Disk.list(directory) ?? []).filter(Self.isName).sorted() }
    }

    private static func isName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= PodNames.labelLimit && text == PodNames.dnsName(text)
            && !text.contains(".")
    }
}
