// Answers of both hubs as they come over the wire, and what is made of them.

import Testing
import Text

@testable import Artifacts

struct HubProtocolTests {
    private static let commit = String(repeating: "0123456789", count: 4)
    private static let sha256 = String(repeating: "ab", count: 32)
    private static let repository = HubRepository(id: "org/name")

    static func reply(_ status: Int, _ headers: [String] = [], _ body: String = "") -> HubReply {
        var fields = ReplyHeaders()
        for line in headers { fields.append(line: line) }
        return HubReply(status: status, headers: fields, body: Array(body.utf8), url: "http://hub/x")
    }

    // MARK: Hugging Face

    @Test("Addresses are those of the Hub")
    func addresses() {
        let data = HubRepository(kind: .dataset, id: "org/name")
        #expect(
            HuggingFaceProtocol.infoURL("http://hub", Self.repository, revision: "refs/pr/1")
                == "http://hub/api/models/org/name/revision/refs%2Fpr%2F1")
        #expect(
            HuggingFaceProtocol.treeURL("http://hub", data, commit: "abc")
                == "http://hub/api/datasets/org/name/tree/abc?recursive=true&expand=false")
        #expect(
            HuggingFaceProtocol.fileURL("http://hub", data, revision: "abc", path: "a b/c?.txt")
                == "http://hub/datasets/org/name/resolve/abc/a%20b/c%3F.txt")
    }

    @Test("A page of a listing gives files with their digests")
    func tree() throws {
        let json = try JSONValue(
            parsing: """
                [{"type":"directory","oid":"x","size":0,"path":"sub"},
                 {"type":"file","oid":"\(Self.commit)","size":12,"path":"sub/a.json"},
                 {"type":"file","oid":"\(Self.commit)","size":99,"path":"m.bin","xetHash":"y",
                  "lfs":{"oid":"\(Self.sha256.uppercased())","size":99,"pointerSize":134}},
                 {"type":"file","path":"bare"}]
                """)
        #expect(
            HuggingFaceProtocol.entries(json) == [
                .init(path: "sub/a.json", sizeBytes: 12, gitObjectID: Self.commit, sha256: nil),
                .init(path: "m.bin", sizeBytes: 99, gitObjectID: Self.commit, sha256: Self.sha256),
                .init(path: "bare", sizeBytes: nil, gitObjectID: nil, sha256: nil),
            ])
    }

    @Test(
        "What is no listing is told from an empty one",
        arguments: [
            ("[]", true), ("{}", false), ("[{}]", false), ("[{\"path\":\"a\"}]", false), ("null", false),
            ("[{\"type\":\"file\",\"path\":\"a\",\"size\":-1}]", false),
            ("[{\"type\":\"file\",\"path\":7}]", false),
        ])
    func strangeTrees(text: String, isListing: Bool) throws {
        #expect((HuggingFaceProtocol.entries(try JSONValue(parsing: text)) != nil) == isListing)
    }

    @Test(
        "The next page is found by its query alone",
        arguments: [
            ("<https://other.host/api/x?cursor=AB%3D&limit=5>; rel=\"next\"", "cursor=AB%3D&limit=5"),
            ("</api/x?cursor=1,2>; rel=next, <http://h/x?c=9>; rel=\"last\"", "cursor=1,2"),
            ("<http://h/x?c=9>; rel=\"prev\", <http://h/x?c=2>; rel=\"next\"", "c=2"),
            ("<http://h/x?c=9>; rel=\"prev\"", nil), ("<http://h/x>; rel=\"next\"", nil), ("nonsense", nil),
            ("<http://h/x?c=1 HTTP/1.1>; rel=\"next\"", nil), (nil, nil),
        ] as [(String?, String?)])
    func links(header: String?, query: String?) {
        #expect(HuggingFaceProtocol.nextQuery(link: header) == query)
    }

    @Test("A commit that is none is not believed")
    func info() throws {
        let good = try JSONValue(
            parsing: "{\"sha\":\"\(Self.commit)\",\"id\":\"new/name\",\"disabled\":false}")
        #expect(
            HuggingFaceProtocol.info(good) == .init(commit: Self.commit, id: "new/name", isDisabled: false))
        let bad = try JSONValue(parsing: "{\"sha\":\"../../x\"}")
        #expect(HuggingFaceProtocol.info(bad) == nil)
        let strange = try JSONValue(parsing: "{\"sha\":\"\(Self.commit)\",\"id\":\"../x\"}")
        #expect(HuggingFaceProtocol.info(strange)?.id == nil)
    }

    @Test("Headers of a resolved file tell its digest by the form of its tag")
    func resolved() {
        let large = HuggingFaceProtocol.resolved(
            Self.reply(
                302,
                [
                    "X-Linked-Etag: \"\(Self.sha256)\"", "X-Linked-Size: 77", "ETag: \"x\"",
                    "Content-Length: 9",
                ]))
        #expect(large.digest == .sha256(Self.sha256))
        #expect(large.sizeBytes == 77)
        let small = HuggingFaceProtocol.resolved(
            Self.reply(
                200, ["ETag: W/\"\(Self.commit)\"", "Content-Length: 9", "X-Repo-Commit: \(Self.commit)"]))
        #expect(small.digest == .gitBlobSHA1(Self.commit))
        #expect(small.sizeBytes == 9)
        #expect(small.commit == Self.commit)
        let plain = HuggingFaceProtocol.resolved(Self.reply(200, ["ETag: \"5f-1\""]))
        #expect(plain.digest == nil)
        #expect(plain.etag == "5f-1")
        #expect(plain.sizeBytes == nil)
    }

    @Test(
        "Refusals are told apart, each with what to do",
        arguments: [
            (403, ["X-Error-Code: GatedRepo"], false, DownloadError.Kind.gated, "HF_TOKEN"),
            (401, ["X-Error-Code: GatedRepo"], true, .gated, "granted"),
            (404, ["X-Error-Code: RevisionNotFound"], false, .revisionNotFound, "--revision"),
            (404, ["X-Error-Code: EntryNotFound"], false, .notFound, "its files"),
            (404, ["X-Error-Code: RepoNotFound"], false, .repositoryNotFound, "HF_TOKEN"),
            (401, ["X-Error-Code: RepoNotFound"], true, .repositoryNotFound, "may read it"),
            (401, [], false, .repositoryNotFound, "HF_TOKEN"),
            (401, [], true, .unauthorized, "renew"),
            (
                401, ["X-Error-Message: Invalid credentials in Authorization header"], false, .unauthorized,
                "renew"
            ),
            (403, ["X-Error-Message: Access to this resource is disabled."], true, .forbidden, "another"),
            (403, [], true, .forbidden, "token"),
            (404, [], true, .repositoryNotFound, "--repo_type"),
        ] as [(Int, [String], Bool, DownloadError.Kind, String)])
    func failures(status: Int, headers: [String], hasToken: Bool, kind: DownloadError.Kind, remedy: String) {
        let error = HuggingFaceProtocol.failure(
            Self.reply(status, headers), path: "org/name", endpoint: "http://hub",
            repository: Self.repository,
            hasToken: hasToken)
        #expect(error.kind == kind)
        #expect(error.remedy.contains(remedy), "\(error)")
        #expect(error.status == status)
    }

    @Test("Of several servers' failures the one that tells most is shown, with the others")
    func summary() {
        let failures: [(HubSettings.Endpoint, DownloadError)] = [
            (.init(url: "http://a"), DownloadError(.network, path: "", problem: "no connection")),
            (.init(url: "http://b"), DownloadError(.gated, path: "org/name", problem: "access is given")),
            (.init(url: "http://c"), DownloadError(.repositoryNotFound, path: "", problem: "no such model")),
        ]
        let error = EndpointOrder.summary(failures)
        #expect(error.kind == .gated)
        #expect(
            error.problem
                == "access is given (http://b; also asked: http://a: no connection; http://c: no such model)")
    }

    // MARK: ModelScope

    @Test("Addresses are those of ModelScope")
    func modelScopeAddresses() {
        let model = HubRepository(hub: .modelScope, id: "o/n")
        let data = HubRepository(hub: .modelScope, kind: .dataset, id: "o/n")
        #expect(
            ModelScopeProtocol.listURL("http://m", model, revision: "v 1", page: 1)
                == "http://m/api/v1/models/o/n/repo/files?Revision=v%201&Recursive=True")
        #expect(
            ModelScopeProtocol.listURL("http://m", data, revision: "master", page: 3)
                == "http://m/api/v1/datasets/o/n/repo/tree?Revision=master&Recursive=True"
                + "&PageNumber=3&PageSize=200"
        )
        #expect(
            ModelScopeProtocol.fileURL("http://m", model, revision: "master", path: "a/b&c.txt")
                == "http://m/api/v1/models/o/n/repo?Revision=master&FilePath=a%2Fb%26c.txt")
    }

    @Test(
        "A failure is a failure whatever its status",
        arguments: [
            ("{\"Code\":200,\"Success\":true,\"Data\":{\"Files\":[]}}", .data(["Files": []])),
            ("{\"Code\":200,\"Data\":null}", .data(.null)),
            (
                "{\"Code\":10010205001,\"Success\":false,\"Message\":\"record not found\"}",
                .failure(code: 10_010_205_001, message: "record not found")
            ),
            ("{\"Code\":404}", .failure(code: 404, message: "")), ("[]", nil),
            ("{\"Success\":false}", .failure(code: 0, message: "")),
        ] as [(String, ModelScopeProtocol.Envelope?)])
    func envelopes(text: String, meant: ModelScopeProtocol.Envelope?) throws {
        #expect(ModelScopeProtocol.envelope(try JSONValue(parsing: text)) == meant)
    }

    @Test("A listing gives files, their digests, and the newest commit")
    func modelScopeFiles() throws {
        let other = String(repeating: "f", count: 40)
        let data = try JSONValue(
            parsing: """
                {"Files":[{"Name":"sub","Path":"sub","Type":"tree","Size":0},
                 {"Name":"a.bin","Path":"sub/a.bin","Type":"blob","Size":7,"Sha256":"\(Self.sha256)",
                  "Revision":"\(Self.commit)","CommittedDate":100},
                 {"Name":"b","Path":"b","Type":"blob","Size":0,"Sha256":"",
                  "Revision":"\(other)","CommittedDate":50}]}
                """)
        let (files, count) = try #require(ModelScopeProtocol.entries(data))
        #expect(count == 3)
        #expect(files.map(\.path) == ["sub/a.bin", "b"])
        #expect(files.map(\.sha256) == [Self.sha256, nil])
        #expect(ModelScopeProtocol.commit(of: files) == Self.commit)
        #expect(ModelScopeProtocol.entries(["Files": .null])?.count == 0)
        #expect(ModelScopeProtocol.entries("text") == nil)
        #expect(ModelScopeProtocol.entries(["Files": [["Path": 1]]]) == nil)
    }

    @Test(
        "Refusals of ModelScope are told apart",
        arguments: [
            (404, 10_010_205_001, "", false, DownloadError.Kind.repositoryNotFound),
            (200, 10_010_205_001, "record not found", false, .repositoryNotFound),
            (200, 10_010_205_001, "The model does not exist", true, .repositoryNotFound),
            (401, 0, "", true, .unauthorized), (401, 0, "", false, .unauthorized),
            (403, 0, "no access", true, .gated),
            (200, 403, "", false, .gated), (200, 77, "internal", false, .server),
            (500, 0, "", false, .server),
        ] as [(Int, Int, String, Bool, DownloadError.Kind)])
    func modelScopeFailures(status: Int, code: Int, message: String, hasToken: Bool, kind: DownloadError.Kind)
    {
        let error = ModelScopeProtocol.failure(
            status: status, code: code, message: message, path: "o/n", repository: Self.repository,
            hasToken: hasToken)
        #expect(error.kind == kind)
        #expect(!error.remedy.isEmpty)
    }
}
