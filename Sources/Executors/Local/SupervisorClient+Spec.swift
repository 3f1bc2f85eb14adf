// Says what the supervisor shall run, and writes it as D/spec: strings ended by NUL, each key followed by its
// values, so that a program without Foundation reads it in one pass and points into it.

import Glibc

/// One attempt. Defaults are those of a plain container template.
package struct SupervisorSpec: Sendable {
    package enum Sandbox: String, Sendable {
        case plain, namespaces, userNamespaces
    }

    /// A file or directory of the machine in the step's view.
    package struct Bind: Sendable, Equatable {
        package enum Access: Sendable {
            case readOnly, readWrite
            /// Read-only, and left out when the source has gone.
            case optional
        }

        package var source: String
        package var target: String
        package var access: Access

        package init(source: String, target: String, access: Access = .readOnly) {
            self.source = source
            self.target = target
            self.access = access
        }
    }

    package struct Link: Sendable, Equatable {
        package var path: String
        package var destination: String

        package init(path: String, destination: String) {
            self.path = path
            self.destination = destination
        }
    }

    package enum Role: String, Sendable {
        /// Runs to its end before main; the step fails with it.
        case initial = "init"
        case main
        /// Runs beside main and is ended after it.
        case sidecar
        /// One of a container set.
        case member = "set"
        /// Another node of main's group: all begin together, and the first that fails ends the others.
        case rank
    }

    package struct Container: Sendable {
        package var name = "main"
        package var role = Role.main
        /// The program and its arguments. Without a slash it is looked up on the environment's PATH.
        package var command: [String]
        /// Exactly what the command sees.
        package var environment: [(name: String, value: String)] = []
        /// Made when it does not exist, except in the plain mode.
        package var workingDirectory = "/"
        /// Names of containers that must have ended with 0 before this one starts.
        package var dependsOn: [String] = []
        package var retries = 0
        package var retryDelay = Duration.zero

        package init(command: [String], environment: [(name: String, value: String)] = []) {
            self.command = command
            self.environment = environment
        }
    }

    package var sandbox = Sandbox.namespaces
    /// Absolute; becomes "/" for the step. It must exist, and is not used in the plain mode.
    package var root = ""
    /// Whether /tmp is root's own directory `tmp`.
    package var privateTemporaryDirectory = true
    package var links: [Link] = []
    /// Attached in this order, so a bind inside another comes after it.
    package var binds: [Bind] = []
    /// Directories made in the view when they are missing.
    package var directories: [String] = []
    package var grace = Duration.seconds(30)
    /// Counted from the start; the supervisor holds it by itself.
    package var deadline: Duration?
    package var outputLimitBytes = 262_144
    /// What a log may hold; later output is read, counted and dropped.
    package var logLimitBytes = 4 << 30
    /// Held only through `cgroupParent`.
    package var memoryBytes: Int?
    /// A directory of a version 2 cgroup in which the engine may make more.
    package var cgroupParent: String?
    /// Processors like "0-3,8".
    package var processors: String?
    package var containers: [Container]
    /// What logs and the kept output must not show, longest first.
    package var covered: [String] = []

    package init(containers: [Container]) { self.containers = containers }

    /// Writes D/spec, complete or not at all; must happen before `SupervisorClient.spawn`.
    /// - Parameter memoryDirectory: where the file lies if it holds secrets; D/spec is a link to it then.
    package func write(to attemptDirectory: String, memoryDirectory: String? = nil) throws {
        let place = attemptDirectory + "/spec"
        guard let memoryDirectory else { return try SupervisorClient.write(try encoded(), to: place) }
        let file = memoryDirectory + "/spec"
        try SupervisorClient.write(try encoded(), to: file)
        guard symlink(file, place) == 0 else { throw SupervisorClient.failure("cannot link \(place)", errno) }
    }

    /// Throws for a NUL inside a string, which no process can be given, and for a container without command.
    package func encoded() throws -> [UInt8] {
        var encoder = Encoder()
        try encoder.put("martlet-spec 1")
        try encoder.put("sandbox", sandbox.rawValue)
        if sandbox != .plain { try encodeView(&encoder) }
        try encoder.put("graceMilliseconds", grace.milliseconds)
        if let deadline { try encoder.put("deadlineMilliseconds", deadline.milliseconds) }
        try encoder.put("outputLimitBytes", String(outputLimitBytes))
        try encoder.put("logLimitBytes", String(logLimitBytes))
        if let memoryBytes { try encoder.put("memoryBytes", String(memoryBytes)) }
        if let cgroupParent { try encoder.put("cgroupParent", cgroupParent) }
        if let processors { try encoder.put("processors", processors) }
        for word in covered { try encoder.put("cover", word) }
        for container in containers { try encode(container, &encoder) }
        try encoder.put("end")
        return encoder.bytes
    }

    private func encodeView(_ encoder: inout Encoder) throws {
        try encoder.put("root", root)
        try encoder.put("tmpPrivate", privateTemporaryDirectory ? "1" : "0")
        if !privateTemporaryDirectory { try encoder.put("bindReadWrite", "/tmp", "/tmp") }
        for link in links { try encoder.put("link", link.destination, link.path) }
        for bind in binds {
            switch bind.access {
            case .readOnly: try encoder.put("bindReadOnly", bind.source, bind.target)
            case .readWrite: try encoder.put("bindReadWrite", bind.source, bind.target)
            case .optional: try encoder.put("bindOptional", bind.source, bind.target)
            }
        }
        for directory in directories { try encoder.put("directory", directory) }
    }

    private func encode(_ container: Container, _ encoder: inout Encoder) throws {
        guard !container.command.isEmpty else {
            throw SupervisorClient.Failure(description: "container \(container.name) has no command")
        }
        try encoder.put("container", container.name)
        try encoder.put("role", container.role.rawValue)
        try encoder.put("workingDirectory", container.workingDirectory)
        for argument in container.command { try encoder.put("argument", argument) }
        for (name, value) in container.environment { try encoder.put("environment", name + "=" + value) }
        for name in container.dependsOn { try encoder.put("dependsOn", name) }
        if container.retries > 0 {
            try encoder.put("retries", String(container.retries))
            try encoder.put("retryDelayMilliseconds", container.retryDelay.milliseconds)
        }
    }

    private struct Encoder {
        private(set) var bytes: [UInt8] = []

        mutating func put(_ strings: String...) throws {
            for string in strings {
                let start = bytes.count
                bytes.append(contentsOf: string.utf8)
                if bytes[start...].contains(0) {
                    throw SupervisorClient.Failure(
                        description: "a NUL byte cannot be passed to a process: \(string.debugDescription)")
                }
                bytes.append(0)
            }
        }
    }
}

extension Duration {
    /// Rounded down, nothing below zero.
    fileprivate var milliseconds: String {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        return String(overflow ? .max / 2 : max(0, product + attoseconds / 1_000_000_000_000_000))
    }
}
