// A cgroup (version 2) of the step's own, where the engine was given a place to make one.

import Glibc

/// Best effort: without the right to make or limit one, the step runs without.
struct StepCgroup {
    let descriptor: Int32
    private let path: String

    init?(spec: StepSpec) {
        guard let parent = spec.cgroupParent else { return nil }
        let path = String(cString: parent) + "/martlet-\(getpid())"
        guard mkdir(path, 0o755) == 0 else { return nil }
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            rmdir(path)
            return nil
        }
        self.path = path
        self.descriptor = descriptor
        if let bytes = spec.memoryBytes {
            set("memory.max", to: String(bytes))
            // Half a step is of no use: when one process must go, all go.
            set("memory.oom.group", to: "1")
        }
        if let processors = spec.processors { set("cpuset.cpus", to: String(cString: processors)) }
    }

    private func set(_ name: String, to value: String) {
        let file = openat(descriptor, name, O_WRONLY | O_CLOEXEC)
        if file < 0 { return }
        var value = value
        _ = value.withUTF8 { write(file, $0.baseAddress, $0.count) }
        close(file)
    }

    /// Removes it; the step's processes are gone by now. Nil when memory was not counted.
    func remove() -> Bool? {
        defer {
            close(descriptor)
            rmdir(path)
        }
        let file = openat(descriptor, "memory.events", O_RDONLY | O_CLOEXEC)
        if file < 0 { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 1024)
        let length = read(file, &bytes, bytes.count)
        for line in String(decoding: bytes.prefix(max(0, length)), as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.first == "oom_kill", let count = words.last { return count != "0" }
        }
        return nil
    }
}
