// The beginning and the end of a file: what an earlier process left, room on the disk, digests, the final
// name.

import Glibc
import Text

extension FetchRun {
    /// Files up to this length get their digest by the thread that fetched them.
    static let inlineDigestBytes = 4 << 20
    /// Shorter ones are fetched again after a kill: a journal for each of ten thousand costs more.
    static let journalBytes = 1 << 18

    /// Refuses a fetch that the disk cannot take, before the first byte.
    func checkDiskSpace() throws(DownloadError) {
        var needed: [UInt: (bytes: Int, folder: String)] = [:]
        for file in state.access({ $0.files }) {
            guard let size = file.sizeBytes else { continue }
            var folder = Disk.parent(of: file.job.partial)
            var status = stat()
            while stat(folder, &status) != 0, folder != "/", folder != "." {
                folder = Disk.parent(of: folder)
            }
            var there = stat()
            let isThere = stat(file.job.partial, &there) == 0
            let missing = max(0, size - (isThere ? Int(there.st_blocks) * 512 : 0))
            let device = UInt(status.st_dev)
            needed[device] = ((needed[device]?.bytes ?? 0) + missing, folder)
        }
        for (bytes, folder) in needed.values { try checkRoom(bytes, in: folder) }
    }

    private func checkRoom(_ bytes: Int, in folder: String) throws(DownloadError) {
        var room = statvfs()
        guard bytes > 0, statvfs(folder, &room) == 0 else { return }
        let (available, overflow) = Int(room.f_bavail).multipliedReportingOverflow(by: Int(room.f_frsize))
        if !overflow && available < bytes + settings.spareDiskBytes {
            throw DownloadError(
                neededBytes: bytes + settings.spareDiskBytes, availableBytes: available, path: folder)
        }
    }

    /// Opens a file, takes over what is there, and makes its first request.
    func begin(_ index: Int) throws {
        let file = state.access { $0.files[index] }
        let partial: PartialFile
        if let open = file.partial {
            // A restart: all threads have left it.
            partial = open
            try partial.clear()
            state.change { $0.clear(index) }
        } else {
            partial = try PartialFile(file.job.partial)
            try resume(index, partial)
        }
        if let size = state.access({ $0.files[index].sizeBytes }) {
            try checkRoom(max(0, size - partial.allocatedBytes), in: Disk.parent(of: partial.path))
            try startDigests(index, partial)
        }
        let segment = state.change { [settings] state -> Segment? in
            if state.files[index].isComplete { return nil }
            let generation = state.files[index].generation
            return state.files[index].takeSegment(index, segmentBytes: settings.segmentBytes)
                ?? Segment(file: index, generation: generation, range: nil)
        }
        if let segment { return try fetch(segment) }
        leave(Segment(file: index, generation: file.generation, range: nil))
    }

    /// Takes over what an earlier process left, or makes sure that nothing is taken for it.
    private func resume(_ index: Int, _ partial: PartialFile) throws {
        let wanted = state.access { $0.files[index].job.file }
        let found = partial.resume(sizeBytes: wanted.sizeBytes, digest: wanted.digest?.description)
        if var found {
            found.identity.digest = wanted.digest?.description
            try partial.begin(found)
        } else {
            try partial.clear()
        }
        state.change { state in
            state.files[index].partial = partial
            guard let found else { return }
            state.setSize(index, found.identity.sizeBytes)
            state.files[index].received = found.received
            state.files[index].durable = found.durable
            state.files[index].validator = found.identity.validator
            state.files[index].etag = found.identity.validator.etag.map(ContentValidator.bare)
            state.bytesDone += found.received.count
        }
    }

    /// Called with the head of each answer whose body is to be written, before the first byte is.
    func contentBegins(_ index: Int, partial: PartialFile, isFresh: Bool) throws(DownloadError) {
        let file = state.access { $0.files[index] }
        guard let size = file.sizeBytes, let validator = file.validator else {
            if isFresh { try partial.clear() }
            return
        }
        let identity = DownloadIdentity(
            sizeBytes: size, digest: file.job.file.digest?.description, validator: validator)
        if isFresh || !partial.hasJournal {
            if isFresh { try partial.clear() }
            try checkRoom(max(0, size - partial.allocatedBytes), in: Disk.parent(of: partial.path))
            try partial.allocate(size)
            let isFirst =
                size <= Self.journalBytes ? true : try partial.begin(DownloadJournal(identity: identity))
            if isFirst { return try startDigests(index, partial) }
        }
        if let before = partial.identity, before != identity { try partial.append(identity) }
    }

    /// Starts the thread that follows a large file with its digests.
    private func startDigests(_ index: Int, _ partial: PartialFile) throws(DownloadError) {
        let (old, hasher) = state.access { state -> (FileHasher?, FileHasher?) in
            let file = state.files[index]
            guard let size = file.sizeBytes, size > Self.inlineDigestBytes else { return (file.hasher, nil) }
            let hasher = FileHasher(partial, sizeBytes: size, needsGitBlob: file.needsGitBlob)
            state.files[index].hasher = hasher
            return (file.hasher, hasher)
        }
        old?.cancel()
        guard let hasher else { return }
        hasher.advance(to: state.access { $0.files[index].received.prefixCount })
        let generation = generation(index)
        let isStarted = start { run in
            run.guarded {
                let digests = try hasher.run(
                    keep: { try run.keep(index, generation, partial) }, clock: run.settings.clock)
                if let digests { try run.verify(index, partial, digests) }
            }
        }
        if !isStarted { state.access { $0.files[index].hasher = nil } }
        if isStopped { hasher.cancel() }
    }

    /// Makes durable what has arrived, and says so in the journal.
    private func keep(_ index: Int, _ generation: Int, _ partial: PartialFile) throws {
        guard settings.isDurable else { return }
        let epoch = partial.epoch
        let fresh = state.access { state -> ByteRanges? in
            guard state.files[index].generation == generation else { return nil }
            var fresh = state.files[index].received
            for range in state.files[index].durable.ranges { fresh.remove(range) }
            state.files[index].durable = state.files[index].received
            return fresh
        }
        if let fresh, !fresh.isEmpty { try partial.synchronize(fresh, epoch: epoch) }
    }

    /// All bytes of a file are there.
    func finish(_ index: Int) throws {
        let file = state.access { $0.files[index] }
        guard let partial = file.partial, let size = file.sizeBytes else { return }
        if let hasher = file.hasher { return hasher.complete() }
        let hasher = FileHasher(partial, sizeBytes: size, needsGitBlob: file.needsGitBlob)
        try verify(index, partial, try hasher.digestsNow())
    }

    private func verify(_ index: Int, _ partial: PartialFile, _ digests: FileDigests) throws {
        let file = state.access { $0.files[index] }
        guard let size = file.sizeBytes else { return }
        if let expected = file.job.file.digest, !digests.agrees(with: expected) {
            return try foundCorrupt(index, partial, expected: expected, digests)
        }
        try partial.complete(as: file.job.destination, sizeBytes: size, isDurable: settings.isDurable)
        let done = DownloadedFile(
            path: file.job.destination, bytes: size, bytesFetched: file.bytesFetched, sha256: digests.sha256,
            etag: file.etag)
        state.change { state in
            state.folders.insert(Disk.parent(of: file.job.destination))
            state.done(index, done)
        }
    }

    /// Fetches the file anew, a few times; bytes that are wrong are of no use to anybody.
    private func foundCorrupt(
        _ index: Int, _ partial: PartialFile, expected: ExpectedDigest, _ digests: FileDigests
    ) throws {
        let file = state.access { $0.files[index] }
        let address =
            file.job.file.addresses.indices.contains(file.addressIndex)
            ? WebAddress.shown(file.job.file.addresses[file.addressIndex].url) : ""
        let isTriedAgain = state.change { [settings] in
            $0.files[index].foundCorrupt(limit: settings.corruptRetries)
        }
        if isTriedAgain { return }
        partial.remove()
        throw DownloadError(
            .corrupt, path: file.job.file.name,
            problem: "\(address) sent content with \(digests.text(like: expected)), but "
                + "\(expected.description) is expected, \(file.corruptions + 1) times",
            remedy: "the file there is damaged or was changed: ask another mirror or another revision")
    }
}

extension FileState {
    var needsGitBlob: Bool {
        if case .gitBlobSHA1 = job.file.digest { true } else { false }
    }
}
