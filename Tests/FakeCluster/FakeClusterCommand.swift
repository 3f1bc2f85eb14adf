// `FakeCluster DIR PROGRAMS [KUBECONFIG]`: an API server and a node, or only a node for the cluster of
// KUBECONFIG. Writes DIR/kubeconfig and runs until it is ended.

import Artifacts
import Glibc
import Kubernetes
import Text

@main
enum FakeClusterCommand {
    @Sendable static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    static func main() async throws {
        signal(SIGPIPE, SIG_IGN)
        let words = CommandLine.arguments
        guard words.count >= 3 else {
            FileHandleText.error("usage: FakeCluster DIR PROGRAMS [KUBECONFIG]\n")
            exit(64)
        }
        let (directory, programs) = (words[1], words[2])
        try Disk.makeDirectories(directory)
        var access: ClusterAccess
        var server: FakeAPIServer?
        if words.count > 3 {
            access = try Kubeconfig(paths: [words[3]]).access(context: nil)
        } else {
            let fake = try FakeAPIServer(now: now)
            fake.start()
            server = fake
            access = ClusterAccess(server: fake.url)
            access.credentials.token = "kubelet"
            try Disk.replace(
                directory + "/kubeconfig", with: Array(kubeconfig(fake.url).utf8), durable: false)
        }
        let client = try KubernetesClient(access, now: now)
        var settings = FakeKubelet.Settings(directory: directory + "/pods", programs: programs)
        settings.schedules = server != nil
        let kubelet = try FakeKubelet(client: client, settings: settings)
        server?.setLogs { kubelet.logPath(uid: $0, container: $1) }
        FileHandleText.error("ready: \(access.server)\n")
        await kubelet.run()
    }

    static func kubeconfig(_ url: String) -> String {
        """
        apiVersion: v1
        kind: Config
        current-context: fake
        clusters:
        - name: fake
          cluster: {server: "\(url)"}
        users:
        - name: martlet
          user: {token: martlet}
        contexts:
        - name: fake
          context: {cluster: fake, user: martlet, namespace: default}

        """
    }
}

enum FileHandleText {
    static func error(_ text: String) {
        let bytes = Array(text.utf8)
        _ = write(2, bytes, bytes.count)
    }
}
