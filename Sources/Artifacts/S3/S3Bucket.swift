// Where a bucket is and how it is addressed.

import Glibc

/// A bucket of an S3 server.
package struct S3Bucket: Sendable, Hashable {
    /// How the bucket's name gets into the address.
    package enum Style: String, Sendable, Hashable, CaseIterable {
        /// `https://endpoint/bucket/key`.
        case path
        /// `https://bucket.endpoint/key`.
        case virtual
    }

    /// `https://host[:port]`, without a path.
    package var endpoint: String
    package var region: String
    package var name: String
    package var style: Style

    /// - Parameters:
    ///   - endpoint: a host, perhaps with port and scheme; nil for what the environment says
    ///     (`AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`), else Amazon's of the region.
    ///   - insecure: http instead of https where the endpoint names no scheme.
    ///   - style: nil for `MARTLET_S3_STYLE`, else what the endpoint is known to want.
    /// - Throws: `invalid` for names that no bucket can have.
    package init(
        name: String, endpoint: String? = nil, region: String? = nil, insecure: Bool = false,
        style: Style? = nil, environment: (String) -> String? = S3Credentials.variable
    ) throws(ArtifactError) {
        let region =
            region ?? environment("AWS_REGION") ?? environment("AWS_DEFAULT_REGION") ?? "us-east-1"
        var address =
            endpoint ?? environment("AWS_ENDPOINT_URL_S3") ?? environment("AWS_ENDPOINT_URL")
            ?? "https://s3.\(region).amazonaws.com"
        if !address.contains("://") { address = (insecure ? "http://" : "https://") + address }
        while address.hasSuffix("/") { address.removeLast() }
        let host = address.split(separator: "/", omittingEmptySubsequences: false).dropFirst(2)
        guard host.count == 1, let first = host.first, !first.isEmpty,
            address.hasPrefix("http://") || address.hasPrefix("https://")
        else {
            throw ArtifactError(
                .invalid, path: address, problem: "is no endpoint of an S3 server",
                remedy: "write it as HOST, HOST:PORT or https://HOST")
        }
        let isPlain = name.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "._-".utf8.contains(byte)
        }
        guard isPlain, (1...255).contains(name.utf8.count), name != ".", name != ".." else {
            throw ArtifactError(
                .invalid, path: name, problem: "is no name of a bucket",
                remedy: "use small letters, digits, dots and dashes")
        }
        self.endpoint = address
        self.region = region
        self.name = name
        // Amazon wants the name in front; its certificate covers no further dots.
        let isAmazon = address.hasSuffix(".amazonaws.com") || address.hasSuffix(".amazonaws.com.cn")
        self.style =
            style ?? environment("MARTLET_S3_STYLE").flatMap { Style(rawValue: $0) }
            ?? (isAmazon && !name.contains(".") ? .virtual : .path)
    }

    /// `host[:port]` of requests, as the Host header has it.
    var host: String {
        let scheme = endpoint.hasPrefix("https://") ? 8 : 7
        var host = String(endpoint.dropFirst(scheme))
        // Clients leave the scheme's own port out of the header.
        for (prefix, port) in [("https", ":443"), ("http:", ":80")]
        where endpoint.hasPrefix(prefix) && host.hasSuffix(port) { host.removeLast(port.count) }
        return style == .virtual ? "\(name).\(host)" : host
    }

    /// The encoded path of a key, or of the bucket itself.
    func path(_ key: String?) -> String {
        let place = style == .path ? "/\(name)" : ""
        guard let key else { return place.isEmpty ? "/" : place }
        return place + "/" + AWSSignature.encoded(key, keepsSlashes: true)
    }

    /// The scheme and the host.
    var origin: String { (endpoint.hasPrefix("https://") ? "https://" : "http://") + host }

    /// A key as messages show it.
    func display(_ key: String) -> String { "s3://\(name)/\(key)" }

    /// A key that every client and server takes the same way.
    /// - Throws: `invalid` for keys with `.` and `..` as parts, which clients resolve before they send them, and for
    ///   those above S3's limit of 1,024 bytes.
    func checked(_ key: String) throws(ArtifactError) -> String {
        let parts = key.split(separator: "/", omittingEmptySubsequences: false)
        guard !key.isEmpty, key.utf8.count <= 1024, !parts.contains("."), !parts.contains(".."),
            !key.utf8.contains(0)
        else {
            throw ArtifactError(
                .invalid, path: display(key), problem: "is no usable key",
                remedy: "use 1 to 1,024 bytes, and no part that is `.` or `..`")
        }
        return key
    }
}
