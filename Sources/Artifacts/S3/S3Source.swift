// A prefix of a bucket as a place to download from.

/// All objects below `s3://bucket/prefix`, or the tree that Martlet saved there.
package struct S3Source: DownloadSource {
    private let client: S3Client
    private let key: String

    package var name: String { client.bucket.display(key) }

    /// - Parameter url: `s3://bucket/prefix`; endpoint, region and keys are those of the environment.
    /// - Throws: `DownloadError` for an address without a bucket or a prefix, and unreadable credentials.
    package init(url: String, downloader: Downloader) throws(DownloadError) {
        let parts = url.dropFirst("s3://".count).split(separator: "/", maxSplits: 1)
        guard url.hasPrefix("s3://"), parts.count == 2 else {
            throw DownloadError(
                .badRequest, path: url, problem: "names no bucket and prefix",
                remedy: "write s3://bucket/prefix")
        }
        key = ReferencePath.normalized(String(parts[1]))
        do {
            let bucket = try S3Bucket(name: String(parts[0]))
            client = S3Client.overNetwork(
                bucket, credentials: try S3Credentials.standard(), downloader: downloader)
            _ = try bucket.checked(key)
        } catch {
            throw DownloadError(.badRequest, path: url, problem: error.problem, remedy: error.remedy)
        }
    }

    package func listing(
        _ transport: any HubTransport, isCancelled: @escaping @Sendable () -> Bool
    ) throws -> SourceListing {
        do {
            guard
                let found = try S3TreeDownload(client: client, key: key, downloader: .forStores).find()
            else {
                throw DownloadError(
                    .notFound, path: name, problem: "there is no such object or prefix",
                    remedy: "check the bucket, the prefix and the endpoint (AWS_ENDPOINT_URL)")
            }
            let files = try files(found)
            return SourceListing(commit: "unknown", files: files.map { SourceFile($0) })
        } catch let error as ArtifactError {
            let kind: DownloadError.Kind = error.kind == .permissionDenied ? .forbidden : .server
            throw DownloadError(kind, path: error.path, problem: error.problem, remedy: error.remedy)
        }
    }

    private func files(_ found: S3TreeDownload.Found) throws(ArtifactError) -> [RemoteFile] {
        func file(_ path: String, _ key: String, _ size: Int, _ digest: String?) throws(ArtifactError)
            -> RemoteFile
        {
            var file = try client.remoteFile(key, sizeBytes: size, sha256: digest)
            file.name = path
            return file
        }
        var files: [RemoteFile] = []
        switch found {
        case .file(let object, let digest):
            files.append(try file(Disk.name(of: key), object.key, object.sizeBytes, digest))
        case .tree(let manifest):
            for item in manifest.files {
                let key = "\(manifest.location)/\(item.path)"
                files.append(try file(item.path, key, item.sizeBytes, item.sha256))
            }
        case .objects(let objects, let prefix):
            for object in objects {
                let path = String(object.key.dropFirst(prefix.count))
                files.append(try file(path, object.key, object.sizeBytes, nil))
            }
        }
        return files
    }
}
