// What can be set about running steps on this machine.

/// What stands for a container image here.
package enum ImageMapping: Sendable, Hashable {
    /// A directory with an image's files: its programs and configuration are seen in place of the machine's.
    case root(String)
    /// Words put before the step's command and arguments.
    case command([String])
}

/// Settings of the local executor. What is nil is found out from the machine.
package struct LocalExecutorSettings: Sendable {
    package enum SandboxMode: String, Sendable, CaseIterable {
        /// Namespaces where they work, else plain.
        case auto
        /// Namespaces, or no step runs.
        case namespaces
        /// Steps see the machine's own paths.
        case plain
    }

    /// Absolute.
    package var dataDirectory: String
    /// Most steps that run at once; nil: four for each processor, 32 at least.
    package var maxParallel: Int?
    /// Thousandths of a processor that requests may take up together.
    package var cpuMillis: Int?
    package var memoryBytes: Int?
    package var gpuCount: Int?
    /// The supervisor's program; nil: found beside the running program.
    package var supervisorPath: String?
    package var sandboxMode = SandboxMode.auto
    /// PATH of steps; nil: that of this process.
    package var pathDirectories: [String]?
    /// By image, with or without its tag.
    package var imageMap: [String: ImageMapping] = [:]
    /// Virtual environments of Python that have the other programs which steps may name as `backend`: directories
    /// by that name.
    package var backends: [String: String] = [:]
    /// Between the request to end and the kill.
    package var graceSeconds = 30
    /// The program that runs Martlet's own steps.
    package var martletExecutablePath: String

    package init(dataDirectory: String, martletExecutablePath: String) {
        self.dataDirectory = dataDirectory
        self.martletExecutablePath = martletExecutablePath
    }

    /// What an image stands for: the whole name counts before the name without tag and digest.
    func mapping(ofImage image: String) -> ImageMapping? {
        guard !imageMap.isEmpty, !image.isEmpty else { return nil }
        if let exact = imageMap[image] { return exact }
        let undigested = image.prefix { $0 != "@" }
        if let exact = imageMap[String(undigested)] { return exact }
        // A colon before the last slash belongs to a registry's port.
        guard let colon = undigested.lastIndex(of: ":"), !undigested[colon...].contains("/") else {
            return nil
        }
        return imageMap[String(undigested[..<colon])]
    }
}
