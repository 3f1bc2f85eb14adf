// What is said before steps go to a cluster.

import Artifacts
import Executors
import Kubernetes
import Testing

@testable import martlet

@Suite("Steps in a cluster")
struct ClusterExecutionTests {
    @Test(
        "Whoever lets steps do more than Pod Security restricted allows is told so",
        arguments: [
            (PodSecurityLevel.restricted, nil), (.baseline, "root"), (.privileged, "everything"),
        ] as [(PodSecurityLevel, String?)])
    func optingOut(level: PodSecurityLevel, word: String?) throws {
        let directory = "/tmp/martlet-cluster-\(Disk.uniqueSuffix())"
        defer { Disk.removeTree(directory) }
        let store = try LocalArtifactStore(directory: directory + "/artifacts")
        let local = try LocalExecutor(
            settings: LocalExecutorSettings(dataDirectory: directory, martletExecutablePath: "/bin/true"),
            store: store)
        var settings = KubernetesSettings()
        settings.pods.security = level
        // Which is not there: nothing is asked of any cluster.
        settings.kubeconfig = directory + "/kubeconfig"
        var said: [String] = []
        #expect(throws: CommandError.self) {
            try ClusterExecution.executor(
                settings, grace: 30, local: local, store: store, dataDirectory: directory,
                warn: { said.append($0) })
        }
        #expect(said.count == (word == nil ? 0 : 1))
        if let word {
            #expect(said.allSatisfy { $0.contains(word) && $0.contains("\"\(level.rawValue)\"") })
        }
    }
}
