// What an installation says about the pods of its steps, whatever the manifest.

import Text

/// How strictly pods are kept apart from their machine, as Pod Security admission names it.
package enum PodSecurityLevel: String, Sendable, Hashable, CaseIterable {
    case restricted, baseline, privileged
}

/// Settings that are the same for all pods of one installation.
package struct PodSettings: Sendable, Hashable {
    /// The image with `martlet` and its supervisor in it; brings both into every pod.
    package var stepImage: String
    package var stepImagePullPolicy: String?
    /// The program in the step image.
    package var stepProgram = "martlet"
    /// Which installation the pods belong to: two in one namespace leave each other's alone.
    package var instance = "martlet"
    package var security = PodSecurityLevel.restricted
    /// The user of containers that name none; restricted pods must not be root.
    package var userID = 1000
    /// Where pods reach the server for artifacts and results: `http://martlet.ml.svc:2747`. Nil: results go
    /// by the termination message only, and templates with artifacts are refused.
    package var serverURL: String?
    /// Between the request to end and the kill.
    package var graceSeconds = 30
    /// A claim that all nodes can mount, where checkpoints outlive their pods; nil: a retry begins anew.
    package var checkpointClaim: String?
    /// A claim with models and data that steps share; its mount is the steps' HF_HOME.
    package var modelCacheClaim: String?
    /// The same on each node's own disk, a directory that pods may write to; needs `privileged`, as all
    /// volumes of the host do.
    package var modelCachePath: String?
    /// What the containers of the step image ask for.
    package var stepRequests: [String: String] = ["cpu": "10m", "memory": "64Mi"]

    package init(stepImage: String) { self.stepImage = stepImage }
}

/// The object that owns all others of a run: with it they are deleted.
package struct RunOwner: Sendable, Hashable {
    package var name: String
    package var uid: String

    package init(name: String, uid: String) {
        self.name = name
        self.uid = uid
    }

    var reference: JSONValue {
        [
            "apiVersion": "v1", "kind": "ConfigMap", "name": .string(name), "uid": .string(uid),
            "controller": true,
        ]
    }
}

/// Why a template cannot be a pod, with what to do about it.
package struct PodProblem: Error, Sendable, Hashable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}
