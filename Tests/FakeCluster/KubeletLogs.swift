// The door of a node at which the API asks for logs: HTTPS with whatever certificate, as kubelets have it.

import Artifacts
import Executors
import Glibc
import Text

package final class KubeletLogs: Sendable {
    /// Between two looks at a log that somebody follows, in microseconds.
    private static let lookMicroseconds: UInt32 = 50_000

    /// Where the API finds it.
    package let port: Int
    private let listener: LineListener
    private let front: TLSFront
    private let kubelet: FakeKubelet

    package init(_ kubelet: FakeKubelet) async throws {
        self.kubelet = kubelet
        listener = try LineListener()
        front = try await TLSFront(
            chain: Array(TLSFixtures.addressChain.utf8), key: Array(TLSFixtures.addressKey.utf8),
            target: listener.port)
        port = front.port
        listener.start { [weak self] connection in
            while let request = connection.nextRequest() {
                guard self?.answer(request, connection) == true else { return }
            }
        }
    }

    package func stop() async {
        await front.stop()
        listener.stop()
    }

    /// `/containerLogs/NAMESPACE/POD/CONTAINER`; lines have their times, as all who ask here want them.
    /// - Returns: whether the connection goes on.
    private func answer(_ request: FakeAPIServer.Request, _ connection: LineConnection) -> Bool {
        let parts = request.path.split(separator: "/").map(String.init)
        guard parts.count == 4, parts[0] == "containerLogs",
            let uid = kubelet.uid(of: "\(parts[1])/\(parts[2])"),
            let path = kubelet.logPath(uid: uid, container: parts[3])
        else { return connection.send(404, ["message": "the node knows no such container"]) }
        guard connection.beginStream() else { return false }
        var file = NodeLog(path: path, since: request.query["sinceTime"].flatMap { Timestamp(rfc3339: $0) })
        while true {
            // Asked before the file is read: what is written until the end is in it.
            let isOver = request.query["follow"] != "true" || !isAtWork(path)
            guard connection.sendPiece(file.next()) else { return false }
            if isOver || connection.isGone { break }
            usleep(Self.lookMicroseconds)
        }
        connection.endStream()
        return false
    }

    private func isAtWork(_ path: String) -> Bool {
        switch SupervisorClient.state(of: Disk.parent(of: path)) {
        case .running, .neverStarted: true
        case .finished, .lost: false
        }
    }
}
