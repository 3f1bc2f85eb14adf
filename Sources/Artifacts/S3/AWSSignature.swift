// AWS Signature Version 4: how a request proves who sent it without sending the key.
// Source: "Authenticating Requests (AWS Signature Version 4)" in the Amazon S3 API reference.

import Crypto
import Text

/// Signs requests to one service in one region.
package struct AWSSignature: Sendable {
    package var credentials: S3Credentials
    package var region: String

    /// A request as it is signed. Names and values of the query are not encoded yet; the path is.
    struct Request {
        var method: String
        /// `host` or `host:port`, as the Host header has it.
        var host: String
        var path: String
        var query: [(name: String, value: String)] = []
        /// Names in lower case, without `host`; all of them are signed.
        var headers: [(name: String, value: String)] = []
        /// SHA-256 of the body in hexadecimal, or `UNSIGNED-PAYLOAD`.
        var payloadHash: String
    }

    static let emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    static let unsignedPayload = "UNSIGNED-PAYLOAD"

    /// All headers to send, `Name: value` each, those of the request included; the host is the client's to send.
    func headers(_ request: Request, at moment: Timestamp) -> [String] {
        let time = Self.time(moment)
        var headers = request.headers.map { (name: $0.name, value: Self.collapsed($0.value)) }
        headers.append((name: "x-amz-content-sha256", value: request.payloadHash))
        headers.append((name: "x-amz-date", value: time))
        if let token = credentials.sessionToken {
            headers.append((name: "x-amz-security-token", value: token))
        }
        var signed = headers
        signed.append((name: "host", value: request.host))
        signed.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        let names = signed.map(\.name).joined(separator: ";")
        let canonical = [
            request.method, request.path, Self.canonicalQuery(request.query),
            signed.map { "\($0.name):\($0.value)\n" }.joined(), names, request.payloadHash,
        ].joined(separator: "\n")
        let scope = "\(time.prefix(8))/\(region)/s3/aws4_request"
        let text = "AWS4-HMAC-SHA256\n\(time)\n\(scope)\n\(ContentHash.of(Array(canonical.utf8)))"
        let signature = Self.authenticate(text, key: signingKey(date: String(time.prefix(8))))
        let authorization =
            "AWS4-HMAC-SHA256 Credential=\(credentials.accessKey)/\(scope), "
            + "SignedHeaders=\(names), Signature=\(Self.hexadecimal(signature))"
        return headers.map { "\($0.name): \($0.value)" } + ["Authorization: \(authorization)"]
    }

    private func signingKey(date: String) -> [UInt8] {
        var key = Array("AWS4\(credentials.secretKey)".utf8)
        for part in [date, region, "s3", "aws4_request"] { key = Self.authenticate(part, key: key) }
        return key
    }

    private static func authenticate(_ text: String, key: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: SymmetricKey(data: key)))
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.reduce(into: "") { text, byte in
            if byte < 16 { text += "0" }
            text += String(byte, radix: 16)
        }
    }

    /// Runs of spaces count as one.
    private static func collapsed(_ value: String) -> String {
        value.split(separator: " ").joined(separator: " ")
    }

    /// Sorted by encoded name, then value; what follows `?` in the address, too.
    static func canonicalQuery(_ query: [(name: String, value: String)]) -> String {
        query.map { (encoded($0.name), encoded($0.value)) }
            .sorted { $0.0 == $1.0 ? $0.1 < $1.1 : $0.0.utf8.lexicographicallyPrecedes($1.0.utf8) }
            .map { "\($0.0)=\($0.1)" }.joined(separator: "&")
    }

    /// Everything but letters, digits, `-`, `.`, `_`, `~` as `%XX`; slashes stay in a path.
    static func encoded(_ text: String, keepsSlashes: Bool = false) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "~"):
                bytes.append(byte)
            case UInt8(ascii: "/") where keepsSlashes: bytes.append(byte)
            default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// `20130524T000000Z`.
    static func time(_ moment: Timestamp) -> String {
        String(moment.rfc3339.filter { $0 != "-" && $0 != ":" })
    }
}
