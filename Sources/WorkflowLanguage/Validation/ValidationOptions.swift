// What a manifest is checked against: the place where it is to run, and what is known about that place.

/// Settings of the checks that go beyond the manifest itself.
package struct ValidationOptions: Sendable {
    /// The places where a workflow can run.
    package enum Target: String, Sendable {
        /// Processes of this machine: no image is needed, but a command is.
        case local
        /// Pods that Martlet starts.
        case kubernetes
        /// Argo Workflows itself: Martlet's own steps must have been converted.
        case argo
    }

    /// Whether unknown fields are errors, as they are for `argo lint`.
    package var strict = true
    /// Whether a container without an image is only a warning when the target is `local`.
    package var allowMissingImage = true
    /// Where the workflow is to run.
    package var target: Target
    /// Whether `resource` templates pass though the target is `local`: a server that is asked later may have a
    /// cluster.
    package var mayHaveCluster = false
    /// Images that the settings map to a root directory or a command: their containers need no `command`.
    package var mappedImages: Set<String> = []
    /// Whether each argument of a Workflow needs a value: true once values were given on the command line and
    /// the workflow is about to run. Linting leaves values to be given later.
    package var requireArgumentValues = false

    /// The first bytes of a file of this machine, 64 KiB at most, where the caller can read them: data sets whose
    /// rows do not fit their step are refused then.
    package var readHead: (@Sendable (_ path: String) -> [UInt8]?)?

    /// Strict, for a target.
    package init(target: Target = .local) {
        self.target = target
    }
}
