// The bytes of files: headers that clients verify by, ranges, and what a fault plan does to them.
import Glibc
import NIOPosix
import Text

/// Which file is asked for.
struct ContentRequest: Sendable, Hashable {
    var name: RepositoryName
    var revision: String
    var path: String
}

/// A file that is open for as long as somebody refers to it.
private final class OpenFile: Sendable {
    let descriptor: Int32

    /// Nil when the file is not the one that was looked at, or cannot be opened.
    init?(_ file: HubFile) {
        descriptor = open(file.realPath, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        if descriptor < 0 || FileDigests.stamp(of: descriptor) != file.stamp { return nil }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }
}

/// The connection is closed because the fault plan, or a body that cannot be completed, wants it.
private struct BrokenOff: Error {}

extension HubRoutes {
    func contentReply(
        _ call: HTTPCall, _ request: ContentRequest, _ verdict: FaultVerdict, key: String
    ) async throws -> HTTPReply {
        let (snapshot, file, opened) = try await find(request)
        var headers = Self.headers(file, commit: snapshot.commit)
        if verdict.redirects {
            headers.append(("Location", redirectTarget(call)))
            return HTTPReply(status: 302, headers: headers)
        }
        if let known = call.headers["if-none-match"], known.contains("\"\(file.etag)\"") {
            return HTTPReply(status: 304, headers: headers)
        }
        // A client that goes on with another content than this gets the whole instead.
        let isOther = call.headers["if-range"].map { $0 != "\"\(file.etag)\"" } ?? false
        let header = isOther || verdict.ignoresRange ? nil : call.headers["range"]
        var status = 200
        var range = 0..<file.sizeBytes
        switch ByteRange(header, sizeBytes: file.sizeBytes) {
        case .whole: break
        case .part(let part):
            status = 206
            range = part
            headers.append(
                ("Content-Range", "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(file.sizeBytes)"))
        case .unsatisfiable:
            headers.append(("Content-Range", "bytes */\(file.sizeBytes)"))
            return HTTPReply(status: 416, headers: headers)
        }
        let plan = BodyPlan(range: range, sizeBytes: file.sizeBytes, verdict)
        headers.append(("Content-Length", "\(plan.announcedBytes)"))
        if call.method == "HEAD" { return HTTPReply(status: status, headers: headers) }
        return HTTPReply(
            status: status, headers: headers,
            body: .stream { [self] sink in try await send(plan, opened, key: key, to: sink) })
    }

    /// The file as it is on disk now; a repository that changed since the last look is looked through again.
    private func find(
        _ request: ContentRequest
    ) async throws -> (RepositorySnapshot, HubFile, OpenFile) {
        let isCommit = GitObjects.isDigest(request.revision, digits: 40)
        for freshness in [isCommit ? HubLibrary.Freshness.any : .recent, .now, .now] {
            let snapshot = try await library.snapshot(
                of: request.name, revision: request.revision, freshness)
            if let file = snapshot.file(request.path) {
                let opened = try await NIOThreadPool.singleton.runIfActive { OpenFile(file) }
                if let opened { return (snapshot, file, opened) }
            } else if case .now = freshness {
                throw HubError.entryNotFound(request.path, in: request.name)
            } else if isCommit {
                // A commit's files do not change.
                throw HubError.entryNotFound(request.path, in: request.name)
            }
        }
        throw HubError.unavailable("\(request.path.shortened) changes all the time; try again")
    }

    private static func headers(_ file: HubFile, commit: String) -> [(name: String, value: String)] {
        var headers = [
            ("ETag", "\"\(file.etag)\""), ("X-Repo-Commit", commit), ("Accept-Ranges", "bytes"),
            ("Content-Type", "application/octet-stream"), ("X-Content-Type-Options", "nosniff"),
            ("Content-Disposition", disposition(file)),
        ]
        if file.isLarge {
            headers += [("X-Linked-Etag", "\"\(file.etag)\""), ("X-Linked-Size", "\(file.sizeBytes)")]
        }
        return headers
    }

    private static func disposition(_ file: HubFile) -> String {
        let name = String(file.path.split(separator: "/").last ?? "")
        let plain = String(
            decoding: name.utf8.map { PercentEncoding.isUnreserved($0) ? $0 : UInt8(ascii: "_") },
            as: UTF8.self)
        return "inline; filename*=UTF-8''\(PercentEncoding.encoded(name)); filename=\"\(plain)\";"
    }

    private func send(
        _ plan: BodyPlan, _ file: OpenFile, key: String, to sink: any ReplySink
    ) async throws {
        for step in plan.steps {
            switch step {
            case .file(let range): try await send(range, plan, file, key: key, to: sink)
            case .changedByte(let offset):
                var byte: UInt8 = 0
                guard pread(file.descriptor, &byte, 1, off_t(offset)) == 1 else { throw BrokenOff() }
                try await sink.write([byte ^ 0x5A])
                statistics.sent(1, of: key)
            case .wait(let span): try await surroundings.sleep(span)
            case .breakOff: throw BrokenOff()
            }
        }
    }

    private func send(
        _ range: Range<Int>, _ plan: BodyPlan, _ file: OpenFile, key: String, to sink: any ReplySink
    ) async throws {
        let statistics = statistics
        // Twenty pieces a second look like a slow line to whoever measures it.
        let piece = plan.bytesPerSecond.map { max(1, $0 / 20) } ?? range.count
        var place = range.lowerBound
        while place < range.upperBound {
            let count = min(piece, range.upperBound - place)
            try await sink.writeFile(file.descriptor, from: place, count: count) {
                statistics.sent($0, of: key)
            }
            place += count
            if let rate = plan.bytesPerSecond {
                try await surroundings.sleep(.microseconds(count * 1_000_000 / rate))
            }
        }
    }
}

/// What is sent as a body: the file's bytes, and what a verdict does to them. Pure.
struct BodyPlan: Sendable, Equatable {
    enum Step: Sendable, Equatable {
        /// Bytes of the file.
        case file(Range<Int>)
        /// The byte at an offset, made another one.
        case changedByte(Int)
        case wait(Duration)
        case breakOff
    }

    /// The Content-Length.
    var announcedBytes: Int
    var steps: [Step] = []
    var bytesPerSecond: Int?

    /// - Parameter range: of the file.
    init(range: Range<Int>, sizeBytes: Int, _ verdict: FaultVerdict) {
        bytesPerSecond = verdict.bytesPerSecond
        announcedBytes = range.count
        if let error = verdict.lengthError {
            let (sum, overflow) = range.count.addingReportingOverflow(error)
            announcedBytes = overflow ? range.count : max(0, sum)
        }
        var end = range.lowerBound + min(range.count, announcedBytes)
        var breaksOff = announcedBytes > range.count
        if let drop = verdict.drop?.offset(below: range.count), drop < end - range.lowerBound {
            end = range.lowerBound + drop
            breaksOff = true
        }
        var place = range.lowerBound
        func fileSteps(upTo limit: Int) -> [Step] {
            guard place < limit else { return [] }
            let change = verdict.change?.offset(below: sizeBytes)
            guard let change, (place..<limit).contains(change) else { return [.file(place..<limit)] }
            let around: [Step] = [
                .file(place..<change), .changedByte(change), .file((change + 1)..<limit),
            ]
            return around.filter { $0 != .file(change..<change) && $0 != .file(limit..<limit) }
        }
        if let stall = verdict.stall {
            let offset = range.lowerBound + min(range.count, stall.place.offset(below: range.count))
            if offset <= end {
                steps += fileSteps(upTo: offset) + [.wait(stall.span)]
                place = offset
            }
        }
        steps += fileSteps(upTo: end)
        if breaksOff { steps.append(.breakOff) }
    }
}
