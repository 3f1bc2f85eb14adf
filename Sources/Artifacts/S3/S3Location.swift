// `s3` of an artifact, where it names a bucket.

import Text
import WorkflowLanguage

/// A key in a bucket, and how to get there, as a manifest says it.
package struct S3Location: Sendable, Hashable {
    package var key: String
    package var bucket: S3Bucket
    var createsBucket: Bool
    private var accessKey: SecretReference?
    private var secretKey: SecretReference?
    private var sessionToken: SecretReference?

    /// - Throws: `invalid` and `unsupported`, with the field that is wrong.
    init(_ fields: Fields) throws(ArtifactError) {
        func unsupported(_ name: String, _ remedy: String) -> ArtifactError {
            ArtifactError(.unsupported, path: "s3", problem: "\(name) is not there yet", remedy: remedy)
        }
        if fields.text("roleARN") != nil {
            throw unsupported("s3.roleARN", "use keys: accessKeySecret and secretKeySecret")
        }
        if fields.object("caSecret")?.members.isEmpty == false {
            throw unsupported("s3.caSecret", "name the file with certificates in SSL_CERT_FILE")
        }
        if fields.object("encryptionOptions")?.bool("enableEncryption") == true {
            throw unsupported("s3.encryptionOptions", "set the bucket's default encryption")
        }
        let name = fields.text("bucket") ?? ""
        bucket = try S3Bucket(
            name: name, endpoint: fields.text("endpoint"), region: fields.text("region"),
            insecure: fields.bool("insecure") ?? false)
        key = ReferencePath.normalized(fields.text("key") ?? "")
        guard !key.isEmpty else {
            throw ArtifactError(
                .invalid, path: "s3", problem: "the artifact names a bucket and no key",
                remedy: "add key: a/path")
        }
        key = try bucket.checked(key)
        createsBucket = fields.object("createBucketIfNotPresent") != nil
        accessKey = SecretReference(fields.object("accessKeySecret"))
        secretKey = SecretReference(fields.object("secretKeySecret"))
        sessionToken = SecretReference(fields.object("sessionTokenSecret"))
    }

    /// Keys from Secrets where they are named, else those of the environment.
    private func credentials(_ secrets: SecretLookup) throws(ArtifactError) -> S3Credentials? {
        guard let accessKey, let secretKey else { return try S3Credentials.standard() }
        return S3Credentials(
            accessKey: try accessKey.value(secrets), secretKey: try secretKey.value(secrets),
            sessionToken: try sessionToken?.value(secrets))
    }

    /// - Parameter secrets: looks up what the fields refer to.
    func client(
        _ secrets: SecretLookup, _ downloader: Downloader = .forStores
    ) throws(ArtifactError) -> S3Client {
        S3Client.overNetwork(bucket, credentials: try credentials(secrets), downloader: downloader)
    }
}
