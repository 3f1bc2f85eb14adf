// Finds out what the machine has: processors, memory and GPUs, within the limits of a surrounding container.

import Artifacts
import Glibc

extension MachineCapacity {
    /// Looks once; settings win over what is found.
    static func detect(_ settings: LocalExecutorSettings) -> MachineCapacity {
        MachineCapacity(
            cpuMillis: settings.cpuMillis ?? detectedCPUMillis(),
            memoryBytes: settings.memoryBytes ?? detectedMemoryBytes(),
            gpus: settings.gpuCount ?? detectedGPUs())
    }

    private static func detectedCPUMillis() -> Int {
        let online = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) * 1000
        // Version 2 of cgroups: "max 100000" or "200000 100000".
        let fields = words("/sys/fs/cgroup/cpu.max")
        if fields.count == 2, let quota = Int(fields[0]), let period = Int(fields[1]), period > 0 {
            return min(online, quota * 1000 / period)
        }
        if let quota = words("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").first.flatMap({ Int($0) }), quota > 0,
            let period = words("/sys/fs/cgroup/cpu/cpu.cfs_period_us").first.flatMap({ Int($0) }), period > 0
        {
            return min(online, quota * 1000 / period)
        }
        return online
    }

    private static func detectedMemoryBytes() -> Int {
        var limit = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
        for file in ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"] {
            if let bytes = words(file).first.flatMap({ Int($0) }), bytes > 0 { limit = min(limit, bytes) }
        }
        return limit
    }

    private static func detectedGPUs() -> Int {
        if let text = getenv("MARTLET_GPUS").map({ String(cString: $0) }), let count = Int(text) {
            return max(0, count)
        }
        guard Disk.exists("/dev/nvidiactl") else { return 0 }
        var command = CommandRun(["nvidia-smi", "-L"])
        command.timeout = .seconds(20)
        guard let outcome = try? command.run(), outcome.exitCode == 0 else { return 0 }
        return outcome.output.split(separator: "\n").count { $0.hasPrefix("GPU ") }
    }

    private static func words(_ path: String) -> [Substring] {
        guard let bytes = try? Disk.read(path, limitBytes: 4096) else { return [] }
        return String(decoding: bytes, as: UTF8.self).split { $0 == " " || $0 == "\n" }
    }
}
