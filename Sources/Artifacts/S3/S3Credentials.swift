// Who asks an S3 server: keys from the environment, from the files that other clients use, or from Secrets.

import Glibc

/// Keys of an account. Its description shows none of them.
package struct S3Credentials: Sendable, Hashable, CustomStringConvertible {
    package var accessKey: String
    package var secretKey: String
    /// Of temporary credentials.
    package var sessionToken: String?

    package init(accessKey: String, secretKey: String, sessionToken: String? = nil) {
        self.accessKey = accessKey
        self.secretKey = secretKey
        self.sessionToken = sessionToken
    }

    package var description: String { "credentials of \(accessKey.prefix(4))…" }

    /// From `AWS_ACCESS_KEY_ID` and its kin, else from the profile `AWS_PROFILE` of the credentials file
    /// (`AWS_SHARED_CREDENTIALS_FILE` or `~/.aws/credentials`); nil when neither has keys, which is how a public
    /// bucket is read.
    /// - Throws: `invalid` for a profile that was asked for and is not there.
    package static func standard(
        _ environment: (String) -> String? = Self.variable
    ) throws(ArtifactError) -> S3Credentials? {
        if let access = environment("AWS_ACCESS_KEY_ID"), let secret = environment("AWS_SECRET_ACCESS_KEY") {
            return S3Credentials(
                accessKey: access, secretKey: secret, sessionToken: environment("AWS_SESSION_TOKEN"))
        }
        let home = environment("HOME") ?? "/root"
        let path = environment("AWS_SHARED_CREDENTIALS_FILE") ?? home + "/.aws/credentials"
        let profile = environment("AWS_PROFILE")
        guard Disk.exists(path) else {
            guard let profile else { return nil }
            throw ArtifactError(
                .invalid, path: path, problem: "AWS_PROFILE is \(profile), and this file does not exist",
                remedy: "create it, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        }
        let text = String(decoding: try Disk.read(path, limitBytes: 1 << 20), as: UTF8.self)
        let values = section(profile ?? "default", of: text)
        guard let access = values["aws_access_key_id"], let secret = values["aws_secret_access_key"] else {
            guard let profile else { return nil }
            throw ArtifactError(
                .invalid, path: path, problem: "profile [\(profile)] has no keys",
                remedy: "add aws_access_key_id and aws_secret_access_key to it")
        }
        return S3Credentials(
            accessKey: access, secretKey: secret, sessionToken: values["aws_session_token"])
    }

    /// A variable of the environment that is not empty.
    package static func variable(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        let text = String(cString: value)
        return text.isEmpty ? nil : text
    }

    /// `name = value` lines below `[section]`.
    static func section(_ wanted: String, of text: String) -> [String: String] {
        var values: [String: String] = [:]
        var isInside = false
        for line in text.split(whereSeparator: \.isNewline) {
            let line = line.trimmed
            if line.hasPrefix("[") {
                isInside = line.dropFirst().prefix { $0 != "]" }.trimmed == wanted
            } else if isInside, !line.hasPrefix("#"), let equals = line.firstIndex(of: "=") {
                values[line[..<equals].trimmed] = line[line.index(after: equals)...].trimmed
            }
        }
        return values
    }
}

extension Substring {
    fileprivate var trimmed: String {
        String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
    }
}

extension String {
    fileprivate var trimmed: String { self[...].trimmed }
}
