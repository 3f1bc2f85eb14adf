// Holds what ties the supervisor to the step's first process: pipes, control socket, pidfd and cgroup.

import CLinux
import Glibc

struct StepLaunch {
    /// Read ends of each container's standard output and error.
    private(set) var outputs: [(Int32, Int32)] = []
    private(set) var control: Int32 = -1
    private(set) var process: Int32 = -1
    private var processNumber: pid_t = -1
    private var stepControl: Int32 = -1
    private var stepOutputs: [(Int32, Int32)] = []
    /// Whether the first process was told to end.
    private(set) var isClosed = false
    private var cgroup: StepCgroup?

    /// Opens everything; nothing runs yet. Orders given from now on wait in the socket.
    mutating func prepare(spec: StepSpec) throws(SpecError) {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw Self.failure("socketpair") }
        (control, stepControl) = (ends[0], ends[1])
        for _ in spec.containers {
            let output = try Self.makePipe()
            let error = try Self.makePipe()
            outputs.append((output.read, error.read))
            stepOutputs.append((output.write, error.write))
        }
        cgroup = StepCgroup(spec: spec)
    }

    private static func failure(_ what: String) -> SpecError {
        SpecError(text: "\(what): \(String(cString: strerror(errno)))")
    }

    private static func makePipe() throws(SpecError) -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        let result = martlet_pipe(&ends)
        if result < 0 { throw SpecError(text: "pipe: \(String(cString: strerror(-result)))") }
        return (ends[0], ends[1])
    }

    mutating func start(spec: StepSpec) throws(SpecError) {
        let isPlain = spec.isolation == MARTLET_PLAIN
        // Should the first process be killed, its orphans come here and not to the machine's init.
        if isPlain { _ = martlet_become_subreaper() }
        var containers: [martlet_container] = []
        for (index, container) in spec.containers.enumerated() {
            containers.append(
                martlet_container(
                    arguments: Self.stable(container.arguments),
                    environment: Self.stable(container.environment),
                    working_directory: container.workingDirectory,
                    output_fd: stepOutputs[index].0, error_fd: stepOutputs[index].1))
        }
        let mask = spec.processors.flatMap { ProcessorSet(list: String(cString: $0)) }
        let number = spec.entries.withUnsafeBufferPointer { entries in
            containers.withUnsafeBufferPointer { containers in
                (mask?.words ?? []).withUnsafeBufferPointer { words in
                    var step = martlet_step(
                        isolation: Int32(bitPattern: spec.isolation.rawValue),
                        private_tmp: spec.privateTemporaryDirectory ? 1 : 0, root: spec.root,
                        entries: entries.baseAddress, entry_count: Int32(entries.count),
                        containers: containers.baseAddress, container_count: Int32(containers.count),
                        control_fd: stepControl, cgroup_fd: cgroup?.descriptor ?? -1,
                        cpu_mask: mask == nil ? nil : words.baseAddress)
                    return martlet_step_start(&step, &process)
                }
            }
        }
        if number < 0 {
            errno = -number
            throw Self.failure("clone")
        }
        processNumber = number
        close(stepControl)
        for (output, error) in stepOutputs {
            close(output)
            close(error)
        }
    }

    /// The first process reads these for as long as it lives, so they are never freed.
    private static func stable(_ strings: [StepSpec.CString?]) -> UnsafePointer<StepSpec.CString?> {
        let copy = UnsafeMutablePointer<StepSpec.CString?>.allocate(capacity: strings.count)
        copy.initialize(from: strings, count: strings.count)
        return UnsafePointer(copy)
    }

    // MARK: Orders and reports

    func order(start index: Int, endsTree: Bool) {
        let kind = endsTree ? MARTLET_START_LAST : MARTLET_START
        send(martlet_command(kind: Int32(bitPattern: kind.rawValue), index: Int32(index), signal: 0))
    }

    func order(signal: Int32) {
        send(martlet_command(kind: Int32(bitPattern: MARTLET_SIGNAL.rawValue), index: -1, signal: signal))
    }

    private func send(_ command: martlet_command) {
        var command = command
        Glibc.send(control, &command, MemoryLayout<martlet_command>.size, Int32(MSG_NOSIGNAL))
    }

    /// Tells the first process to take down what is left. False when it was told before.
    mutating func closeOrders() -> Bool {
        if isClosed { return false }
        isClosed = true
        shutdown(control, Int32(SHUT_WR))
        return true
    }

    func receive(_ report: inout martlet_report) -> Bool {
        let size = MemoryLayout<martlet_report>.size
        return recv(control, &report, size, Int32(MSG_DONTWAIT)) == size
    }

    // MARK: The end

    func kill() { _ = martlet_pidfd_send_signal(process, SIGKILL) }

    func reap(isPlain: Bool) {
        waitpid(processNumber, nil, 0)
        if isPlain { _ = martlet_kill_descendants(30_000) }
    }

    /// Returns whether the kernel killed a process of the step for its memory, nil when nobody counted.
    func removeCgroup() -> Bool? { cgroup?.remove() }
}

/// A list like "0-3,8", as cpusets have it.
struct ProcessorSet {
    private(set) var words = [UInt64](repeating: 0, count: 16)

    init?(list: String) {
        for part in list.split(separator: ",") {
            let bounds = part.split(separator: "-").map { Int($0) }
            guard let first = bounds.first, let low = first, let last = bounds.last, let high = last,
                bounds.count <= 2, low <= high, high < 1024, low >= 0
            else { return nil }
            for processor in low...high { words[processor / 64] |= 1 << UInt64(processor % 64) }
        }
    }
}
