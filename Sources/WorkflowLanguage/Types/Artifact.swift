// Artifacts: files and directories that go into and out of templates.

package import Text

/// How an artifact's bytes are packed in its store.
package enum ArchiveStrategy: String, Sendable, Hashable {
    case none, tar, zip
}

/// An artifact of a workflow, a template, a step or a node.
package struct Artifact: Sendable, Hashable {
    /// The keys that name a store in a manifest.
    package static let locationKeys = [
        "s3", "gcs", "azure", "oss", "hdfs", "artifactory", "http", "git", "raw", "plugin",
    ]

    package var name: String
    package var path: String?
    /// Permission bits for the loaded file or directory.
    package var mode: Int?
    package var recurseMode: Bool
    package var from: String?
    package var fromExpression: String?
    package var subPath: String?
    package var optional: Bool
    package var globalName: String?
    /// nil means Argo's default, tar, except where a location (git, raw, http) has no archive.
    package var archive: ArchiveStrategy?
    /// `artifactGC.strategy`: Never, OnWorkflowCompletion, OnWorkflowDeletion.
    package var garbageCollection: String?
    package var deleted: Bool
    /// The whole declaration; holds the location (`s3`, `raw`, ...) among its members.
    package var raw: JSONValue

    package init(name: String) {
        self.init(.object(["name": .string(name)]))
    }

    package init(_ json: JSONValue) {
        let fields = Fields(json)
        name = fields.text("name") ?? ""
        path = fields.string("path")
        mode = fields.int("mode")
        recurseMode = fields.bool("recurseMode") ?? false
        from = fields.string("from")
        fromExpression = fields.string("fromExpression")
        subPath = fields.string("subPath")
        optional = fields.bool("optional") ?? false
        globalName = fields.string("globalName")
        let archive = fields.object("archive")
        self.archive =
            archive?.members["none"] != nil
            ? ArchiveStrategy.none
            : archive?.members["zip"] != nil ? .zip : archive?.members["tar"] != nil ? .tar : nil
        garbageCollection = fields.object("artifactGC")?.string("strategy")
        deleted = fields.bool("deleted") ?? false
        raw = json
    }

    /// The store that the artifact names, with its settings; nil when it has none.
    package var location: (store: String, settings: JSONValue)? {
        for key in Self.locationKeys {
            if let settings = raw[key], settings != .null { return (key, settings) }
        }
        return nil
    }

    /// A copy that points at the location of another artifact, as an argument's does.
    package func located(as other: Artifact) -> Artifact {
        var members = raw.objectValue ?? [:]
        for key in Self.locationKeys { members[key] = other.raw[key] }
        members["archive"] = other.raw["archive"]
        members["from"] = nil
        members["fromExpression"] = nil
        return Artifact(.object(members))
    }

    /// A copy with one member of the declaration replaced, or removed for nil.
    package func with(_ key: String, _ value: JSONValue?) -> Artifact {
        var members = raw.objectValue ?? [:]
        members[key] = value
        return Artifact(.object(members))
    }

    package var json: JSONValue { raw }
}

/// Arguments of a workflow or a step: what the called template's inputs are given.
package struct Arguments: Sendable, Hashable {
    package var parameters: [Parameter]
    package var artifacts: [Artifact]

    package init(parameters: [Parameter] = [], artifacts: [Artifact] = []) {
        self.parameters = parameters
        self.artifacts = artifacts
    }

    package init(_ json: JSONValue?) {
        let fields = Fields(json)
        parameters = fields.list("parameters").map(Parameter.init)
        artifacts = fields.list("artifacts").map(Artifact.init)
    }

    package func parameter(_ name: String) -> Parameter? { parameters.first { $0.name == name } }
    package func artifact(_ name: String) -> Artifact? { artifacts.first { $0.name == name } }

    package var isEmpty: Bool { parameters.isEmpty && artifacts.isEmpty }

    package var json: JSONValue {
        var object = ObjectBuilder()
        object.set("parameters", parameters.map(\.json))
        object.set("artifacts", artifacts.map(\.json))
        return object.json
    }
}

/// Inputs of a template or a node have the form of arguments.
package typealias Inputs = Arguments

/// Outputs of a template, a node or a workflow.
package struct Outputs: Sendable, Hashable {
    package var parameters: [Parameter]
    package var artifacts: [Artifact]
    /// Standard output of the main container, one trailing newline removed.
    package var result: String?
    package var exitCode: String?

    package init(
        parameters: [Parameter] = [], artifacts: [Artifact] = [], result: String? = nil,
        exitCode: String? = nil
    ) {
        self.parameters = parameters
        self.artifacts = artifacts
        self.result = result
        self.exitCode = exitCode
    }

    package init(_ json: JSONValue?) {
        let fields = Fields(json)
        parameters = fields.list("parameters").map(Parameter.init)
        artifacts = fields.list("artifacts").map(Artifact.init)
        result = fields.string("result")
        exitCode = fields.text("exitCode")
    }

    package func parameter(_ name: String) -> Parameter? { parameters.first { $0.name == name } }
    package func artifact(_ name: String) -> Artifact? { artifacts.first { $0.name == name } }

    package var isEmpty: Bool {
        parameters.isEmpty && artifacts.isEmpty && result == nil && exitCode == nil
    }

    package var json: JSONValue {
        var object = ObjectBuilder()
        object.set("parameters", parameters.map(\.json))
        object.set("artifacts", artifacts.map(\.json))
        object.set("result", result.map(JSONValue.string))
        object.set("exitCode", exitCode.map(JSONValue.string))
        return object.json
    }
}
