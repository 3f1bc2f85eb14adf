// What the operating system knows of this process and its disk, under the names that Prometheus' clients use.

import Controller
import Glibc
import Text

/// One look at /proc and the file system. Reads a few small files of memory; takes well under a millisecond.
package struct ProcessMetrics: Sendable {
    /// Moment of the process's start, seconds since 1970.
    let startSeconds: Double

    init(startedAt: Timestamp) { startSeconds = Double(startedAt.nanoseconds) / 1e9 }

    /// That this process has used since its start, by all of its threads; nil where the system does not tell.
    package static var processorSeconds: Double? {
        var usage = rusage()
        guard getrusage(RUSAGE_SELF.rawValue, &usage) == 0 else { return nil }
        return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
            + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
    }

    func families(dataDirectory: String) -> [MetricFamily] {
        var families = [
            MetricFamily(
                .gauge, "process_start_time_seconds", "Start of the process, seconds since 1970.",
                startSeconds)
        ]
        if let seconds = Self.processorSeconds {
            families.append(
                MetricFamily(
                    .counter, "process_cpu_seconds_total", "Processor time that the process used.", seconds))
        }
        if let (virtual, resident) = Self.memoryBytes() {
            families += [
                MetricFamily(
                    .gauge, "process_resident_memory_bytes", "Memory of the process that is in RAM.", resident
                ),
                MetricFamily(
                    .gauge, "process_virtual_memory_bytes", "Address space of the process.", virtual),
            ]
        }
        if let open = Self.openDescriptors() {
            families.append(MetricFamily(.gauge, "process_open_fds", "Open file descriptors.", Double(open)))
        }
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            families.append(
                MetricFamily(
                    .gauge, "process_max_fds", "File descriptors that may be open.", Double(limit.rlim_cur)))
        }
        return families + Self.disk(dataDirectory)
    }

    private static func disk(_ directory: String) -> [MetricFamily] {
        var status = statvfs()
        guard statvfs(directory, &status) == 0 else { return [] }
        let block = Double(status.f_frsize)
        return [
            MetricFamily(
                .gauge, "martlet_disk_free_bytes", "Space left for the data directory.",
                Double(status.f_bavail) * block),
            MetricFamily(
                .gauge, "martlet_disk_size_bytes", "Size of the file system of the data directory.",
                Double(status.f_blocks) * block),
        ]
    }

    private static func memoryBytes() -> (virtual: Double, resident: Double)? {
        guard let text = read("/proc/self/statm") else { return nil }
        let pages = text.split(separator: " ").compactMap { Double($0) }
        guard pages.count > 1 else { return nil }
        let size = Double(sysconf(Int32(_SC_PAGESIZE)))
        return (pages[0] * size, pages[1] * size)
    }

    private static func openDescriptors() -> Int? {
        guard let directory = opendir("/proc/self/fd") else { return nil }
        defer { closedir(directory) }
        // The two dots, and the directory itself.
        var count = -3
        while readdir(directory) != nil { count += 1 }
        return max(0, count)
    }

    private static func read(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
