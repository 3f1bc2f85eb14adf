// Reads the body of one request when its route wants it, and not beyond what the route and the server allow.

import HTTPTypes
import HummingbirdCore
import NIOCore
import NIOHTTPTypes
import Synchronization

/// What the bodies in memory take, all together.
final class BodyMeter: Sendable {
    private let limitBytes: Int
    private let used = Mutex(0)

    init(limitBytes: Int) { self.limitBytes = limitBytes }

    /// False when the server holds as much as it may.
    func take(_ bytes: Int) -> Bool {
        used.withLock { used in
            guard bytes <= limitBytes - used else { return false }
            used += bytes
            return true
        }
    }

    func giveBack(_ bytes: Int) { used.withLock { $0 -= bytes } }
}

/// The body of one request. What it took of the meter is given back when the request is answered.
final class RequestBodyReader: Sendable {
    /// Ends a connection whose body nobody reads to its end.
    struct Refused: Error {}

    /// A body that a refused request goes on sending is heard out to this length, so that the answer arrives: a
    /// connection closed with unread bytes is reset, and its client may never see why.
    private static let lingerBytes = 1 << 20

    private struct State {
        var isBegun = false
        var isComplete = false
        var heldBytes = 0
    }

    private let body: RequestBody
    private let channel: any Channel
    private let meter: BodyMeter
    /// -1 where the client does not say.
    private let announcedBytes: Int
    private let expectsContinue: Bool
    private let state = Mutex(State())

    init(_ request: Request, _ channel: any Channel, _ meter: BodyMeter) {
        body = request.body
        self.channel = channel
        self.meter = meter
        let isChunked = request.headers[.transferEncoding] != nil
        announcedBytes = isChunked ? -1 : request.headers[.contentLength].map { Int($0) ?? -1 } ?? 0
        expectsContinue = request.headers[.expect]?.lowercased() == "100-continue"
    }

    deinit { meter.giveBack(state.withLock { $0.heldBytes }) }

    /// - Throws: `APIError.tooLarge` beyond the limit, at once where the client said how much would come;
    ///   `APIError.unavailable` when all bodies together are too much; `ClientGone`.
    func read(_ limitBytes: Int) async throws -> [UInt8] {
        guard announcedBytes <= limitBytes else { throw APIError.tooLarge(limitBytes: limitBytes) }
        if announcedBytes == 0 { return [] }
        state.withLock { $0.isBegun = true }
        do {
            // Only now is it wanted: who is refused does not even send it.
            if expectsContinue {
                let proceed = HTTPResponsePart.head(HTTPResponse(status: .continue))
                try await channel.writeAndFlush(proceed).get()
            }
            let bytes = try await gather(limitBytes)
            state.withLock { $0.isComplete = true }
            return bytes
        } catch let error as APIError {
            throw error
        } catch {
            // A body that breaks off has no reader for an answer, and is nobody's fault here.
            throw ClientGone()
        }
    }

    private func gather(_ limitBytes: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        var refusal: APIError?
        var discarded = 0
        for try await buffer in body {
            if refusal == nil, bytes.count + buffer.readableBytes > limitBytes {
                refusal = .tooLarge(limitBytes: limitBytes)
            } else if refusal == nil, !meter.take(buffer.readableBytes) {
                refusal = .unavailable("this server holds as many request bodies as it can; try again")
            }
            if let refusal {
                bytes = []
                discarded += buffer.readableBytes
                if discarded > Self.lingerBytes { throw refusal }
            } else {
                state.withLock { $0.heldBytes += buffer.readableBytes }
                bytes.append(contentsOf: buffer.readableBytesView)
            }
        }
        if let refusal {
            state.withLock { $0.isComplete = true }
            throw refusal
        }
        return bytes
    }

    /// Whether more than `bytes` of the body may still come that nobody wants.
    func isLeftUnread(beyond bytes: Int) -> Bool {
        if announcedBytes == 0 || state.withLock({ $0.isComplete }) { return false }
        return announcedBytes < 0 || announcedBytes > bytes || expectsContinue
    }

    /// Reads a part of a body that nobody wanted, and forgets it.
    func discard() async {
        // The library gives out a body once only; what `read` broke off it has heard out itself.
        guard !state.withLock({ $0.isBegun }) else { return }
        var discarded = 0
        do {
            for try await buffer in body {
                discarded += buffer.readableBytes
                if discarded > Self.lingerBytes { return }
            }
        } catch {}
    }
}
