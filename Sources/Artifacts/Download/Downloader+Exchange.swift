// Exchanges of a downloader: redirects, whose targets must not get the tokens, and trying again.

import Glibc
import Synchronization
import Text

/// A request before redirects.
struct OutgoingRequest: Sendable {
    var method = "GET"
    var url: WebAddress
    /// Scheme, host and port that get `ownHeaders` and are signed for.
    var origin: String
    var ownHeaders: [String] = []
    /// For every host.
    var openHeaders: [String] = []
    var range: String?
    var sign: RemoteAddress.Sign?
    var body = HubRequest.Body.none
    var redirects = HubRequest.Redirects.all
}

/// Keeps an answer in memory; also what a failed answer of a download says.
final class MemoryReceiver: AnswerReceiver {
    private let limitBytes: Int
    private let isStopped: () -> Bool
    private(set) var body: [UInt8] = []
    private(set) var isTooLong = false

    init(limitBytes: Int, isStopped: @escaping () -> Bool) {
        self.limitBytes = limitBytes
        self.isStopped = isStopped
    }

    var shouldStop: Bool { isStopped() }

    func take(_ bytes: UnsafeRawBufferPointer, head: AnswerHead) -> Bool {
        guard body.count + bytes.count <= limitBytes else {
            isTooLong = true
            return false
        }
        body.append(contentsOf: bytes)
        return true
    }
}

/// Passes an answer on, but for that of a redirect which is followed.
private final class RedirectFilter: AnswerReceiver {
    private static let limitBytes = 1 << 16
    private let next: any AnswerReceiver
    private let isFollowed: (AnswerHead) -> Bool
    private var discardedBytes = 0

    init(_ next: any AnswerReceiver, isFollowed: @escaping (AnswerHead) -> Bool) {
        self.next = next
        self.isFollowed = isFollowed
    }

    var shouldStop: Bool { next.shouldStop }

    func take(_ bytes: UnsafeRawBufferPointer, head: AnswerHead) -> Bool {
        guard isFollowed(head) else { return next.take(bytes, head: head) }
        discardedBytes += bytes.count
        return discardedBytes <= Self.limitBytes
    }
}

extension Downloader {
    static let redirectLimit = 10
    /// Hosts remembered before those whose time is over are forgotten.
    private static let pauseLimit = 64

    /// Asks, following redirects by the request's policy.
    /// - Parameter answering: told each address before it is asked.
    func send(
        _ request: OutgoingRequest, to receiver: any AnswerReceiver, following answering: LastURL? = nil
    ) throws -> (head: AnswerHead, end: CurlEnd, url: WebAddress) {
        var request = request
        for _ in 0...Self.redirectLimit {
            let here = request.url
            answering?.url = here
            let policy = request.redirects
            let target: (AnswerHead) -> WebAddress? = { Self.redirect($0, from: here, policy: policy) }
            let filter = RedirectFilter(receiver) { target($0) != nil }
            let line = curlRequest(request)
            let (head, end) = try connections.withConnection(shouldStop: { receiver.shouldStop }) {
                $0.perform(line, settings: settings, pieceBytes: pieceBytes, receiver: filter)
            }
            if case .stopped = end { throw DownloadError.cancelled }
            guard let next = target(head) else { return (head, end, here) }
            request.url = next
            if request.method == "POST" && [301, 302, 303].contains(head.status) {
                request.method = "GET"
                request.body = .none
            }
        }
        throw ExchangeFailure(
            .permanent,
            DownloadError(
                .server, path: request.url.shown, problem: "redirects more than \(Self.redirectLimit) times",
                remedy: "check the address"))
    }

    /// Where an answer sends us; nil when it is no redirect, or one that is not to be followed.
    private static func redirect(
        _ head: AnswerHead, from url: WebAddress, policy: HubRequest.Redirects
    ) -> WebAddress? {
        guard [301, 302, 303, 307, 308].contains(head.status), let location = head.headers["location"],
            let target = url.resolved(location)
        else { return nil }
        switch policy {
        case .none: return nil
        case .relativeOnly: return target.origin == url.origin ? target : nil
        case .all: return target
        }
    }

    private func curlRequest(_ request: OutgoingRequest) -> CurlRequest {
        let isOwn = request.url.origin == request.origin
        var headers = request.openHeaders
        if let range = request.range { headers.append("Range: \(range)") }
        if isOwn {
            headers += request.ownHeaders
            headers += request.sign?(request.method, request.url.text, request.range) ?? []
        }
        var url = request.url
        // A name and a password in the address are for its own host, too.
        if !isOwn { url.userInfo = nil }
        let isAuthorized = headers.contains { $0.lowercased().hasPrefix("authorization:") }
        return CurlRequest(
            method: request.method, url: url.text, headers: headers, body: request.body,
            usesNetrc: settings.usesNetrc && isOwn && !isAuthorized)
    }

    var pieceBytes: Int { limiter?.pieceBytes ?? 1 << 19 }

    /// Sleeps in slices, so that stopping takes no longer than one.
    /// - Returns: false when stopped before.
    func sleep(until moment: Duration, shouldStop: () -> Bool) -> Bool {
        while true {
            if shouldStop() { return false }
            let left = moment - settings.clock.now()
            if left <= .zero { return true }
            settings.clock.sleep(min(left, .milliseconds(100)))
        }
    }

    /// Waits as long as the host asked everybody to.
    func waitForHost(_ origin: String, shouldStop: () -> Bool) -> Bool {
        guard let moment = pauses.withLock({ $0[origin] }) else { return !shouldStop() }
        return sleep(until: moment, shouldStop: shouldStop)
    }

    /// A host that asked one connection to wait asked them all.
    func note(_ failure: ExchangeFailure, origin: String) {
        guard let wait = failure.retryAfter, wait <= settings.longestRetryAfter else { return }
        let now = settings.clock.now()
        pauses.withLock { pauses in
            if pauses.count >= Self.pauseLimit { pauses = pauses.filter { $0.value > now } }
            pauses[origin] = max(pauses[origin] ?? .zero, now + wait)
        }
    }

    /// What an exchange without a complete answer means; nil for one that is complete.
    func failure(_ end: CurlEnd, path: String) -> ExchangeFailure? {
        switch end {
        case .complete: return nil
        case .stopped, .refused: return ExchangeFailure(.permanent, .cancelled)
        case .stalled:
            let seconds = settings.stallTimeout.inSeconds
            return ExchangeFailure(
                .connection,
                DownloadError(
                    .network, path: path, problem: "the server sent nothing for \(seconds) seconds",
                    remedy: "check the network"))
        case .failed(let code, let text):
            var remedy = "check the address, the network and its proxy settings"
            var failureClass = FailureClass.connection
            // Certificates, malformed addresses and a missing library do not mend themselves.
            if [35, 51, 58, 59, 60, 77, 83].contains(code) {
                remedy = "name the authority's certificates in SSL_CERT_FILE"
                if code != 35 { failureClass = .permanent }
            }
            // Code 1 is no matter of the address here: what comes instead of a status line, perhaps the rest
            // of a longer answer than was announced, libcurl takes for HTTP/0.9.
            if [2, 3, 4, 26, 27].contains(code) { failureClass = .permanent }
            return ExchangeFailure(
                failureClass, DownloadError(.network, path: path, problem: text, remedy: remedy))
        }
    }

    /// One attempt of a small exchange.
    func attempt(
        _ request: HubRequest, at url: WebAddress, isCancelled: @escaping () -> Bool
    ) throws -> HubReply {
        let receiver = MemoryReceiver(limitBytes: request.outputLimitBytes, isStopped: isCancelled)
        let outgoing = OutgoingRequest(
            method: request.method, url: url, origin: url.origin, ownHeaders: request.headers,
            sign: request.sign, body: request.body, redirects: request.redirects)
        let (head, end, answering) = try send(outgoing, to: receiver)
        if receiver.isTooLong {
            throw ExchangeFailure(
                .permanent,
                DownloadError(
                    .server, path: answering.shown,
                    problem: "the answer is longer than \(request.outputLimitBytes) bytes"))
        }
        if let failure = failure(end, path: answering.shown) { throw failure }
        return HubReply(
            status: head.status, headers: head.headers, body: receiver.body, url: answering.text)
    }
}
