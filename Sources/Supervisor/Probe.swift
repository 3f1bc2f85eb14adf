// Finds out which isolation works on this machine by making each view once and running nothing in it.

import CLinux
import Glibc

/// Prints "namespaces", "userNamespaces", or "plain" and why the others failed. DIR must be absolute and
/// writable; a directory in it serves as the root.
func probe(at path: UnsafePointer<CChar>) -> Int32 {
    var reasons: [String] = []
    for (name, isolation) in [
        ("namespaces", MARTLET_NAMESPACES), ("userNamespaces", MARTLET_USER_NAMESPACES),
    ] {
        guard let reason = viewFailure(isolation, root: path) else {
            say(name + "\n")
            return 0
        }
        reasons.append("\(name): \(reason)")
    }
    say("plain\n" + reasons.joined(separator: "; ") + "\n")
    return 0
}

private func say(_ text: String) {
    var text = text
    text.withUTF8 { _ = write(1, $0.baseAddress, $0.count) }
}

/// Nil when the view could be made.
private func viewFailure(_ isolation: martlet_isolation, root: UnsafePointer<CChar>) -> String? {
    var ends: [Int32] = [-1, -1]
    let kind = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { return String(cString: strerror(errno)) }
    var step = martlet_step()
    step.isolation = Int32(bitPattern: isolation.rawValue)
    step.private_tmp = 1
    step.root = root
    step.control_fd = ends[1]
    step.cgroup_fd = -1
    var process: Int32 = -1
    let number = martlet_step_start(&step, &process)
    if number < 0 { return String(cString: strerror(-number)) }
    close(ends[1])
    shutdown(ends[0], Int32(SHUT_WR))
    var report = martlet_report()
    let size = MemoryLayout<martlet_report>.size
    let length = recv(ends[0], &report, size, 0)
    waitpid(number, nil, 0)
    close(process)
    close(ends[0])
    return length == size ? ContainerRecord.text(of: report) : nil
}
