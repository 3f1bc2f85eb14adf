// Small exchanges with a server: questions about repositories and objects, whose answers fit into memory.

/// A request whose answer is kept in memory.
package struct HubRequest: Sendable {
    package enum Body: Sendable {
        case none
        case bytes([UInt8])
        /// A part of an open file, read with `pread`.
        case file(descriptor: Int32, offset: Int, length: Int)
    }

    package enum Redirects: Sendable {
        /// Status 3xx is the answer.
        case none
        /// Only those that stay at the same scheme, host and port; another 3xx is the answer.
        case relativeOnly
        /// Ten at most. Headers of the request go to its own scheme, host and port only.
        case all
    }

    package var method: String
    package var url: String
    /// "Name: value" each.
    package var headers: [String]
    package var body: Body
    package var redirects: Redirects
    /// A longer answer is an error.
    package var outputLimitBytes: Int
    /// Nil for the settings' number; 0 to ask once.
    package var retries: Int?
    package var sign: RemoteAddress.Sign?

    package init(
        _ method: String = "GET", url: String, headers: [String] = [], body: Body = .none,
        redirects: Redirects = .all, outputLimitBytes: Int = 64 << 20, retries: Int? = nil,
        sign: RemoteAddress.Sign? = nil
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.redirects = redirects
        self.outputLimitBytes = outputLimitBytes
        self.retries = retries
        self.sign = sign
    }
}

/// Header fields of an answer; names are compared without their case.
package struct ReplyHeaders: Sendable, Equatable {
    private var names: [String] = []
    private var values: [String] = []

    package init() {}

    /// The first field of that name.
    package subscript(_ name: String) -> String? {
        names.firstIndex(of: name.lowercased()).map { values[$0] }
    }

    /// All fields of that name, in their order.
    package func all(_ name: String) -> [String] {
        let name = name.lowercased()
        return names.indices.filter { names[$0] == name }.map { values[$0] }
    }

    /// Takes one line, "Name: value"; anything else is passed over.
    package mutating func append(line: String) {
        guard let colon = line.utf8.firstIndex(of: UInt8(ascii: ":")) else { return }
        let blank: (Character) -> Bool = {
            $0 == " " || $0 == "\t" || $0 == "\r" || $0 == "\n" || $0 == "\r\n"
        }
        var value = line[line.utf8.index(after: colon)...].drop(while: blank)
        while let last = value.last, blank(last) { value.removeLast() }
        names.append(line[..<colon].lowercased())
        values.append(String(value))
    }
}

/// The answer of a server.
package struct HubReply: Sendable {
    package var status: Int
    package var headers: ReplyHeaders
    package var body: [UInt8]
    /// The address that answered, after redirects.
    package var url: String

    package init(status: Int, headers: ReplyHeaders, body: [UInt8], url: String) {
        self.status = status
        self.headers = headers
        self.body = body
        self.url = url
    }

    /// What the status and the headers `X-Error-Code` and `X-Error-Message` say went wrong; nil for 2xx and
    /// 3xx.
    /// - Parameter path: what the error names; the address when nil.
    package func failure(path: String? = nil) -> DownloadError? {
        DownloadError(status: status, headers: headers, path: path ?? url)
    }
}
