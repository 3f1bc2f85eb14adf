// Events of the own stream as bytes (WHATWG HTML, section 9.2), with the revision that a reader goes on from.

import Text

enum StreamEvent {
    /// A comment, which clients skip.
    static let heartbeat = Array(": still here\n\n".utf8)

    /// - Parameters:
    ///   - id: all changes up to this revision have been sent when this event is read.
    ///   - json: without line breaks, as the JSON writer makes it.
    static func bytes(_ name: String, id: Int64, _ json: [UInt8]) -> [UInt8] {
        var bytes = Array("id: \(id)\nevent: \(name)\ndata: ".utf8)
        bytes.reserveCapacity(bytes.count + json.count + 2)
        bytes += json
        bytes += [0x0A, 0x0A]
        return bytes
    }

    /// Only the place: a reader that comes back goes on from there, though there was nothing to tell on the way.
    static func place(_ id: Int64) -> [UInt8] { Array("id: \(id)\n\n".utf8) }

    static func bytes(_ name: String, id: Int64, _ json: JSONValue) -> [UInt8] {
        bytes(name, id: id, Array(json.compactText.utf8))
    }

    /// `{"items":[...]}` of items that are JSON already.
    static func list(_ items: [[UInt8]]) -> [UInt8] {
        var bytes = Array("{\"items\":[".utf8)
        bytes.reserveCapacity(items.reduce(16) { $0 + $1.count + 1 })
        for (index, item) in items.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes += item
        }
        bytes += Array("]}".utf8)
        return bytes
    }
}
