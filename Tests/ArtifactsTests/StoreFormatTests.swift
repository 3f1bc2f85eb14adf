// The formats on disk: names of keys and lists of directories.

import Testing
import Text
import WorkflowLanguage

@testable import Artifacts

@Suite("Store formats")
struct StoreFormatTests {
    @Test(
        "Keys become file names that stay in their directory",
        arguments: [
            ("a", "=a"), ("a/b", "a/=b"), ("/a//b/", "a/=b"), ("../x", "%2e./=x"), ("a/..", "a/=%2e."),
            (".", "=%2e"), ("=a", "=%3da"), ("50%", "=50%25"), ("größe/ü", "größe/=ü"),
        ])
    func references(key: String, file: String) {
        #expect(ReferencePath.file(key: key) == file)
    }

    @Test("A part too long for a file name is named by its hash")
    func longNames() throws {
        let key = String(repeating: "x", count: 1024)
        let file = try #require(ReferencePath.file(key: key))
        #expect(file.utf8.count < 255)
        #expect(file != ReferencePath.file(key: key + "y"))
        #expect(ReferencePath.file(key: "//") == nil)
    }

    @Test("A directory's list survives being written and read")
    func manifestRoundTrip() throws {
        let hash = String(repeating: "0", count: 64)
        let manifest = TreeManifest(
            mode: 0o755,
            entries: [
                TreeEntry(path: "a", mode: 0o700, content: .directory),
                TreeEntry(path: "a/f with blanks", mode: 0o4755, content: .file(hash: hash, bytes: 7)),
                TreeEntry(path: "l", mode: 0, content: .link(target: "a/ f\nx")),
            ])
        #expect(try TreeManifest(decoding: manifest.encoded, path: "p") == manifest)
        for length in 0..<manifest.encoded.count {
            #expect(throws: ArtifactError.self) {
                try TreeManifest(decoding: Array(manifest.encoded.prefix(length)), path: "p")
            }
        }
    }

    @Test(
        "A list that names paths outside of its directory is refused",
        arguments: ["../x", "/x", "a/../x", "a//x", ""])
    func escapingPaths(path: String) {
        let text = "martlet-tree 1\0755\0d 755\0\(path)\0end\0"
        #expect(throws: ArtifactError.self) { try TreeManifest(decoding: Array(text.utf8), path: "p") }
    }

    static let locationRows: [(JSONValue, ArtifactLocation)] = [
        (["s3": ["key": "a/b"]], .key("a/b")), (["gcs": ["key": "g"]], .key("g")),
        (["azure": ["blob": "z"]], .key("z")), (["raw": ["data": "text"]], .raw("text")),
    ]

    @Test("Locations are what the manifest says", arguments: locationRows)
    func locations(declaration: JSONValue, location: ArtifactLocation) throws {
        #expect(try ArtifactLocation(Artifact(declaration)) == location)
    }

    static let foreignRows: [JSONValue] = [
        ["hdfs": ["path": "/x"]], ["oss": ["endpoint": "e", "key": "k"]],
        ["gcs": ["bucket": "b", "key": "k"]],
    ]

    @Test("A store that only an outside service has is named in the refusal", arguments: foreignRows)
    func foreignStores(declaration: JSONValue) {
        #expect { try ArtifactLocation(Artifact(declaration)) } throws: { error in
            "\(error)".contains("there are the local store, s3 with a bucket, http, git and raw")
        }
    }

    @Test(
        "A bucket's declaration says what is wrong with it",
        arguments: [
            (["bucket": "b"], "names a bucket and no key"),
            (["bucket": "a/b", "key": "k"], "no name of a bucket"),
            (["bucket": "b", "key": "k", "roleARN": "r"], "s3.roleARN is not there yet"),
            (["bucket": "b", "key": "../k"], "no usable key"),
            (["bucket": "b", "key": "k", "endpoint": "http://h/x"], "no endpoint"),
        ] as [(JSONValue, String)])
    func buckets(declaration: JSONValue, problem: String) {
        #expect { try ArtifactLocation(Artifact(["s3": declaration])) } throws: { "\($0)".contains(problem) }
    }
}
