// What tests of downloads share: content by seed, a clock that runs only while somebody sleeps, settings with
// small segments.

import Glibc
import Synchronization
import TestSupport
import Text

@testable import Artifacts

/// Time goes on by sleeping alone.
final class VirtualClock: Sendable {
    private let elapsed = Mutex(Duration.seconds(1000))
    /// 2015-10-21T07:28:00Z at the beginning.
    static let start = Timestamp(seconds: 1_445_412_480)

    var now: Duration { elapsed.withLock { $0 } }
    var slept: Duration { now - .seconds(1000) }

    var downloadClock: DownloadClock {
        DownloadClock(
            now: { self.now }, wallTime: { Self.start + self.slept },
            sleep: { span in self.elapsed.withLock { $0 += max(.zero, span) } })
    }
}

/// A fresh folder, a server and settings whose pauses take no time.
struct DownloadFixture {
    let directory: TemporaryDirectory
    let clock = VirtualClock()

    init() throws { directory = try TemporaryDirectory() }

    static func content(_ count: Int, seed: UInt64) -> [UInt8] {
        var generator = SeededGenerator(seed: seed)
        let words = (0..<(min(count, 4096) + 7) / 8).map { _ in generator.next() }
        let block = words.withUnsafeBytes { Array($0) }
        var bytes: [UInt8] = []
        // A page of chance, repeated with its number in front, so that no two pages are alike.
        while bytes.count < count {
            withUnsafeBytes(of: UInt32(bytes.count)) { bytes.append(contentsOf: $0) }
            bytes.append(contentsOf: block)
        }
        return Array(bytes.prefix(count))
    }

    static func sha256(_ bytes: [UInt8]) -> String { ContentHash.of(bytes) }

    var settings: DownloadSettings {
        var settings = DownloadSettings()
        settings.maxConnections = 4
        settings.segmentBytes = 32 << 10
        settings.retries = 4
        settings.stallTimeout = .seconds(3)
        settings.usesProxy = false
        settings.usesNetrc = false
        settings.isDurable = false
        settings.spareDiskBytes = 0
        settings.clock = clock.downloadClock
        settings.jitter = { 1 }
        return settings
    }

    var destination: String { directory.path + "/out/file" }
    var partial: String { directory.path + "/out/file.incomplete" }

    func job(
        _ urls: [String], size: Int? = nil, digest: ExpectedDigest? = nil, headers: [String] = [],
        etag: String? = nil
    ) -> DownloadJob {
        let addresses = urls.map { RemoteAddress(url: $0, headers: headers) }
        let file = RemoteFile(name: "file", addresses: addresses, sizeBytes: size, digest: digest, etag: etag)
        return DownloadJob(file: file, destination: destination, partial: partial)
    }

    /// The content under the final name, nil without one.
    var result: [UInt8]? {
        let file = open(destination, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        let size = Disk.targetStatus(destination)?.sizeBytes ?? 0
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            count = max(0, pread(file, buffer.baseAddress, size, 0))
        }
    }

    /// The error of a fetch that must fail.
    static func failure(_ body: () throws -> Void) -> DownloadError? {
        do {
            try body()
            return nil
        } catch {
            return error as? DownloadError
        }
    }
}
