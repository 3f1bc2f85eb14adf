// How a thread of a fetch gets one range of one file: ask, judge, write, and on failure wait and ask again.

import Glibc
import Text

extension FetchRun {
    /// What one request brought.
    private enum Outcome {
        case complete
        /// The server sent less than it was asked for, or failed: go on from where it ended.
        case again
        /// This thread's part of the file is over: stopped, or the content begins anew.
        case leave
    }

    /// Where to ask for a file.
    private struct Place {
        var addressIndex: Int
        var address: RemoteAddress
        var url: WebAddress
        var isResolved: Bool
        var validator: ContentValidator?
        var acceptsRanges: Bool
        var sizeBytes: Int?
    }

    /// Fetches the range, whatever number of requests that takes. The thread counts as active in the file.
    func fetch(_ segment: Segment) throws {
        defer { leave(segment) }
        guard let partial = state.access({ $0.files[segment.file].partial }) else { return }
        // A file that is read to its unknown end asks for two segments first: many files are no longer.
        var position = segment.range?.lowerBound ?? 0
        var end = segment.range?.upperBound
        while !isStopped && generation(segment.file) == segment.generation {
            let place = try self.place(segment.file)
            if place.url.scheme == "file" {
                guard try copyLocally(segment, from: place.url, addressIndex: place.addressIndex) else {
                    continue
                }
                return
            }
            guard downloader.waitForHost(place.url.origin, shouldStop: { isStopped }) else { return }
            switch try request(segment, at: place, partial: partial, position: &position, end: &end) {
            case .complete, .leave: return
            case .again: continue
            }
        }
    }

    private func place(_ index: Int) throws(DownloadError) -> Place {
        let file = state.access { $0.files[index] }
        guard file.addressIndex < file.job.file.addresses.count else {
            throw DownloadError(.badRequest, path: file.job.file.name, problem: "has no address")
        }
        let address = file.job.file.addresses[file.addressIndex]
        guard let url = file.resolved ?? WebAddress(address.url) else {
            throw DownloadError(
                .badRequest, path: file.job.file.name,
                problem: "\(WebAddress.shown(address.url)) is no http, https or file address",
                remedy: "check the endpoint's address")
        }
        return Place(
            addressIndex: file.addressIndex, address: address, url: url, isResolved: file.resolved != nil,
            validator: file.validator, acceptsRanges: file.acceptsRanges, sizeBytes: file.sizeBytes)
    }

    private func request(
        _ segment: Segment, at place: Place, partial: PartialFile, position: inout Int, end: inout Int?
    ) throws -> Outcome {
        let started = settings.clock.now()
        let asked = askedRange(place, position: position, end: end)
        var outgoing = OutgoingRequest(url: place.url, origin: WebAddress(place.address.url)?.origin ?? "")
        outgoing.ownHeaders = place.address.headers
        outgoing.sign = place.address.sign
        // A body that is packed on the way has other lengths and ranges than the file.
        outgoing.openHeaders = ["Accept-Encoding: identity"]
        if let asked {
            outgoing.range = "bytes=\(asked.lowerBound)-\(asked.upperBound - 1)"
            if let tag = place.validator?.strongETag { outgoing.openHeaders.append("If-Range: \(tag)") }
        }
        let answering = LastURL(place.url)
        let receiver = SegmentReceiver(
            run: self, index: segment.file, generation: segment.generation, partial: partial,
            position: position,
            end: end,
            facts: { [settings] head in
                AnswerFacts(
                    status: head.status, headers: head.headers, origin: answering.url.origin,
                    isDirect: answering.url == WebAddress(place.address.url), asked: asked,
                    generation: segment.generation, shownURL: answering.url.shown,
                    wallTime: settings.clock.wallTime())
            }, judge: { [state] facts in state.change { $0.judge(segment.file, facts) } })
        do {
            let (head, curlEnd, url) = try downloader.send(outgoing, to: receiver, following: answering)
            if case .complete = curlEnd { receiver.headArrived(head) }
            try receiver.writeJournal()
            if let error = receiver.diskError { throw error }
            (position, end) = (receiver.position, receiver.end)
            // A server may send less than the range; the rest of it is still this thread's.
            if !receiver.isWhole, let bound = segment.range?.upperBound { end = max(end ?? 0, bound) }
            return try outcome(
                receiver, curlEnd, at: place, answering: url, segment: segment, started: started)
        } catch let failure as ExchangeFailure {
            return try failed(
                failure, at: place, origin: place.url.origin, segment: segment, started: started)
        } catch let error as DownloadError where error.kind == .cancelled {
            try receiver.writeJournal()
            return .leave
        }
    }

    /// What to ask for; nil for the whole file.
    private func askedRange(_ place: Place, position: Int, end: Int?) -> Range<Int>? {
        guard place.acceptsRanges else { return nil }
        guard let end else { return 0..<2 * settings.segmentBytes }
        return position == 0 && end == place.sizeBytes ? nil : position..<max(end, position + 1)
    }

    private func outcome(
        _ receiver: SegmentReceiver, _ curlEnd: CurlEnd, at place: Place, answering: WebAddress,
        segment: Segment,
        started: Duration
    ) throws -> Outcome {
        let origin = answering.origin
        switch receiver.verdict {
        case .restart: return .leave
        case .complete: return .complete
        case .failed(let failure):
            return try failed(failure, at: place, origin: origin, segment: segment, started: started)
        case .content:
            if receiver.isTooLong {
                let failure = ExchangeFailure(
                    .answer,
                    DownloadError(
                        .corrupt, path: answering.shown,
                        problem: "the server sent more bytes than it announced"))
                return try failed(
                    failure, at: place, origin: origin, segment: segment, started: started, isSpoiled: true)
            }
            if receiver.shouldStop { return .leave }
            if case .complete = curlEnd {
                return finishedPart(receiver, segment: segment, answering: answering, place: place)
            }
            if let end = receiver.end, receiver.position >= end { return .complete }
        case .none: break
        }
        if case .stopped = curlEnd { return .leave }
        guard let failure = downloader.failure(curlEnd, path: answering.shown) else { return .again }
        return try failed(failure, at: place, origin: origin, segment: segment, started: started)
    }

    /// An answer came to its end.
    private func finishedPart(
        _ receiver: SegmentReceiver, segment: Segment, answering: WebAddress, place: Place
    ) -> Outcome {
        if answering != place.url {
            // The next ranges ask there at once: the hub need not be asked for each.
            state.access { state in
                if state.files[segment.file].addressIndex == place.addressIndex {
                    state.files[segment.file].resolved = answering
                }
            }
        }
        guard let end = receiver.end else {
            // The length was not told before; now it is known by the end.
            state.change { $0.setSize(segment.file, receiver.position) }
            return .complete
        }
        guard let range = segment.range else { return receiver.position >= end ? .complete : .again }
        return receiver.position >= max(end, range.upperBound) ? .complete : .again
    }

    /// Notes a failure and waits before the next attempt.
    /// - Parameter isSpoiled: what was written by this answer cannot be trusted.
    /// - Throws: the error when no mirror and no retry is left.
    private func failed(
        _ failure: ExchangeFailure, at place: Place, origin: String, segment: Segment, started: Duration,
        isSpoiled: Bool = false
    ) throws -> Outcome {
        if isStopped { return .leave }
        if place.isResolved && failure.failureClass == .permanent {
            // An address that a redirect gave may have expired; the hub gives a new one.
            state.access { $0.files[segment.file].resolved = nil }
            return .again
        }
        downloader.note(failure, origin: origin)
        let now = settings.clock.now()
        let verdict = state.change { [settings] state in
            let verdict = state.files[segment.file].failed(
                failure, address: place.addressIndex, started: started, now: now, jitter: settings.jitter(),
                settings: settings)
            if isSpoiled, case .again = verdict {
                state.files[segment.file].restart(acceptsRanges: place.acceptsRanges)
            }
            return verdict
        }
        switch verdict {
        case .giveUp(let error): throw error
        case .again(let pause):
            let isOn = downloader.sleep(
                until: now + pause,
                shouldStop: { isStopped || generation(segment.file) != segment.generation })
            return isOn ? .again : .leave
        }
    }

    /// The thread's part in the file is over. The last one to leave a complete file finishes it.
    func leave(_ segment: Segment) {
        let isComplete = state.change { state in
            let index = segment.file
            state.files[index].active -= 1
            guard state.files[index].generation == segment.generation else { return false }
            if let range = segment.range { state.files[index].assigned.remove(range) }
            guard state.files[index].active == 0 else { return false }
            state.files[index].assigned = ByteRanges()
            guard state.files[index].isComplete, state.files[index].phase != .restarting, !state.isStopped
            else {
                return false
            }
            state.files[index].phase = .completing
            return true
        }
        if isComplete { guarded { try finish(segment.file) } }
    }
}

/// The address that an exchange has come to; a receiver asks for it while redirects are followed.
final class LastURL {
    var url: WebAddress

    init(_ url: WebAddress) { self.url = url }
}
