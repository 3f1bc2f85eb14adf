// Where a manifest says an artifact's bytes are, of the places that this build reaches.

import Text
package import WorkflowLanguage

/// A location as declared under `s3`, `http`, `git`, `raw` and so on.
package enum ArtifactLocation: Sendable, Hashable {
    /// A key in the default repository, which is the local store.
    case key(String)
    case http(HTTPLocation)
    case git(GitLocation)
    case raw(String)
    /// A key in a bucket that the declaration names.
    case s3(S3Location)

    /// Nil for an artifact without a location.
    /// - Throws: `unsupported` for stores that only an outside service has.
    package init?(_ artifact: Artifact) throws(ArtifactError) {
        guard let (store, settings) = artifact.location else { return nil }
        let fields = Fields(settings)
        switch store {
        case "raw": self = .raw(fields.string("data") ?? "")
        case "http": self = .http(try HTTPLocation(fields))
        case "artifactory": self = .http(try HTTPLocation(artifactory: fields))
        case "git": self = .git(try GitLocation(fields))
        case "s3" where fields["bucket"] != nil: self = .s3(try S3Location(fields))
        default: self = .key(try Self.key(store: store, fields))
        }
    }

    private static func key(store: String, _ fields: Fields) throws(ArtifactError) -> String {
        let foreign = ["bucket", "endpoint", "container", "addresses"].contains { fields[$0] != nil }
        let names = ["s3": "key", "gcs": "key", "oss": "key", "azure": "blob", "plugin": "key"]
        if !foreign, let name = names[store], let key = fields.text(name), !key.isEmpty { return key }
        throw ArtifactError(
            .unsupported, path: store,
            problem:
                "there are the local store, s3 with a bucket, http, git and raw, but no \(store) store here",
            remedy: "leave only the key (\(store): {key: ...}) to use the local store")
    }

    /// The declaration with a key as the place of its bytes. A store that was named stays named, so that the
    /// artifact reads in the workflow's status as it does in Argo; without one it is `s3`.
    package static func located(_ artifact: Artifact, key: String) -> Artifact {
        let store = artifact.location?.store ?? "s3"
        var members = artifact.raw.objectValue ?? [:]
        for name in Artifact.locationKeys { members[name] = nil }
        members[store] = .object([store == "azure" ? "blob" : "key": .string(key)])
        return Artifact(.object(members))
    }
}

/// A value kept in a Secret: its name and the key in it.
package struct SecretReference: Sendable, Hashable {
    package var name: String
    package var key: String

    init?(_ fields: Fields?) {
        guard let fields, let name = fields.text("name"), let key = fields.text("key") else { return nil }
        self.name = name
        self.key = key
    }
}

/// Looks a Secret's value up; nil when there is none.
package typealias SecretLookup = @Sendable (_ name: String, _ key: String) -> String?

extension SecretReference {
    func value(_ secrets: SecretLookup) throws(ArtifactError) -> String {
        if let value = secrets(name, key) { return value }
        throw ArtifactError(
            .notFound, path: name, problem: "there is no Secret with the key \(key)",
            remedy: "create it, or load its document with --load")
    }
}
