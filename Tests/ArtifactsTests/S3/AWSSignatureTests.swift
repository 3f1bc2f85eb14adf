// Signatures against the worked examples of the Amazon S3 API reference.

import Testing
import Text

@testable import Artifacts

@Suite("AWS signatures")
struct AWSSignatureTests {
    private let signature = AWSSignature(
        credentials: S3Credentials(
            accessKey: "AKIAIOSFODNN7EXAMPLE", secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        region: "us-east-1")
    private let moment = Timestamp(seconds: 1_369_353_600)

    private func request(
        _ method: String, _ path: String, query: [(name: String, value: String)] = [],
        headers: [(name: String, value: String)] = [], hash: String = AWSSignature.emptyHash
    ) -> AWSSignature.Request {
        .init(
            method: method, host: "examplebucket.s3.amazonaws.com", path: path, query: query,
            headers: headers, payloadHash: hash)
    }

    @Test("The examples of the reference get the signatures that it prints")
    func examples() {
        let rows: [(AWSSignature.Request, String)] = [
            (
                request("GET", "/test.txt", headers: [(name: "range", value: "bytes=0-9")]),
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
            ),
            (
                request(
                    "PUT", "/" + AWSSignature.encoded("test$file.text", keepsSlashes: true),
                    headers: [
                        (name: "date", value: "Fri, 24 May 2013 00:00:00 GMT"),
                        (name: "x-amz-storage-class", value: "REDUCED_REDUNDANCY"),
                    ], hash: ContentHash.of(Array("Welcome to Amazon S3.".utf8))),
                "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
            ),
            (
                request("GET", "/", query: [(name: "lifecycle", value: "")]),
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
            ),
            (
                request(
                    "GET", "/", query: [(name: "prefix", value: "J"), (name: "max-keys", value: "2")]),
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
            ),
        ]
        for (request, expected) in rows {
            let authorization = signature.headers(request, at: moment).last ?? ""
            #expect(authorization.hasSuffix("Signature=\(expected)"), "\(request.method) \(request.path)")
        }
    }

    @Test("Temporary credentials send their token, and it is signed")
    func token() {
        var signature = signature
        signature.credentials.sessionToken = "token"
        let headers = signature.headers(request("GET", "/a"), at: moment)
        #expect(headers.contains("x-amz-security-token: token"))
        #expect(headers.last?.contains("x-amz-date;x-amz-security-token,") == true)
    }

    @Test(
        "Paths and queries keep what S3 leaves alone and encode the rest",
        arguments: [
            ("a b", "a%20b"), ("ü/é", "%C3%BC/%C3%A9"), ("a+b=c&d", "a%2Bb%3Dc%26d"), ("~._-", "~._-"),
        ])
    func encoding(text: String, encoded: String) {
        #expect(AWSSignature.encoded(text, keepsSlashes: true) == encoded)
    }
}

@Suite("S3 addresses")
struct S3BucketTests {
    private func bucket(
        _ name: String, _ endpoint: String?, insecure: Bool = false, style: S3Bucket.Style? = nil,
        environment: [String: String] = [:]
    ) throws -> S3Bucket {
        try S3Bucket(
            name: name, endpoint: endpoint, insecure: insecure, style: style,
            environment: { environment[$0] })
    }

    @Test("Amazon gets the bucket in the host, others in the path, unless told otherwise")
    func styles() throws {
        let rows: [(S3Bucket, String)] = [
            (try bucket("b", nil), "https://b.s3.us-east-1.amazonaws.com/k/x%20y"),
            (try bucket("b.c", nil), "https://s3.us-east-1.amazonaws.com/b.c/k/x%20y"),
            (try bucket("b", "minio:9000", insecure: true), "http://minio:9000/b/k/x%20y"),
            (try bucket("b", "https://h:443"), "https://h/b/k/x%20y"),
            (try bucket("b", "https://h", style: .virtual), "https://b.h/k/x%20y"),
            (
                try bucket("b", nil, environment: ["AWS_ENDPOINT_URL": "http://x:1", "AWS_REGION": "eu-1"]),
                "http://x:1/b/k/x%20y"
            ),
        ]
        for (bucket, url) in rows { #expect(bucket.origin + bucket.path("k/x y") == url) }
    }

    @Test("Names and keys that mean something else on the way are refused")
    func refused() throws {
        for name in ["", "a/b", "..", "a b"] {
            #expect(throws: ArtifactError.self) { try bucket(name, nil) }
        }
        #expect(throws: ArtifactError.self) { try bucket("b", "http://h/path") }
        let plain = try bucket("b", nil)
        for key in ["", "a/../b", "./a", String(repeating: "k", count: 1025)] {
            #expect(throws: ArtifactError.self) { try plain.checked(key) }
        }
    }

    @Test("Keys come from the environment, else from the profile of the credentials file")
    func credentials() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/credentials"
        let text = """
            [default]
            aws_access_key_id = A
            aws_secret_access_key=B=
            [other]
            # aws_access_key_id = no
            aws_access_key_id = C
            aws_secret_access_key = D
            aws_session_token = E
            """
        try Disk.write(Array(text.utf8), to: path)
        func standard(_ environment: [String: String]) throws -> S3Credentials? {
            try S3Credentials.standard {
                environment.merging(["AWS_SHARED_CREDENTIALS_FILE": path]) { own, _ in own }[$0]
            }
        }
        #expect(try standard([:]) == S3Credentials(accessKey: "A", secretKey: "B="))
        #expect(
            try standard(["AWS_PROFILE": "other"])
                == S3Credentials(accessKey: "C", secretKey: "D", sessionToken: "E"))
        #expect(
            try standard(["AWS_ACCESS_KEY_ID": "X", "AWS_SECRET_ACCESS_KEY": "Y"])
                == S3Credentials(accessKey: "X", secretKey: "Y"))
        #expect(throws: ArtifactError.self) { try standard(["AWS_PROFILE": "absent"]) }
        #expect(try standard(["AWS_SHARED_CREDENTIALS_FILE": directory.path + "/none"]) == nil)
        let shown = "\(S3Credentials(accessKey: "ABCDEFGH", secretKey: "secret"))"
        #expect(!shown.contains("secret") && !shown.contains("EFGH"))
    }
}

@Suite("XML of S3 servers")
struct XMLElementTests {
    private func parse(_ text: String) -> XMLElement? { XMLElement(parsing: Array(text.utf8)) }

    @Test("Elements, text and entities are read; prefixes and attributes are passed over")
    func reading() {
        let root = parse(
            """
            <?xml version="1.0"?>
            <s3:List xmlns="x"><Contents a='1'><Key>a &amp; b&#x41;&#66; &lt;</Key><Size>3</Size></Contents>
            <Empty/><Contents><Key></Key></Contents></s3:List>
            """)
        #expect(root?.name == "List")
        #expect(root?.elements("Contents").map { $0.value("Key") } == ["a & bAB <", ""])
        #expect(root?.value("Empty") == "")
        #expect(XMLElement.escaped("a<b>&") == "a&lt;b&gt;&amp;")
    }

    @Test("What is not well formed, or could expand, is no document")
    func refused() {
        let deep = String(repeating: "<a>", count: 100) + String(repeating: "</a>", count: 100)
        for text in [
            "", "x", "<a>", "<a></b>", "<a/><b/>", "</a>", "<", "<a", "<!DOCTYPE a><a/>", "<>", deep,
        ] {
            #expect(parse(text) == nil, "\(text.prefix(20))")
        }
    }
}
