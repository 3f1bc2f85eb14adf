// How a cluster's API is reached, and as whom: what kubeconfig files and a pod's own files say.

package import Text

/// Where the API is, whom it must prove to be, and what is shown to it. Secrets are in here: never log it.
package struct ClusterAccess: Sendable, Hashable {
    /// `https://10.0.0.1:6443`, perhaps with a path behind it.
    package var server: String
    /// The name that the server's certificate must have, where it is not that of the address.
    package var tlsServerName: String?
    /// PEM certificates that the server's is checked against; nil: the system's.
    package var authority: [UInt8]?
    package var skipsVerification = false
    /// `http://proxy:3128`.
    package var proxy: String?
    package var credentials = Credentials()
    /// The namespace of what names none.
    package var namespace = "default"

    package init(server: String) { self.server = server }

    /// What shows who asks. What is a file is read anew, since tokens change.
    package struct Credentials: Sendable, Hashable {
        package var token: String?
        package var tokenFile: String?
        package var user: String?
        package var password: String?
        package var certificate: Certificate?
        package var plugin: CredentialPlugin?

        package init() {}
    }

    /// A client's certificate chain and key in PEM: PKCS#1, PKCS#8 or an EC key.
    package struct Certificate: Sendable, Hashable {
        package var chain: [UInt8]
        package var key: [UInt8]
    }
}

/// A program that prints credentials, as cloud providers' kubeconfig files name one.
package struct CredentialPlugin: Sendable, Hashable {
    package var apiVersion: String
    package var command: String
    package var arguments: [String]
    package var environment: [String: String]
    package var installHint: String?
    /// What the program is told of the cluster; nil where it is to be told nothing.
    package var cluster: JSONValue?
}

/// Why the cluster cannot be reached, and what to do about it.
package struct ClusterAccessError: Error, Sendable, Hashable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}
