// Directories in a bucket: complete or absent, whatever happens on the way.

import Glibc
import Synchronization
import Testing

@testable import Artifacts

@Suite("Trees in S3")
struct S3TreeTests {
    private func write(_ files: [String: [UInt8]], to path: String) throws {
        for (name, bytes) in files {
            try Disk.makeDirectories(Disk.parent(of: "\(path)/\(name)"))
            try Disk.write(bytes, to: "\(path)/\(name)")
        }
    }

    /// What a reader of the key sees, file by file; nil for nothing.
    private func visible(_ bucket: FakeBucket, _ key: String) throws -> [String: [UInt8]]? {
        let client = try bucket.client()
        switch try S3TreeDownload(client: client, key: key, downloader: Downloader()).find() {
        case nil: return nil
        case .file(let object, let hash):
            let body = try #require(bucket.body(object.key))
            #expect(hash == ContentHash.of(body))
            return ["": body]
        case .objects(let objects, let prefix):
            return objects.reduce(into: [:]) { files, object in
                files[String(object.key.dropFirst(prefix.count))] = bucket.body(object.key)
            }
        case .tree(let manifest):
            return try manifest.files.reduce(into: [:]) { files, file in
                let body = try #require(bucket.body("\(manifest.location)/\(file.path)"))
                #expect(ContentHash.of(body) == file.sha256 && body.count == file.sizeBytes)
                files[file.path] = body
            }
        }
    }

    private let first: [String: [UInt8]] = [
        "a": [1], "d/b c": [2, 2], "d/e/ü": [], "x": [3], "y": [4],
    ]
    private let second: [String: [UInt8]] = ["a": [9], "new": [8]]

    @Test("A directory reads back as it was, modes and links included")
    func roundTrip() throws {
        let (directory, bucket) = (try TemporaryDirectory(), FakeBucket())
        try write(first, to: directory.path + "/t")
        #expect(symlink("a", directory.path + "/t/link") == 0)
        #expect(chmod(directory.path + "/t/x", 0o750) == 0)
        let client = try bucket.client()
        let saved = try S3TreeUpload(client: client, key: "k").save(directory.path + "/t")
        #expect(saved == .init(files: 5, bytes: 5))
        #expect(try visible(bucket, "k") == first)
        #expect(bucket.keys.contains("k/d/b c"))
        let found = try S3TreeDownload(client: client, key: "k", downloader: Downloader()).find()
        guard case .tree(let manifest) = found else { throw MissingTree() }
        #expect(manifest.links == [.init(path: "link", target: "a")])
        #expect(manifest.files.first { $0.path == "x" }?.mode == 0o750)
        #expect(try S3TreeManifest(decoding: manifest.encoded, path: "") == manifest)
    }

    private struct MissingTree: Error {}

    @Test("A process that dies at any request leaves what was there before, and a second try succeeds")
    func everyCrash() throws {
        let directory = try TemporaryDirectory()
        try write(first, to: directory.path + "/1")
        try write(second, to: directory.path + "/2")
        var death = 0
        var reachedEnd = false
        while !reachedEnd {
            let bucket = FakeBucket()
            if death % 2 == 1 {
                _ = try S3TreeUpload(client: bucket.client(), key: "k").save(directory.path + "/1")
            }
            let before = try visible(bucket, "k")
            #expect(before == (death % 2 == 1 ? first : nil))
            bucket.state.withLock { $0.deadFrom = $0.requests + death / 2 }
            do {
                _ = try S3TreeUpload(client: bucket.client(), key: "k").save(directory.path + "/2")
                reachedEnd = death % 2 == 1
            } catch {}
            bucket.state.withLock { $0.deadFrom = nil }
            let after = try visible(bucket, "k")
            #expect(after == before || after == second, "killed at request \(death / 2)")
            _ = try S3TreeUpload(client: bucket.client(), key: "k").save(directory.path + "/2")
            #expect(try visible(bucket, "k") == second)
            // Only what belongs to the tree stays.
            #expect(bucket.keys.count == second.count + 1)
            death += 1
        }
        #expect(death > 20)
    }

    @Test("A large file is sent in parts, and one that fails leaves no object and no parts")
    func multipart() throws {
        let (directory, bucket) = (try TemporaryDirectory(), FakeBucket())
        let size = S3Client.singleLimitBytes * 2 + 12_345
        let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 8) }
        try Disk.write(bytes, to: directory.path + "/f")
        let upload = S3TreeUpload(client: try bucket.client(), key: "k")
        bucket.state.withLock { $0.deadFrom = $0.requests + 4 }
        #expect(throws: ArtifactError.self) { try upload.save(directory.path + "/f") }
        bucket.state.withLock { $0.deadFrom = nil }
        #expect(try visible(bucket, "k") == nil)
        #expect(bucket.state.withLock { $0.uploads.count } == 1)
        bucket.state.withLock { $0.busy = [$0.requests + 1, $0.requests + 3] }
        _ = try upload.save(directory.path + "/f")
        #expect(bucket.body("k") == bytes)
        #expect(bucket.state.withLock { $0.uploads.isEmpty })
    }

    @Test(
        "Parts are so large that a file stays within ten thousand of them",
        arguments: [
            16 << 20, 1 << 30, 100 << 30, 5 << 40,
        ])
    func parts(size: Int) {
        let part = S3Client.partBytes(of: size)
        #expect(part >= 16 << 20 && (size + part - 1) / part <= 10_000)
    }

    @Test("Of two writers of one key the later is told, with conditional writes or without none")
    func conflict() throws {
        let (directory, bucket) = (try TemporaryDirectory(), FakeBucket())
        try write(second, to: directory.path + "/2")
        let client = try bucket.client()
        #expect(try client.put([1], at: "m", condition: .absent) != nil)
        #expect(try client.put([2], at: "m", condition: .absent) == nil)
        #expect(try client.put([3], at: "m", condition: .matches(etag: ContentHash.of([9]))) == nil)
        #expect(try client.put([4], at: "m", condition: .matches(etag: ContentHash.of([1]))) != nil)
        bucket.state.withLock { $0.hasConditions = false }
        _ = try S3TreeUpload(client: client, key: "k").save(directory.path + "/2")
        #expect(try visible(bucket, "k") == second)
    }

    @Test("A file replaces a directory, and a directory a file")
    func kinds() throws {
        let (directory, bucket) = (try TemporaryDirectory(), FakeBucket())
        try write(first, to: directory.path + "/1")
        try Disk.write([7], to: directory.path + "/f")
        let upload = S3TreeUpload(client: try bucket.client(), key: "k")
        _ = try upload.save(directory.path + "/1")
        _ = try upload.save(directory.path + "/f")
        #expect(try visible(bucket, "k") == ["": [7]])
        #expect(bucket.keys == ["k"])
        _ = try upload.save(directory.path + "/1")
        #expect(try visible(bucket, "k") == first)
    }

    @Test("Objects that another program wrote read as a directory, and a part of a tree as what it is")
    func parts() throws {
        let (directory, bucket) = (try TemporaryDirectory(), FakeBucket())
        let client = try bucket.client()
        for name in ["1", "s/2", "s/3", "s/4"] { _ = try client.put(Array(name.utf8), at: "other/\(name)") }
        let all = try #require(try visible(bucket, "other"))
        #expect(all.keys.sorted() == ["1", "s/2", "s/3", "s/4"])
        try write(first, to: directory.path + "/1")
        _ = try S3TreeUpload(client: client, key: "k").save(directory.path + "/1")
        _ = try S3TreeUpload(client: client, key: "k").save(directory.path + "/1")
        let download = S3TreeDownload(client: client, key: "k", downloader: Downloader())
        guard case .tree(let part)? = try download.find(subPath: "d"),
            case .file(let object, let hash)? = try download.find(subPath: "d/b c")
        else { throw MissingTree() }
        #expect(part.files.map(\.path).sorted() == ["b c", "e/ü"])
        #expect(bucket.body(object.key) == [2, 2] && hash == ContentHash.of([2, 2]))
        #expect(try download.find(subPath: "none") == nil)
    }

    @Test("A list with paths that leave the directory, or cut short, is refused")
    func hostileManifest() throws {
        var manifest = S3TreeManifest(location: "k", mode: 0o755)
        manifest.files = [
            .init(path: "a", sizeBytes: 1, sha256: String(repeating: "0", count: 64), mode: 0o644)
        ]
        let whole = manifest.encoded
        for count in [0, 1, whole.count / 2, whole.count - 1] {
            #expect(throws: ArtifactError.self) {
                try S3TreeManifest(decoding: Array(whole.prefix(count)), path: "")
            }
        }
        for path in ["../a", "/a", "a//b", "", "a/./b", "a\0"] {
            manifest.files[0].path = path
            #expect(throws: ArtifactError.self, "\(path)") {
                try S3TreeManifest(decoding: manifest.encoded, path: "")
            }
        }
    }

    @Test("Errors name the object and what to do")
    func errors() throws {
        let rows: [(Int, String, ArtifactError.Kind, String)] = [
            (404, "<Error><Code>NoSuchBucket</Code></Error>", .notFound, "create the bucket"),
            (403, "<Error><Code>SignatureDoesNotMatch</Code></Error>", .permissionDenied, "secret key"),
            (
                400, "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu</Region></Error>",
                .permissionDenied, "region: eu"
            ),
            (403, "<Error><Code>RequestTimeTooSkewed</Code></Error>", .permissionDenied, "clock"),
            (400, "junk", .transfer, ""),
        ]
        for (status, body, kind, remedy) in rows {
            let answer = S3Answer(status: status, headers: ReplyHeaders(), body: Array(body.utf8))
            let error = S3Client.failure(answer, path: "s3://b/k").error
            #expect(error.kind == kind && error.remedy.contains(remedy) && error.path == "s3://b/k")
        }
    }

    @Test("Every write tells its length, that of nothing included", arguments: [0, 3])
    func lengths(count: Int) throws {
        let lengths = Mutex<[String?]>([])
        let server = try HostileServer { request in
            lengths.withLock { $0.append(request.headers["content-length"]) }
            return HostileAnswer(200, [], [("ETag", "\"e\"")])
        }
        defer { server.stop() }
        let bucket = try S3Bucket(
            name: "bucket", endpoint: server.url, region: "r", style: .path, environment: { _ in nil })
        var settings = DownloadSettings()
        settings.usesProxy = false
        let client = S3Client.overNetwork(
            bucket, credentials: S3Credentials(accessKey: "A", secretKey: "S"),
            downloader: Downloader(settings))
        _ = try client.put([UInt8](repeating: 1, count: count), at: "k")
        #expect(lengths.withLock { $0 } == ["\(count)"])
    }
}
