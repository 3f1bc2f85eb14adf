// libcurl's side of an exchange: a connection that is used again, and the pool that bounds how many there
// are.

import CCurl
import Glibc
import Text

/// Status and header fields of the last answer.
struct AnswerHead: Sendable {
    var status = 0
    var headers = ReplyHeaders()
}

/// Gets an answer while it arrives, on the thread that performs the exchange.
protocol AnswerReceiver: AnyObject {
    /// - Returns: false to end the exchange.
    func take(_ bytes: UnsafeRawBufferPointer, head: AnswerHead) -> Bool
    /// Asked at least ten times a second.
    var shouldStop: Bool { get }
}

/// One request as it goes over the line.
struct CurlRequest: Sendable {
    var method: String
    var url: String
    /// "Name: value" each.
    var headers: [String]
    var body = HubRequest.Body.none
    var usesNetrc = false
}

/// How an exchange ended.
enum CurlEnd: Sendable {
    case complete
    case stopped
    /// The receiver did not want the bytes.
    case refused
    case stalled
    /// libcurl's code and text.
    case failed(code: Int, text: String)
}

/// A handle of libcurl, whose connections stay open between exchanges.
// The pointer never changes, and the pool gives a connection to one thread at a time.
final class CurlConnection: @unchecked Sendable {
    private let handle: OpaquePointer

    init() throws(DownloadError) {
        guard let handle = martlet_connection_create() else {
            throw DownloadError(
                .network, path: "libcurl", problem: String(cString: martlet_connection_problem()))
        }
        self.handle = handle
    }

    deinit { martlet_connection_destroy(handle) }

    /// Performs the exchange on the calling thread; redirects are not followed.
    func perform(
        _ request: CurlRequest, settings: DownloadSettings, pieceBytes: Int, receiver: any AnswerReceiver
    ) -> (head: AnswerHead, end: CurlEnd) {
        let box = ReceiverBox(receiver)
        var raw = martlet_connection_request()
        raw.connect_timeout_ms = settings.connectTimeout.milliseconds
        raw.stall_ms = settings.stallTimeout.milliseconds
        raw.buffer_bytes = Int64(pieceBytes)
        raw.uses_netrc = request.usesNetrc ? 1 : 0
        raw.uses_proxy = settings.usesProxy ? 1 : 0
        raw.take_header = { context, line, length in
            guard let context, let line else { return }
            let bytes = UnsafeRawBufferPointer(start: line, count: Int(length))
            Unmanaged<ReceiverBox>.fromOpaque(context).takeUnretainedValue().takeHeader(bytes)
        }
        raw.take_body = { context, bytes, length in
            guard let context else { return 0 }
            let box = Unmanaged<ReceiverBox>.fromOpaque(context).takeUnretainedValue()
            let bytes = UnsafeRawBufferPointer(start: bytes, count: Int(length))
            return box.receiver.take(bytes, head: box.head) ? 1 : 0
        }
        raw.should_stop = { context in
            guard let context else { return 1 }
            return Unmanaged<ReceiverBox>.fromOpaque(context).takeUnretainedValue().receiver.shouldStop
                ? 1 : 0
        }
        let reply = withExtendedLifetime(box) {
            raw.context = Unmanaged.passUnretained(box).toOpaque()
            return perform(request, settings: settings, raw: &raw)
        }
        return (box.head, end(reply))
    }

    /// Lends texts and body to C for the length of the call.
    private func perform(
        _ request: CurlRequest, settings: DownloadSettings, raw: inout martlet_connection_request
    ) -> martlet_connection_reply {
        // A line break in a header would begin another one.
        let headers = request.headers.map { strdup(String($0.unicodeScalars.filter { $0.value >= 0x20 })) }
        let fixed = ([request.method, request.url, settings.userAgent] as [String]).map { strdup($0) }
        let certificates = [settings.certificateFile, settings.certificateDirectory].map {
            $0.map { strdup($0) }
        }
        defer {
            for text in headers + fixed { free(text) }
            for text in certificates { if let text { free(text) } }
        }
        raw.method = UnsafePointer(fixed[0])
        raw.url = UnsafePointer(fixed[1])
        raw.user_agent = UnsafePointer(fixed[2])
        raw.ca_file = certificates[0].flatMap { UnsafePointer($0) }
        raw.ca_directory = certificates[1].flatMap { UnsafePointer($0) }
        raw.header_count = Int32(headers.count)
        raw.upload_fd = -1
        raw.body_length = -1
        var body: [UInt8] = []
        switch request.body {
        case .none: break
        case .bytes(let bytes):
            body = bytes
            raw.body_length = Int64(bytes.count)
        case .file(let descriptor, let offset, let length):
            raw.upload_fd = descriptor
            raw.upload_offset = Int64(offset)
            raw.upload_length = Int64(length)
        }
        var reply = martlet_connection_reply()
        headers.map { UnsafePointer<CChar>($0) }.withUnsafeBufferPointer { headers in
            body.withUnsafeBufferPointer { body in
                raw.headers = headers.baseAddress
                raw.body = body.baseAddress
                martlet_connection_perform(handle, &raw, &reply)
            }
        }
        return reply
    }

    private func end(_ reply: martlet_connection_reply) -> CurlEnd {
        switch UInt32(reply.end) {
        case MARTLET_END_COMPLETE.rawValue: return .complete
        case MARTLET_END_STOPPED.rawValue: return .stopped
        case MARTLET_END_REFUSED.rawValue: return .refused
        case MARTLET_END_STALLED.rawValue: return .stalled
        default: break
        }
        if reply.read_error != 0 {
            return .failed(
                code: 26,
                text: "cannot read what is to be sent: \(String(cString: strerror(reply.read_error)))")
        }
        let text = withUnsafeBytes(of: reply.text) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return .failed(code: Int(reply.error), text: text)
    }
}

/// What C's callbacks are given.
private final class ReceiverBox {
    let receiver: any AnswerReceiver
    var head = AnswerHead()

    init(_ receiver: any AnswerReceiver) { self.receiver = receiver }

    func takeHeader(_ bytes: UnsafeRawBufferPointer) {
        let line = String(decoding: bytes, as: UTF8.self)
        guard line.hasPrefix("HTTP/") else { return head.headers.append(line: line) }
        head = AnswerHead()
        let words = line.split(separator: " ")
        if words.count > 1 { head.status = Int(words[1].prefix { $0.isNumber }) ?? 0 }
    }
}

extension Duration {
    fileprivate var milliseconds: Int64 { wholeNanoseconds / 1_000_000 }
}

/// The connections of a downloader: at most so many in use at once.
final class ConnectionPool: Sendable {
    private struct State {
        var idle: [CurlConnection] = []
        var inUse = 0
    }

    private let limit: Int
    private let state = Monitor(State())

    init(limit: Int) { self.limit = max(1, limit) }

    /// Lends a connection, the one used last, as it is most likely still open; waits until there is one.
    func withConnection<Result>(
        shouldStop: () -> Bool, _ body: (CurlConnection) throws -> Result
    ) throws -> Result {
        var isMine = false
        while !isMine {
            isMine =
                state.wait(atMost: .milliseconds(100)) { state in
                    guard state.inUse < limit else { return nil }
                    state.inUse += 1
                    return true
                } ?? false
            if !isMine && shouldStop() { throw DownloadError.cancelled }
        }
        defer { state.change { $0.inUse -= 1 } }
        let connection = try state.access { $0.idle.popLast() } ?? CurlConnection()
        defer { state.access { $0.idle.append(connection) } }
        return try body(connection)
    }
}
