// Runs the generations that one request asks for: all to their end, or as a stream of events.
import Inference
import Text

/// The generations of one request, begun.
struct GenerationRun: Sendable {
    let streams: [AsyncThrowingStream<GenerationUpdate, any Error>]
    let surroundings: ServerSurroundings
    let metrics: ServingMetrics
    /// When the request came.
    let start: Duration
    let timeout: Duration?
    private let admission: Admission

    /// What a request holds while it is answered.
    struct Admission: Sendable {
        /// Its place among the requests that are answered.
        var slot: RequestGate.Slot
        /// Places in the queue, one for each generation, given back with its first token.
        var queue: RequestGate.Slot
    }

    /// Hands the requests to the engine. If it takes one of them and not the next, the first is given up,
    /// because nobody iterates over its stream any more.
    init(
        _ requests: [GenerationRequest], service: any InferenceService, metrics: ServingMetrics,
        surroundings: ServerSurroundings, start: Duration, timeout: Duration?,
        admission: Admission
    ) async throws {
        var streams: [AsyncThrowingStream<GenerationUpdate, any Error>] = []
        for request in requests { streams.append(try await service.generate(request)) }
        self.streams = streams
        self.surroundings = surroundings
        self.metrics = metrics
        self.start = start
        self.timeout = timeout
        self.admission = admission
        metrics.update { counts in
            counts.choices.observe(Double(requests.count))
            for request in requests { counts.maxTokens.observe(Double(request.sampling.maxTokens)) }
        }
    }

    // MARK: Whole

    /// Waits for all generations to end. Throws the first error, giving up the others.
    func gather() async throws -> [GatheredChoice] {
        try await withThrowingTaskGroup(of: (Int, GatheredChoice)?.self) { group in
            defer { group.cancelAll() }
            for index in streams.indices {
                group.addTask {
                    var gathered = GatheredChoice()
                    try await follow(index) { gathered.add($0) }
                    return (index, gathered)
                }
            }
            if let timeout {
                group.addTask {
                    try await surroundings.sleep(timeout)
                    return nil
                }
            }
            var choices = streams.map { _ in GatheredChoice() }
            var remaining = choices.count
            while remaining > 0, let result = try await group.next() {
                guard let (index, choice) = result else {
                    throw APIError.generationTimeout(seconds: timeout?.inSeconds ?? 0)
                }
                choices[index] = choice
                remaining -= 1
            }
            return choices
        }
    }

    /// Passes on the updates of one generation and counts them, however it ends.
    private func follow(
        _ index: Int, _ body: (GenerationUpdate) async throws -> Void
    ) async throws {
        var timing = GenerationTiming(start: start)
        var reason: FinishReason?
        var isQueued = true
        defer {
            let (timing, reason, now) = (timing, reason, surroundings.now())
            metrics.update { timing.finish(reason, at: now, in: &$0) }
        }
        for try await update in streams[index] {
            if isQueued { admission.queue.leaveOne() }
            isQueued = false
            let now = surroundings.now()
            let before = timing
            timing = metrics.update { counts in
                var timing = before
                timing.record(update, at: now, in: &counts)
                return timing
            }
            reason = update.finishReason ?? reason
            try await body(update)
        }
        // A stream that ends because its task was cancelled ends without an error.
        if reason == nil { try Task.checkCancellation() }
    }

    // MARK: Streamed

    /// What the writer of a stream is woken by.
    enum Event: Sendable {
        case update(choice: Int, GenerationUpdate)
        case heartbeat
        /// Every generation ended.
        case complete
    }

    /// Limits of streams.
    struct StreamLimits: Sendable {
        /// Silence after which a comment is sent.
        var heartbeat: Duration
        /// How long a write may wait for a client that does not read.
        var writeTimeout: Duration
    }

    /// Calls `write` with the events as they come, those together that came together, until all generations
    /// ended. Throws what ended them before that; then every generation is given up.
    func stream(
        _ limits: StreamLimits, connection: ConnectionWatch,
        write: ([Event]) async throws -> Void
    ) async throws {
        // The capacity is what may wait between engine and connection, for all choices together.
        let mailbox = Mailbox<Event>(capacity: 16)
        let progress = WriteProgress()
        let registration = connection.whenGone {
            mailbox.close(ClientGone())
            // A client that only closed its sending side may still hold up a write.
            connection.close()
        }
        defer { registration.cancel() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            group.addTask { await produce(into: mailbox) }
            group.addTask {
                try await watch(limits, mailbox: mailbox, progress: progress, connection: connection)
            }
            if let timeout {
                group.addTask {
                    try await surroundings.sleep(timeout)
                    mailbox.close(APIError.generationTimeout(seconds: timeout.inSeconds))
                }
            }
            while true {
                let events = try await mailbox.take()
                progress.begin(at: surroundings.now())
                try await write(events)
                progress.end()
                if case .complete? = events.last { return }
            }
        }
    }

    /// Puts the updates of all generations into the mailbox, then `complete`; closes it on an error.
    private func produce(into mailbox: Mailbox<Event>) async {
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in streams.indices {
                    group.addTask {
                        try await follow(index) { try await mailbox.put(.update(choice: index, $0)) }
                    }
                }
                try await group.waitForAll()
            }
            try await mailbox.put(.complete)
        } catch {
            mailbox.close(error)
        }
    }

    /// Sends heartbeats, and closes connections that do not read.
    private func watch(
        _ limits: StreamLimits, mailbox: Mailbox<Event>, progress: WriteProgress, connection: ConnectionWatch
    ) async throws {
        var seen = -1
        while true {
            try await surroundings.sleep(limits.heartbeat)
            let now = surroundings.now()
            let (writes, since) = progress.state
            if let since, now - since >= limits.writeTimeout { connection.close() }
            if writes == seen && since == nil { mailbox.offer(.heartbeat) }
            seen = writes
        }
    }
}
