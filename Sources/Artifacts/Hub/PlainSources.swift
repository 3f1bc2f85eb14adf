// Sources without a hub: the file at one address, and a directory of this machine.

import Glibc

/// One file by HTTP. Its name is the last part of the address.
package struct AddressSource: DownloadSource {
    package let url: String
    /// Of the whole file, from a `#sha256=` at the end of the address.
    private let sha256: String?
    package let fileName: String

    package var name: String { url }

    /// - Throws: `DownloadError` for an address that names no file.
    package init(url: String) throws(DownloadError) {
        let parts = url.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
        self.url = String(parts[0])
        if parts.count > 1, parts[1].hasPrefix("sha256=") {
            let digest = parts[1].dropFirst(7).lowercased()
            guard HubPath.isHexadecimal(digest, digits: 64) else {
                throw DownloadError(
                    .badRequest, path: url, problem: "the digest behind # has not 64 hexadecimal digits")
            }
            sha256 = digest
        } else {
            sha256 = nil
        }
        let path = parts[0].prefix { $0 != "?" }.drop { $0 != "/" }.dropFirst(2).drop { $0 != "/" }
        let last = path.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        guard let name = HubPath.unquoted(last), HubPath.problem(of: name) == nil, !name.contains("/") else {
            throw DownloadError(
                .badRequest, path: url, problem: "the address does not end in the name of a file",
                remedy: "give the address of the file itself")
        }
        fileName = name
    }

    package func listing(
        _ transport: any HubTransport, isCancelled: @escaping @Sendable () -> Bool
    ) throws -> SourceListing {
        let request = HubRequest("HEAD", url: url, headers: ["Accept-Encoding: identity"])
        let reply = try transport.exchange(request, isCancelled: isCancelled)
        var file = RemoteFile(
            name: fileName, addresses: [RemoteAddress(url: url)], digest: sha256.map { .sha256($0) })
        if (200..<300).contains(reply.status) {
            file.sizeBytes = reply.headers["Content-Length"].flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
            file.etag = reply.headers["ETag"].flatMap(HubPath.normalizedETag)
        } else if ![403, 405, 501].contains(reply.status), let failure = reply.failure() {
            // Addresses that are signed for GET refuse HEAD; the download itself tells then.
            throw failure
        }
        return SourceListing(commit: file.digest?.text ?? file.etag ?? "unknown", files: [SourceFile(file)])
    }
}

/// A directory of this machine. Links to files count as what they lead to; links to directories are passed
/// over, as they may lead in circles.
package struct DirectorySource: DownloadSource {
    package let path: String

    package var name: String { path }

    package init(path: String) { self.path = path }

    package func listing(
        _ transport: any HubTransport, isCancelled: @escaping @Sendable () -> Bool
    ) throws -> SourceListing {
        guard Disk.targetStatus(path)?.kind == .directory else {
            throw DownloadError(
                .notFound, path: path, problem: "is no directory", remedy: "check the path")
        }
        var files: [SourceFile] = []
        try collect("", depth: 0, into: &files)
        return SourceListing(commit: "local", files: files)
    }

    private func collect(_ inside: String, depth: Int, into files: inout [SourceFile]) throws {
        let directory = inside.isEmpty ? path : "\(path)/\(inside)"
        guard depth < 64, let names = Disk.list(directory) else {
            throw DownloadError(
                .disk, path: directory, problem: depth < 64 ? "cannot be read" : "is nested too deeply",
                remedy: "check its owner and mode")
        }
        for name in names.sorted() {
            let path = inside.isEmpty ? name : "\(inside)/\(name)"
            let whole = "\(self.path)/\(path)"
            guard let status = Disk.status(whole) else { continue }
            if status.kind == .directory {
                if path != ".git", path != ".cache" {
                    try collect(path, depth: depth + 1, into: &files)
                }
            } else if let target = Disk.targetStatus(whole), target.kind == .file {
                let absolute = realpath(whole, nil)
                defer { free(absolute) }
                guard let absolute else { continue }
                let address = "file://" + HubPath.quoted(String(cString: absolute), keepingSlash: true)
                files.append(
                    SourceFile(
                        RemoteFile(
                            name: path, addresses: [RemoteAddress(url: address)],
                            sizeBytes: target.sizeBytes)))
            }
        }
    }
}
