// What shall go wrong, for tests of downloaders: a list of faults, each with the paths that it meets and how
// often. Chance comes from the plan's seed, the path and the number of the request, never from a clock.
package import Text

/// A plan, as its file has it: `{"seed": 1, "faults": [{"path": "*.bin", "kind": "drop", "after": 1000}]}`.
package struct FaultPlan: Sendable, Hashable {
    struct Fault: Sendable, Hashable {
        enum Kind: Sendable, Hashable {
            /// Closes the connection behind so many bytes of the body; nil lets the seed choose.
            case drop(after: Int?)
            /// Sends nothing for a while behind so many bytes.
            case stall(after: Int?, Duration)
            case slow(bytesPerSecond: Int)
            /// Answers with an error. Status 429 is also written `too_many`.
            case status(Int, retryAfterSeconds: Int?)
            /// Answers 200 with the whole file.
            case ignoreRange
            /// Announces more bytes than come (a positive number), or fewer than are there; nil lets the seed
            /// choose.
            case wrongLength(by: Int?)
            /// Changes the byte at a place of the file; nil lets the seed choose.
            case changeContent(at: Int?)
            case gated
            /// Sends to the second port.
            case redirect
        }

        var kind: Kind
        /// Which requests are met: `*` stands for any text, `?` for one character. Nil meets all requests for
        /// contents of files, and no others.
        var path: String?
        /// How often the fault happens to each path; nil for always.
        var times: Int?
        /// How many requests of each path come through before the first.
        var skip = 0
        /// Which part of the requests is met, from 0 to 1.
        var chance = 1.0
    }

    private static let faultLimit = 1_000

    var seed: UInt64
    var faults: [Fault]

    init(seed: UInt64 = 0, faults: [Fault]) {
        self.seed = seed
        self.faults = faults
    }

    /// - Parameter file: the plan's name for errors.
    /// - Throws: at the first field that is wrong, with its path.
    package init(_ json: OrderedJSON, file: String) throws(HubSettingsError) {
        do {
            var plan = try FieldReader(json)
            let seed = try plan.int("seed", in: 0...Int.max) ?? 0
            let value = plan.value("faults") ?? .array([])
            guard let list = value.arrayValue, list.count <= Self.faultLimit else {
                throw APIError.badRequest("`faults` must be an array of at most \(Self.faultLimit) objects")
            }
            var faults: [Fault] = []
            for (index, element) in list.enumerated() {
                var reader = try FieldReader(element, path: "faults[\(index)]")
                faults.append(try Self.fault(&reader))
                try Self.refuse(unknown: reader)
            }
            try Self.refuse(unknown: plan)
            self.init(seed: UInt64(seed), faults: faults)
        } catch {
            throw HubSettingsError(place: file, problem: (error as? APIError)?.message ?? "\(error)")
        }
    }

    private static func refuse(unknown reader: FieldReader) throws(APIError) {
        guard let name = reader.unknown.first else { return }
        throw .badRequest("`\(reader.path(of: name))` is no field of a fault plan, or not of this kind")
    }

    private static func fault(_ reader: inout FieldReader) throws(APIError) -> Fault {
        var fault = Fault(kind: try kind(&reader))
        fault.path = try reader.string("path")
        fault.times = try reader.int("times", in: 0...1_000_000_000)
        fault.skip = try reader.int("skip", in: 0...1_000_000_000) ?? 0
        fault.chance = try reader.number("chance") ?? 1
        guard (0...1).contains(fault.chance) else {
            throw .badRequest("`\(reader.path(of: "chance"))` must be from 0 to 1")
        }
        return fault
    }

    private static func kind(_ reader: inout FieldReader) throws(APIError) -> Fault.Kind {
        let size = 0...(1 << 50)
        switch try reader.requiredString("kind") {
        case "drop": return .drop(after: try reader.int("after", in: size))
        case "stall":
            let after = try reader.int("after", in: size)
            return .stall(after: after, .seconds(try reader.int("seconds", in: 0...86_400) ?? 3_600))
        case "slow":
            let rate = try reader.int("bytes_per_second", in: 1...(1 << 40))
            guard let rate else {
                throw .badRequest("`\(reader.path(of: "bytes_per_second"))` is missing: a number above 0")
            }
            return .slow(bytesPerSecond: rate)
        case "status":
            let status = try reader.int("status", in: 400...599) ?? 503
            return .status(status, retryAfterSeconds: try reader.int("retry_after", in: 0...86_400))
        case "too_many":
            return .status(429, retryAfterSeconds: try reader.int("retry_after", in: 0...86_400))
        case "ignore_range": return .ignoreRange
        case "wrong_length": return .wrongLength(by: try reader.int("by", in: (-1 << 50)...(1 << 50)))
        case "change_content": return .changeContent(at: try reader.int("at", in: size))
        case "gated": return .gated
        case "redirect": return .redirect
        case let other:
            throw .badRequest(
                "`\(reader.path(of: "kind"))` is \(other.shortened); it must be one of drop, stall, slow, "
                    + "status, too_many, ignore_range, wrong_length, change_content, gated, redirect")
        }
    }

    /// Whether a second port is needed.
    var redirects: Bool { faults.contains { $0.kind == .redirect } }

    /// Whether a text is met by a pattern of `*` and `?`; both stand for slashes, too.
    static func matches(_ text: String, _ pattern: String) -> Bool {
        let (text, pattern) = (Array(text.unicodeScalars), Array(pattern.unicodeScalars))
        var (place, index) = (0, 0)
        // Where to go on when what follows the last star does not fit: that star takes one character more.
        var retry: (place: Int, index: Int)?
        while place < text.count {
            if index < pattern.count, pattern[index] == "*" {
                retry = (place, index)
                index += 1
            } else if index < pattern.count, pattern[index] == "?" || pattern[index] == text[place] {
                (place, index) = (place + 1, index + 1)
            } else if let last = retry {
                retry = (last.place + 1, last.index)
                (place, index) = (last.place + 1, last.index + 1)
            } else {
                return false
            }
        }
        return pattern[index...].allSatisfy { $0 == "*" }
    }
}
