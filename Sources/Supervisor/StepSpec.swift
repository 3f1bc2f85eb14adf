// Reads D/spec: strings ended by NUL, which neither arguments, environment nor paths can contain. First the
// format's name, then fields, each a key and as many values as the key has; the last key is "end".

import CLinux
import Glibc

struct SpecError: Error {
    let text: String
}

/// What to run, as pointers into the file's bytes, which stay for the life of the process.
struct StepSpec {
    typealias CString = UnsafeMutablePointer<CChar>

    struct Container {
        enum Role { case initial, main, sidecar, member, rank }

        var name: CString
        var role = Role.main
        var arguments: [CString?] = []
        var environment: [CString?] = []
        var workingDirectory: CString
        var dependsOn: [CString] = []
        var retries = 0
        var retryDelayMilliseconds = 0
    }

    static let format = "martlet-spec 1"
    static let sizeLimit = 64 << 20

    var isolation = MARTLET_PLAIN
    var root: CString?
    var privateTemporaryDirectory = true
    var entries: [martlet_view_entry] = []
    var containers: [Container] = []
    var graceMilliseconds = 30_000
    var deadlineMilliseconds: Int?
    var outputLimitBytes = 262_144
    var logLimitBytes = 4 << 30
    var memoryBytes: Int?
    var cgroupParent: CString?
    var processors: CString?
    /// What logs and the kept output must not show, longest first.
    var covered: [CString] = []

    init(directory: AttemptDirectory) throws(SpecError) {
        guard let bytes = directory.read("spec", limit: Self.sizeLimit) else {
            throw SpecError(text: "spec: \(String(cString: strerror(errno)))")
        }
        var fields = Fields(bytes: bytes)
        guard let format = fields.next(), strcmp(format, Self.format) == 0 else {
            throw SpecError(text: "spec: not in the format \(Self.format)")
        }
        while true {
            guard let key = fields.next() else { throw SpecError(text: "spec: is cut off") }
            let name = String(cString: key)
            if name == "end" { break }
            if try readStep(name, &fields) { continue }
            if try readContainer(name, &fields) { continue }
            throw SpecError(text: "spec: unknown field \(name)")
        }
        guard !containers.isEmpty else { throw SpecError(text: "spec: no container") }
        guard isolation == MARTLET_PLAIN || root != nil else { throw SpecError(text: "spec: no root") }
        for index in containers.indices {
            containers[index].arguments.append(nil)
            containers[index].environment.append(nil)
        }
    }

    private struct Fields {
        let bytes: UnsafeMutableRawBufferPointer
        var position = 0

        init(bytes: UnsafeMutableRawBufferPointer) { self.bytes = bytes }

        mutating func next() -> CString? {
            guard position < bytes.count, let start = bytes.baseAddress?.advanced(by: position) else {
                return nil
            }
            guard let end = memchr(start, 0, bytes.count - position) else { return nil }
            position += end - UnsafeMutableRawPointer(start) + 1
            return start.assumingMemoryBound(to: CChar.self)
        }

        mutating func value(of key: String) throws(SpecError) -> CString {
            guard let value = next() else { throw SpecError(text: "spec: \(key) has no value") }
            return value
        }

        mutating func number(of key: String) throws(SpecError) -> Int {
            let text = try value(of: key)
            guard let number = Int(String(cString: text)), number >= 0 else {
                throw SpecError(text: "spec: \(key) is not a count: \(String(cString: text))")
            }
            return number
        }
    }

    private mutating func readStep(_ key: String, _ fields: inout Fields) throws(SpecError) -> Bool {
        switch key {
        case "sandbox":
            switch String(cString: try fields.value(of: key)) {
            case "plain": isolation = MARTLET_PLAIN
            case "namespaces": isolation = MARTLET_NAMESPACES
            case "userNamespaces": isolation = MARTLET_USER_NAMESPACES
            default: throw SpecError(text: "spec: unknown sandbox")
            }
        case "root": root = try fields.value(of: key)
        case "tmpPrivate": privateTemporaryDirectory = try fields.number(of: key) != 0
        case "bindReadOnly": try addEntry(MARTLET_BIND_READ_ONLY, key, &fields)
        case "bindReadWrite": try addEntry(MARTLET_BIND_READ_WRITE, key, &fields)
        case "bindOptional": try addEntry(MARTLET_BIND_OPTIONAL, key, &fields)
        case "link": try addEntry(MARTLET_LINK, key, &fields)
        case "directory":
            let target = try fields.value(of: key)
            let kind = Int32(bitPattern: MARTLET_DIRECTORY.rawValue)
            entries.append(martlet_view_entry(kind: kind, source: nil, target: target))
        case "graceMilliseconds": graceMilliseconds = try fields.number(of: key)
        case "deadlineMilliseconds": deadlineMilliseconds = try fields.number(of: key)
        case "outputLimitBytes": outputLimitBytes = try fields.number(of: key)
        case "logLimitBytes": logLimitBytes = try fields.number(of: key)
        case "memoryBytes": memoryBytes = try fields.number(of: key)
        case "cgroupParent": cgroupParent = try fields.value(of: key)
        case "processors": processors = try fields.value(of: key)
        case "cover": covered.append(try fields.value(of: key))
        default: return false
        }
        return true
    }

    private mutating func addEntry(
        _ kind: martlet_entry_kind, _ key: String, _ fields: inout Fields
    ) throws(SpecError) {
        let source = try fields.value(of: key)
        let target = try fields.value(of: key)
        let number = Int32(bitPattern: kind.rawValue)
        entries.append(martlet_view_entry(kind: number, source: source, target: target))
    }

    private mutating func readContainer(_ key: String, _ fields: inout Fields) throws(SpecError) -> Bool {
        if key == "container" {
            let name = try fields.value(of: key)
            guard containers.count < 128 else { throw SpecError(text: "spec: more than 128 containers") }
            guard let here = strdup("/") else { throw SpecError(text: "spec: no memory") }
            containers.append(Container(name: name, workingDirectory: here))
            return true
        }
        let last = containers.count - 1
        guard last >= 0 else { return false }
        switch key {
        case "role":
            switch String(cString: try fields.value(of: key)) {
            case "init": containers[last].role = .initial
            case "main": containers[last].role = .main
            case "sidecar": containers[last].role = .sidecar
            case "set": containers[last].role = .member
            case "rank": containers[last].role = .rank
            default: throw SpecError(text: "spec: unknown role")
            }
        case "argument": containers[last].arguments.append(try fields.value(of: key))
        case "environment": containers[last].environment.append(try fields.value(of: key))
        case "workingDirectory": containers[last].workingDirectory = try fields.value(of: key)
        case "dependsOn": containers[last].dependsOn.append(try fields.value(of: key))
        case "retries": containers[last].retries = try fields.number(of: key)
        case "retryDelayMilliseconds": containers[last].retryDelayMilliseconds = try fields.number(of: key)
        default: return false
        }
        return true
    }
}
