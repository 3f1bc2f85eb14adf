// How much memory the process has and how much more it may use, from /proc and its control group.

import Glibc

/// Memory of this process.
package struct ResidentMemory: Sendable, Hashable {
    /// Resident now, in bytes (VmRSS); 0 where /proc does not tell.
    package var currentBytes = 0
    /// The highest it was, in bytes (VmHWM).
    package var peakBytes = 0

    package init(currentBytes: Int = 0, peakBytes: Int = 0) {
        self.currentBytes = currentBytes
        self.peakBytes = peakBytes
    }

    /// - Parameter root: what stands before /proc, for tests.
    package static func read(root: String = "") -> ResidentMemory {
        let fields = KernelFile.fields("\(root)/proc/self/status")
        return ResidentMemory(currentBytes: fields["VmRSS"] ?? 0, peakBytes: fields["VmHWM"] ?? 0)
    }
}

/// What a run may use.
package struct MemoryAllowance: Sendable, Hashable {
    /// What the machine can give without swapping (MemAvailable), in bytes.
    package var machineAvailableBytes: Int?
    /// The lowest limit of the process's control group and those above it, in bytes; nil for none.
    package var limitBytes: Int?
    /// What is left below the control groups' limits, caches that can be dropped counted as free, in bytes.
    package var groupAvailableBytes: Int?

    /// What the process's own limits (`ulimit -d`, `ulimit -v`) leave; nil for none.
    package var processAvailableBytes: Int?

    /// How much more the process may allocate; nil where nothing is known.
    package var availableBytes: Int? {
        [machineAvailableBytes, groupAvailableBytes, processAvailableBytes].compactMap { $0 }.min()
    }

    /// What is left for small things when all that a limit of the process leaves is given out.
    private static let reserveBytes = 24 << 20

    /// The least that the limits of data and of addresses leave.
    private static func left(_ status: [String: Int]) -> Int? {
        [
            (__rlimit_resource_t(RLIMIT_DATA.rawValue), "VmData"),
            (__rlimit_resource_t(RLIMIT_AS.rawValue), "VmSize"),
        ]
        .compactMap { resource, name -> Int? in
            var limit = rlimit()
            guard getrlimit(resource, &limit) == 0, limit.rlim_cur < 1 << 60, let used = status[name]
            else { return nil }
            return max(0, Int(limit.rlim_cur) - used - reserveBytes)
        }.min()
    }

    /// Control groups of version 2, and of version 1 where memory is counted there.
    /// - Parameter root: what stands before /proc and /sys, for tests.
    package static func read(root: String = "") -> MemoryAllowance {
        var allowance = MemoryAllowance()
        if root.isEmpty { allowance.processAvailableBytes = left(KernelFile.fields("/proc/self/status")) }
        allowance.machineAvailableBytes = KernelFile.fields("\(root)/proc/meminfo")["MemAvailable"]
        for line in KernelFile.lines("\(root)/proc/self/cgroup") {
            // Such as 0::/user.slice or 4:memory:/docker/1a2b.
            let words = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard words.count == 3 else { continue }
            if words[0] == "0" {
                allowance.add(.two, mount: "\(root)/sys/fs/cgroup", group: words[2])
            } else if words[1].split(separator: ",").contains("memory") {
                allowance.add(.one, mount: "\(root)/sys/fs/cgroup/memory", group: words[2])
            }
        }
        return allowance
    }

    /// The files of a version of control groups.
    private struct Version {
        var limit: String
        var usage: String
        var inactive: String

        static let two = Version(limit: "memory.max", usage: "memory.current", inactive: "inactive_file")
        static let one = Version(
            limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes", inactive: "total_inactive_file")
    }

    /// Takes the limits of a group and all above it. Inside a container the path may be the host's, of which
    /// only the root can be seen; then that counts.
    private mutating func add(_ version: Version, mount: String, group: Substring) {
        var names = group.split(separator: "/")
        while true {
            let directory = ([mount] + names.map(String.init)).joined(separator: "/")
            // Version 1 says "no limit" with a number near 2^63.
            if let limit = KernelFile.number("\(directory)/\(version.limit)"), limit < 1 << 60 {
                let usage = KernelFile.number("\(directory)/\(version.usage)") ?? 0
                let inactive = KernelFile.fields("\(directory)/memory.stat")[version.inactive] ?? 0
                let free = max(0, limit - max(0, usage - inactive))
                limitBytes = min(limitBytes ?? limit, limit)
                groupAvailableBytes = min(groupAvailableBytes ?? free, free)
            }
            if names.popLast() == nil { return }
        }
    }
}

/// Files of the kernel, which say that they are empty and are not.
private enum KernelFile {
    private static let limitBytes = 64 << 10

    static func lines(_ path: String) -> [Substring] {
        text(path).split(separator: "\n")
    }

    static func number(_ path: String) -> Int? { lines(path).first.flatMap { Int($0) } }

    /// "VmRSS:  123 kB" and "inactive_file 4096" by their names, in bytes.
    static func fields(_ path: String) -> [String: Int] {
        var fields: [String: Int] = [:]
        for line in lines(path) {
            let words = line.split { $0 == " " || $0 == "\t" || $0 == ":" }
            guard words.count >= 2, let number = Int(words[1]) else { continue }
            let (bytes, overflowed) = number.multipliedReportingOverflow(by: words.last == "kB" ? 1_024 : 1)
            if !overflowed { fields[String(words[0])] = bytes }
        }
        return fields
    }

    private static func text(_ path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: limitBytes)
        var filled = 0
        while filled < bytes.count {
            let length = bytes.withUnsafeMutableBytes { buffer in
                Glibc.read(descriptor, buffer.baseAddress?.advanced(by: filled), buffer.count - filled)
            }
            if length < 0 && errno == EINTR { continue }
            guard length > 0 else { break }
            filled += length
        }
        return String(decoding: bytes[..<filled], as: UTF8.self)
    }
}
