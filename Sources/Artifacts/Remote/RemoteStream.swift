// The answer of a server that gives nothing but the whole, taken from its first byte on. A thread of its own receives,
// and waits while nobody takes.

/// Bytes of an answer in their order. One reader; its calls block.
package final class RemoteStream: Sendable {
    /// What may wait to be taken.
    private static let waitingLimitBytes = 4 << 20

    private struct State: Sendable {
        var head: AnswerHead?
        var pieces: [[UInt8]] = []
        var waitingBytes = 0
        var isEnded = false
        var failure: ArtifactError?
        /// Nobody will take any more.
        var isAbandoned = false
    }

    private let state: Monitor<State>

    /// Begins to ask. The request goes on until the answer has ended or the stream is let go; a server that says
    /// nothing is given up after the downloader's timeouts, so that no call here waits for ever.
    /// - Parameter range: what is asked for; a server that knows no ranges gives the whole.
    init(_ source: HTTPSource, range: Range<Int>) throws(ArtifactError) {
        let state = Monitor(State())
        self.state = state
        let request = try source.request(range)
        let status = SystemThread.start(stackBytes: Downloader.stackBytes) {
            let failure = Self.receive(request, source.downloader, state)
            state.change {
                $0.isEnded = true
                $0.failure = failure
            }
        }
        guard status == 0 else {
            throw ArtifactError(errno: status, path: source.name, while: "start a thread")
        }
    }

    deinit { state.change { $0.isAbandoned = true } }

    private static func receive(
        _ request: OutgoingRequest, _ downloader: Downloader, _ state: Monitor<State>
    ) -> ArtifactError? {
        do {
            let receiver = Receiver(state)
            let (head, end, answering) = try downloader.send(request, to: receiver)
            state.change { $0.head = $0.head ?? head }
            return downloader.failure(end, path: answering.shown).map { ArtifactError($0.error) }
        } catch let failure as ExchangeFailure {
            return ArtifactError(failure.error)
        } catch let error as DownloadError {
            return ArtifactError(error)
        } catch {
            return ArtifactError(.transfer, path: request.url.shown, problem: "\(error)")
        }
    }

    /// Puts what arrives into the state, and waits there for room.
    private final class Receiver: AnswerReceiver {
        private let state: Monitor<State>

        init(_ state: Monitor<State>) { self.state = state }

        var shouldStop: Bool { state.access { $0.isAbandoned } }

        func take(_ bytes: UnsafeRawBufferPointer, head: AnswerHead) -> Bool {
            let piece = Array(bytes)
            while true {
                let isTaken: Bool? = state.wait(atMost: .seconds(1)) { state in
                    if state.isAbandoned { return false }
                    return state.waitingBytes < RemoteStream.waitingLimitBytes ? true : nil
                }
                guard let isTaken else { continue }
                guard isTaken else { return false }
                state.change { state in
                    state.head = state.head ?? head
                    state.pieces.append(piece)
                    state.waitingBytes += piece.count
                }
                return true
            }
        }
    }

    /// Status and header fields; waits for them.
    func head() throws(ArtifactError) -> AnswerHead {
        while true {
            let found: Result<AnswerHead, ArtifactError>? = state.wait(atMost: .seconds(1)) { state in
                if let head = state.head, head.status != 0 { return .success(head) }
                guard state.isEnded else { return nil }
                return .failure(state.failure ?? Self.broken)
            }
            if let found { return try found.get() }
        }
    }

    /// The next bytes; nil behind the last. Waits for them.
    /// - Throws: `transfer` when the answer broke off.
    package func next() throws(ArtifactError) -> [UInt8]? {
        while true {
            let found: Result<[UInt8]?, ArtifactError>? = state.wait(atMost: .seconds(1)) { state in
                if !state.pieces.isEmpty {
                    let piece = state.pieces.removeFirst()
                    state.waitingBytes -= piece.count
                    return .success(piece)
                }
                guard state.isEnded else { return nil }
                if let failure = state.failure { return .failure(failure) }
                return .success(nil)
            }
            guard let found else { continue }
            // Wakes the thread that waits for room.
            state.change { _ in }
            return try found.get()
        }
    }

    private static let broken = ArtifactError(
        .transfer, path: "", problem: "the server closed the connection without an answer")
}
