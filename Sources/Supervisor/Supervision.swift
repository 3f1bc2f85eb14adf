// The loop over one attempt: output of the containers, orders by signal, ends, and the moments to act at.

import CLinux
import Glibc

/// One attempt from its marker to its result.
final class Supervision {
    /// How long a piece without end of line waits for the rest before it is shown.
    private static let partialPauseMilliseconds = 100
    /// How long a killed tree may take to go before its first process is killed from outside.
    private static let killLimitMilliseconds = 5_000

    private struct Pipe {
        var descriptor: Int32
        var stream: LogStream
        let feedsTail: Bool
        var mask: SecretMask
        var lastInput = 0
    }

    let spec: StepSpec
    let directory: AttemptDirectory
    private let signals: Int32
    private var launch = StepLaunch()
    private var plan: ContainerPlan?
    private var pipes: [Pipe] = []
    private var log: StepLog
    private var tail: OutputTail
    private var records: [ContainerRecord] = []
    private var viewFailure: String?
    private var stopReason: String?
    private var killAt: Int?
    private var abandonAt: Int?
    private var deadlineAt: Int?
    private var isEnding = false
    private var hasEnded = false
    private let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)

    init(spec: StepSpec, directory: AttemptDirectory, signals: Int32) {
        self.spec = spec
        self.directory = directory
        self.signals = signals
        log = StepLog(directory: directory.descriptor, limitBytes: spec.logLimitBytes)
        tail = OutputTail(limitBytes: spec.outputLimitBytes)
        records = spec.containers.map { ContainerRecord(name: String(cString: $0.name)) }
    }

    /// Returns the exit status of the process.
    func run() -> Int32 {
        do throws(SpecError) {
            var plan = try ContainerPlan(spec: spec)
            try launch.prepare(spec: spec)
            for index in plan.takeStarts(at: now()) { launch.order(start: index, endsTree: plan.isSingle) }
            self.plan = plan
            guard directory.markStarted() else { return alreadyStartedStatus }
            if let limit = spec.deadlineMilliseconds { deadlineAt = now() + limit }
            try launch.start(spec: spec)
        } catch {
            guard plan != nil || directory.markStarted() else { return alreadyStartedStatus }
            let result = StepResult(startFailure: error.text, code: 125)
            return directory.write(result: result) ? 0 : internalErrorStatus
        }
        makePipes()
        // Containers that wait for each other have ended before anything happens.
        act(at: now())
        while !hasEnded { turn() }
        return finish()
    }

    private func now() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }

    private func makePipes() {
        var ranks = 0
        for (index, container) in spec.containers.enumerated() {
            let name = String(cString: container.name)
            let (output, error) = launch.outputs[index]
            let isMain = container.role == .main
            var rank: Int?
            if plan?.isGroup == true, isMain || container.role == .rank {
                rank = ranks
                ranks += 1
            }
            pipes.append(
                Pipe(
                    descriptor: output, stream: LogStream(name: "stdout", container: name, rank: rank),
                    feedsTail: isMain,
                    mask: SecretMask(spec.covered)))
            pipes.append(
                Pipe(
                    descriptor: error, stream: LogStream(name: "stderr", container: name, rank: rank),
                    feedsTail: false,
                    mask: SecretMask(spec.covered)))
        }
    }

    // MARK: One turn of the loop

    private func turn() {
        // With a handful of descriptors poll needs fewer calls than setting up an epoll would.
        let readable = Int16(POLLIN)
        var polled = [
            pollfd(fd: launch.process, events: readable, revents: 0),
            pollfd(fd: signals, events: readable, revents: 0),
        ]
        // When everything is going down, what is left in sockets and pipes can be read after the last process
        // is gone; each of them closing would only wake this one for nothing.
        if !launch.isClosed {
            polled.append(pollfd(fd: launch.control, events: readable, revents: 0))
            for pipe in pipes { polled.append(pollfd(fd: pipe.descriptor, events: readable, revents: 0)) }
        }
        let count = poll(&polled, nfds_t(polled.count), waitMilliseconds())
        if count > 0 {
            if polled[0].revents != 0 { hasEnded = true }
            if polled[1].revents != 0 { readSignals() }
            for index in polled.indices.dropFirst(3) where polled[index].revents != 0 { readOnce(index - 3) }
            if polled.count > 2 && polled[2].revents != 0 { readReports() }
        }
        showPartialLines(at: now())
        log.flush()
        if !hasEnded { act(at: now()) }
    }

    private func waitMilliseconds() -> Int32 {
        let present = now()
        var moment: Int?
        let moments = [killAt, abandonAt, deadlineAt, plan?.nextRetry]
        for case let candidate? in moments { moment = min(moment ?? candidate, candidate) }
        for pipe in pipes where !pipe.stream.pending.isEmpty {
            let due = pipe.lastInput + Self.partialPauseMilliseconds
            moment = min(moment ?? due, due)
        }
        guard let moment else { return -1 }
        return Int32(clamping: max(0, moment - present))
    }

    private func act(at present: Int) {
        if let deadlineAt, deadlineAt <= present {
            self.deadlineAt = nil
            stop(reason: "deadline", graceMilliseconds: spec.graceMilliseconds, at: present)
        }
        if let killAt, killAt <= present {
            self.killAt = nil
            launch.order(signal: SIGKILL)
            abandonAt = present + Self.killLimitMilliseconds
        }
        if let abandonAt, abandonAt <= present {
            self.abandonAt = nil
            launch.kill()
        }
        for index in plan?.takeStarts(at: present) ?? [] { launch.order(start: index, endsTree: false) }
        guard let plan, plan.isWorkDone, !isEnding || !plan.isAnyRunning else { return }
        // A shell dies of SIGTERM at once while its program still saves its work: the grace is for all.
        if stopReason != nil && killAt != nil { return }
        endTree(at: present)
    }

    /// The work is done: sidecars get their grace, then whatever is left goes with the first process.
    private func endTree(at present: Int) {
        if plan?.isAnyRunning == true {
            isEnding = true
            plan?.stop()
            launch.order(signal: SIGTERM)
            if killAt == nil { killAt = present + spec.graceMilliseconds }
        } else if launch.closeOrders() {
            killAt = nil
            isEnding = true
            abandonAt = present + (spec.isolation == MARTLET_PLAIN ? 30_000 : Self.killLimitMilliseconds)
        }
    }

    private func stop(reason: String, graceMilliseconds: Int, at present: Int) {
        guard var plan else { return }
        if plan.isWorkDone || stopReason != nil {
            // The step has its outcome already; what is left is only hurried.
            if killAt != nil { killAt = min(killAt ?? present, present + graceMilliseconds) }
            return
        }
        stopReason = reason
        plan.stop()
        self.plan = plan
        if graceMilliseconds > 0 { launch.order(signal: SIGTERM) }
        killAt = present + graceMilliseconds
    }

    // MARK: What comes in

    private func readOnce(_ index: Int) {
        let length = read(pipes[index].descriptor, chunk.baseAddress, chunk.count)
        if length > 0 {
            take(UnsafeRawBufferPointer(rebasing: chunk[0..<length]), from: index, isEnd: false)
            pipes[index].lastInput = now()
        } else if length == 0 || (errno != EAGAIN && errno != EINTR) {
            close(pipes[index].descriptor)
            pipes[index].descriptor = -1
        }
    }

    /// Puts output into the log and the kept tail, secrets covered.
    private func take(_ bytes: UnsafeRawBufferPointer, from index: Int, isEnd: Bool) {
        log.stamp()
        guard !pipes[index].mask.isEmpty else { return keep(bytes, from: index) }
        pipes[index].mask.covering(bytes, isEnd: isEnd).withUnsafeBytes { keep($0, from: index) }
    }

    private func keep(_ bytes: UnsafeRawBufferPointer, from index: Int) {
        pipes[index].stream.append(bytes, to: &log)
        if pipes[index].feedsTail { tail.append(bytes) }
    }

    private func showPartialLines(at present: Int) {
        for index in pipes.indices where !pipes[index].stream.pending.isEmpty {
            guard present - pipes[index].lastInput >= Self.partialPauseMilliseconds else { continue }
            log.stamp()
            pipes[index].stream.flushPartial(to: &log)
        }
    }

    private func readSignals() {
        var signal = martlet_next_signal(signals)
        while signal != 0 {
            stop(
                reason: "cancelled", graceMilliseconds: signal == SIGUSR1 ? 0 : spec.graceMilliseconds,
                at: now())
            signal = martlet_next_signal(signals)
        }
    }

    private func readReports() {
        var report = martlet_report()
        while launch.receive(&report) {
            if report.kind == Int32(bitPattern: MARTLET_VIEW_FAILED.rawValue) {
                viewFailure = "sandbox: " + ContainerRecord.text(of: report)
                plan?.stop()
                continue
            }
            let index = Int(report.index)
            guard records.indices.contains(index) else { continue }
            records[index].note(report)
            let record = records[index]
            let didStart = record.reason != "startFailed"
            plan?.ended(index, succeeded: record.ending == .exited(0), didStart: didStart, at: now())
            if plan?.nextRetry != nil, case .delayed = plan?.items[index].state {
                records[index].retries += 1
            }
            if plan?.failure == index, !didStart || plan?.isGroup == true { stopAfterFailure() }
        }
    }

    /// A sidecar that cannot be started leaves main without what it needs, and so does a node of a group that fails.
    private func stopAfterFailure() {
        guard let plan, plan.isStopping, plan.isAnyRunning, stopReason == nil, killAt == nil else { return }
        launch.order(signal: SIGTERM)
        killAt = now() + spec.graceMilliseconds
    }

    // MARK: The end

    private func finish() -> Int32 {
        readReports()
        launch.reap(isPlain: spec.isolation == MARTLET_PLAIN)
        for index in pipes.indices { drain(index) }
        _ = directory.waitingForSpace { log.flush() }
        let isSaved = tail.save(in: directory)
        guard let plan else { return internalErrorStatus }
        var result: StepResult
        if let viewFailure {
            result = StepResult(startFailure: viewFailure, code: 125)
        } else {
            result = outcome(of: plan)
        }
        if !isSaved && result.message.isEmpty { result.message = "the end of the output could not be saved" }
        result.logLostBytes = log.lostBytes
        result.oomKilled = launch.removeCgroup()
        if directory.write(result: result) { return 0 }
        complain("cannot write the result: \(String(cString: strerror(errno)))")
        return internalErrorStatus
    }

    private func outcome(of plan: ContainerPlan) -> StepResult {
        for index in plan.items.indices where plan.items[index].state == .running {
            // Its first process was killed from outside, so nobody saw this container's own end.
            records[index].ending = .signaled(SIGKILL)
            var time = timespec()
            clock_gettime(CLOCK_REALTIME, &time)
            records[index].finishedNanoseconds = Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        }
        let deciding = records[plan.deciding]
        var result = StepResult(reason: stopReason ?? deciding.reason, deciding: deciding)
        result.message = deciding.message
        if deciding.name != "main" && deciding.exitCode != 0 {
            let how = deciding.message.isEmpty ? "exit code \(deciding.exitCode)" : deciding.message
            result.message = "container \(deciding.name): \(how)"
        }
        result.containers = records
        return result
    }

    private func drain(_ index: Int) {
        while pipes[index].descriptor >= 0 {
            let before = pipes[index].lastInput
            pipes[index].lastInput = -1
            readOnce(index)
            if pipes[index].lastInput == -1 {
                pipes[index].lastInput = before
                break
            }
        }
        // What waited as the possible beginning of a secret was none.
        take(UnsafeRawBufferPointer(start: nil, count: 0), from: index, isEnd: true)
        pipes[index].stream.flushPartial(to: &log)
    }
}
