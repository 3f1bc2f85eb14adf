// Reads the model in tokenizer.json: 150,000 tokens and as many merges, in a tenth of a second.

import Text

/// Reads the `model`. What depends on fields that are not known yet is read at the end; files as Hugging Face
/// writes them are read in one go.
struct ModelReader {
    private let file: String
    private var fields: [String: JSONValue] = [:]
    private var isThere = false
    private var vocabulary: Vocabulary?
    private var merges: (table: MergeTable, mayCut: Bool)?
    /// Stand before the parts that have to wait.
    private var vocabularyReader: JSONReader?
    private var mergesReader: JSONReader?
    private static let cut = Array("▁".utf8)

    init(file: String) { self.file = file }

    /// - Parameters:
    ///   - reader: stands before the model's value.
    ///   - mayKeepBytes: whether nothing but bytes reaches the model; nil if that is not known yet.
    mutating func read(_ reader: inout JSONReader, mayKeepBytes: Bool?) throws {
        guard try reader.peek() == .object else { throw failure("model", "not an object") }
        guard !isThere else { throw failure("model", "there twice") }
        isThere = true
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "vocab":
                let affixes = [fields["continuing_subword_prefix"], fields["end_of_word_suffix"]]
                if let mayKeepBytes, !affixes.contains(nil), vocabulary == nil {
                    let isInByteForm = try mayKeepBytes && prefix().isEmpty && suffix().isEmpty
                    vocabulary = try readVocabulary(&reader, isInByteForm: isInByteForm)
                } else {
                    vocabulary = nil
                    vocabularyReader = reader
                    try reader.skipValue()
                }
            case "merges":
                if let vocabulary, merges == nil {
                    merges = try readMerges(&reader, vocabulary)
                } else {
                    merges = nil
                    mergesReader = reader
                    try reader.skipValue()
                }
            default: fields[key] = try reader.readValue()
            }
        }
    }

    /// The model, when all else in the file is known.
    mutating func finish(mayKeepBytes: Bool) throws -> BytePairEncoding {
        guard isThere else { throw failure("model", "missing") }
        let hasMerges = merges != nil || mergesReader != nil
        let type = fields["type"]?.stringValue ?? (hasMerges ? "BPE" : "unknown")
        guard type == "BPE" else { throw unsupported(type) }
        let isInByteForm = try mayKeepBytes && prefix().isEmpty && suffix().isEmpty
        if var reader = vocabularyReader {
            vocabulary = try readVocabulary(&reader, isInByteForm: isInByteForm)
        }
        guard let vocabulary else { throw failure("model.vocab", "missing") }
        if var reader = mergesReader { merges = try readMerges(&reader, vocabulary) }
        guard let merges else { throw failure("model.merges", "missing") }
        return try assemble(vocabulary, merges.table, mayCut: merges.mayCut)
    }

    private func assemble(
        _ vocabulary: Vocabulary, _ merges: MergeTable, mayCut: Bool
    ) throws -> BytePairEncoding {
        var model = BytePairEncoding(vocabulary: vocabulary, merges: merges)
        model.continuingPrefix = try prefix()
        model.endSuffix = try suffix()
        model.fusesUnknown = try flag("fuse_unk")
        model.hasByteFallback = try flag("byte_fallback")
        model.ignoresMerges = try flag("ignore_merges")
        let isPlain = model.continuingPrefix.isEmpty && model.endSuffix.isEmpty && !model.ignoresMerges
        if mayCut, isPlain, !vocabulary.isInByteForm, vocabulary.id(ofToken: Self.cut) != nil {
            model.cut = Self.cut
        }
        let unknown = try text("unk_token")
        if !unknown.isEmpty {
            guard let id = vocabulary.id(ofToken: unknown) else {
                throw failure("model.unk_token", "\"\(shown(unknown))\" is not in the vocabulary")
            }
            model.unknownID = id
        }
        model.prepare()
        return model
    }

    private func prefix() throws -> [UInt8] { try text("continuing_subword_prefix") }

    private func suffix() throws -> [UInt8] { try text("end_of_word_suffix") }

    private func text(_ key: String) throws -> [UInt8] {
        guard let value = fields[key], !value.isNull else { return [] }
        guard let text = value.stringValue else { throw failure("model.\(key)", "not a string") }
        return Array(text.utf8)
    }

    private func flag(_ key: String) throws -> Bool {
        guard let value = fields[key], !value.isNull else { return false }
        guard let flag = value.boolValue else { throw failure("model.\(key)", "neither true nor false") }
        return flag
    }

    private func unsupported(_ type: String) -> TokenizerError {
        TokenizerError(
            file: file, field: "model.type", problem: "models of type \(type) are not supported",
            remedy: "use a model whose tokenizer is of type BPE")
    }

    private func shown(_ token: [UInt8]) -> String {
        token.count <= 60 ? String(decoding: token, as: UTF8.self) : "a token of \(token.count) bytes"
    }

    private func failure(_ field: String, _ problem: String) -> TokenizerError {
        TokenizerError(file: file, field: field, problem: problem, remedy: TokenizerFile.remedy)
    }
}

extension ModelReader {
    private func readVocabulary(_ reader: inout JSONReader, isInByteForm: Bool) throws -> Vocabulary {
        guard try reader.peek() == .object else {
            // Unigram has a list of pairs here.
            if let type = fields["type"]?.stringValue, type != "BPE" { throw unsupported(type) }
            throw failure("model.vocab", "not an object")
        }
        try reader.beginObject()
        var vocabulary = Vocabulary(isInByteForm: isInByteForm, capacity: 1 << 17)
        var token: [UInt8] = []
        while true {
            token.removeAll(keepingCapacity: true)
            guard try reader.nextKey(into: &token) else { break }
            let id = try reader.readInteger()
            if let problem = vocabulary.add(token, id: id) {
                throw failure("model.vocab[\"\(shown(token))\"]", problem)
            }
        }
        return vocabulary
    }

    /// - Returns: the merges, and whether none of them joins something to a token that begins with `cut`.
    private func readMerges(
        _ reader: inout JSONReader, _ vocabulary: Vocabulary
    ) throws -> (table: MergeTable, mayCut: Bool) {
        guard try reader.peek() == .array else { throw failure("model.merges", "not a list") }
        try reader.beginArray()
        let prefixLength = try prefix().count
        var table = MergeTable(capacity: vocabulary.count)
        var mayCut = !vocabulary.isInByteForm
        var merge = MergeText()
        var rank: UInt32 = 0
        var lastResult: Int32 = -1
        while try reader.nextElement() {
            guard try merge.read(&reader) else {
                throw failure(
                    "model.merges[\(rank)]", "not two tokens, as a pair or with a blank between them")
            }
            // Old files begin with the line of merges.txt that tells the version.
            if merge.isVersion { continue }
            rank += 1
            if vocabulary.isInByteForm, !merge.convertToBytes() {
                // No text becomes these tokens, so that the merge cannot happen.
                for part in merge.parts where vocabulary.id(ofToken: part) == nil {
                    throw missing(part, rank - 1)
                }
                continue
            }
            guard let (left, right, result) = merge.ids(in: vocabulary, prefixLength, guess: lastResult + 1)
            else {
                let parts = merge.parts + [merge.whole(prefixLength)]
                let absent = parts.first { part in
                    part.withUnsafeBufferPointer { vocabulary.id(ofEntry: $0) } == nil
                }
                throw missing(absent ?? [], rank - 1)
            }
            lastResult = result
            table.insert(left, right, rank: rank - 1, result: result)
            if mayCut { mayCut = merge.isCut(by: Self.cut) }
        }
        return (table, mayCut)
    }

    private func missing(_ token: [UInt8], _ rank: UInt32) -> TokenizerError {
        failure("model.merges[\(rank)]", "\"\(shown(token))\" is not in the vocabulary")
    }
}

/// One entry of `merges`: two tokens in a row, without a string for each.
private struct MergeText {
    private var bytes: [UInt8] = []
    private var middle = 0
    private var scratch: [UInt8] = []

    /// Reads a pair, or a string with one blank.
    /// - Returns: false if it is neither.
    mutating func read(_ reader: inout JSONReader) throws(JSONParseError) -> Bool {
        bytes.removeAll(keepingCapacity: true)
        if try reader.peek() == .array {
            try reader.beginArray()
            guard try reader.nextElement() else { return false }
            try reader.readString(into: &bytes)
            middle = bytes.count
            guard try reader.nextElement() else { return false }
            try reader.readString(into: &bytes)
            return try !reader.nextElement()
        }
        try reader.readString(into: &bytes)
        middle = 0
        if isVersion { return true }
        guard let blank = bytes.firstIndex(of: 0x20), blank == bytes.lastIndex(of: 0x20) else { return false }
        bytes.remove(at: blank)
        middle = blank
        return true
    }

    var isVersion: Bool {
        middle == 0 && bytes.first == UInt8(ascii: "#") && bytes.starts(with: Array("#version".utf8))
    }

    var parts: [[UInt8]] { [Array(bytes[..<middle]), Array(bytes[middle...])] }

    /// What the merge makes: the second token loses its prefix.
    func whole(_ prefixLength: Int) -> [UInt8] {
        Array(bytes[..<middle] + bytes[middle...].dropFirst(prefixLength))
    }

    /// Replaces the tokens by the bytes they stand for; false, with nothing changed, if they stand for none.
    mutating func convertToBytes() -> Bool {
        scratch.removeAll(keepingCapacity: true)
        let isConverted = bytes.withUnsafeBufferPointer { text in
            guard ByteAlphabet.appendBytes(of: text.part(0..<middle), to: &scratch) else { return -1 }
            let converted = scratch.count
            return ByteAlphabet.appendBytes(of: text.part(middle..<text.count), to: &scratch) ? converted : -1
        }
        guard isConverted >= 0 else { return false }
        swap(&bytes, &scratch)
        middle = isConverted
        return true
    }

    /// The ids of both tokens and of what they make, nil if one is missing.
    /// - Parameter guess: the id that the result probably has, since merges are in the order of their ids.
    func ids(
        in vocabulary: borrowing Vocabulary, _ prefixLength: Int, guess: Int32
    ) -> (left: Int32, right: Int32, result: Int32)? {
        bytes.withUnsafeBufferPointer { text in
            guard let left = vocabulary.id(ofEntry: text.part(0..<middle)),
                let right = vocabulary.id(ofEntry: text.part(middle..<text.count))
            else { return nil }
            if prefixLength > 0 {
                return whole(prefixLength).withUnsafeBufferPointer { whole in
                    vocabulary.id(ofEntry: whole).map { (left, right, $0) }
                }
            }
            if vocabulary.isEntry(text, of: guess) { return (left, right, guess) }
            return vocabulary.id(ofEntry: text).map { (left, right, $0) }
        }
    }

    func isCut(by cut: [UInt8]) -> Bool {
        bytes.withUnsafeBufferPointer {
            BytePairEncoding.isCut(cut, left: $0.part(0..<middle), right: $0.part(middle..<$0.count))
        }
    }
}
