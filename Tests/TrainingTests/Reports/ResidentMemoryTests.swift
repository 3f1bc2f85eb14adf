// Memory as the kernel's files tell it, from files of our own.

import Testing

@testable import Training

@Suite("Resident memory")
struct ResidentMemoryTests {
    @Test("Resident size and its peak come from the process's status")
    func resident() throws {
        let folder = try RunFolder()
        try folder.write(
            "Name:\tmartlet\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t3\n", to: "proc/self/status")
        let memory = ResidentMemory.read(root: folder.path)
        #expect(memory == ResidentMemory(currentBytes: 1 << 20, peakBytes: 2 << 20))
        #expect(ResidentMemory.read(root: "\(folder.path)/none") == ResidentMemory())
        let own = ResidentMemory.read()
        #expect(own.currentBytes > 0 && own.peakBytes >= own.currentBytes)
    }

    @Test("The lowest limit on the way up counts, and caches that can be dropped are free")
    func versionTwo() throws {
        let folder = try RunFolder()
        try folder.write("MemTotal: 9000 kB\nMemAvailable: 8192 kB\n", to: "proc/meminfo")
        try folder.write("0::/a/b\n", to: "proc/self/cgroup")
        try folder.write("max\n", to: "sys/fs/cgroup/a/b/memory.max")
        try folder.write("4194304\n", to: "sys/fs/cgroup/a/memory.max")
        try folder.write("3145728\n", to: "sys/fs/cgroup/a/memory.current")
        try folder.write("anon 5\ninactive_file 1048576\n", to: "sys/fs/cgroup/a/memory.stat")
        let allowance = MemoryAllowance.read(root: folder.path)
        #expect(allowance.machineAvailableBytes == 8 << 20)
        #expect(allowance.limitBytes == 4 << 20)
        #expect(allowance.groupAvailableBytes == 2 << 20)
        #expect(allowance.availableBytes == 2 << 20)
    }

    @Test("Version 1 counts where memory is counted there; its huge number means no limit")
    func versionOne() throws {
        let folder = try RunFolder()
        try folder.write("4:cpu,memory:/job\n0::/\n", to: "proc/self/cgroup")
        let group = "sys/fs/cgroup/memory"
        try folder.write("9223372036854771712\n", to: "\(group)/memory.limit_in_bytes")
        #expect(MemoryAllowance.read(root: folder.path) == MemoryAllowance())
        try folder.write("1000\n", to: "\(group)/job/memory.limit_in_bytes")
        try folder.write("1200\n", to: "\(group)/job/memory.usage_in_bytes")
        let allowance = MemoryAllowance.read(root: folder.path)
        #expect(allowance.limitBytes == 1_000)
        #expect(allowance.availableBytes == 0)
    }
}
