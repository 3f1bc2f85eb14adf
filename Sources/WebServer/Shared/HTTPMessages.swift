// A request and its reply in our own words, so that routes can be called without a socket.

/// One request. The body is read by the route, because who may not ask should not be listened to.
struct HTTPCall: Sendable {
    var method: String
    /// The path as sent, without the query.
    var path: String
    /// What stands behind the question mark, as sent; empty without one.
    var query: String
    /// Header values by lowercase name.
    var headers: [String: String]
    /// Reads the whole body; throws `APIError.tooLarge` beyond the limit.
    var readBody: @Sendable (_ limitBytes: Int) async throws -> [UInt8]
    /// The connection that the reply goes to.
    var connection: ConnectionWatch
    /// The address of the client, without its port; empty where there is none.
    var peer = ""

    /// Whether the head announces a body.
    var announcesBody: Bool {
        if headers["transfer-encoding"] != nil { return true }
        return headers["content-length"].map { $0 != "0" } ?? false
    }
}

/// What a request is answered with.
struct HTTPReply: Sendable {
    enum Body: Sendable {
        case bytes([UInt8])
        /// Writes the body piece by piece. Each `write` waits until the connection takes more.
        case stream(@Sendable (any ReplySink) async throws -> Void)
    }

    var status: Int
    var headers: [(name: String, value: String)]
    var body: Body

    init(status: Int = 200, headers: [(name: String, value: String)] = [], body: Body = .bytes([])) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

/// Where the pieces of a streamed body go. It belongs to the one task that writes the body.
protocol ReplySink: AnyObject {
    /// Waits until the connection can take the bytes; throws when it is gone.
    func write(_ bytes: [UInt8]) async throws

    /// Sends a part of a file, a piece at a time, so that memory stays small however long the part is.
    /// Returns when the operating system took all of it.
    /// - Parameter sent: called behind each piece with its bytes.
    /// - Throws: `FileEnded` when the file is shorter than was asked for, and errors of reading; when the
    ///   connection is gone, or its client left a piece unread for the server's `writeTimeout`.
    func writeFile(
        _ descriptor: Int32, from offset: Int, count: Int, sent: @Sendable (Int) -> Void
    ) async throws
}

/// A file became shorter while it was being sent.
struct FileEnded: Error {}
