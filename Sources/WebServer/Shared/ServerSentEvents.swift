// The text format of event streams (WHATWG HTML, section 9.2), as OpenAI's clients read it.

/// Makes the bytes of events. A data line ends the event, so a payload must be a single line: JSON without
/// line breaks, which is what the JSON writer makes.
enum ServerSentEvents {
    /// Headers of an event stream. Proxies such as nginx buffer answers unless told not to.
    static let headers: [(name: String, value: String)] = [
        ("Content-Type", "text/event-stream; charset=utf-8"), ("Cache-Control", "no-cache"),
        ("X-Accel-Buffering", "no"),
    ]

    /// The last event of a stream.
    static let done = data("[DONE]")

    /// A comment, which clients skip: it shows proxies and clients that the connection lives.
    static let heartbeat = Array(": still working\n\n".utf8)

    static func data(_ payload: String) -> [UInt8] {
        var bytes = Array("data: ".utf8)
        bytes.reserveCapacity(payload.utf8.count + 8)
        for byte in payload.utf8 where byte != UInt8(ascii: "\n") && byte != UInt8(ascii: "\r") {
            bytes.append(byte)
        }
        bytes.append(UInt8(ascii: "\n"))
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }
}
