// The tokens of a model, by text and by id.

/// A vocabulary. In byte form, the tokens of a byte-level model are kept as the bytes they stand for ("Ġthe"
/// as " the"), so that texts need not be rewritten in visible characters to be encoded.
struct Vocabulary: Sendable {
    /// Higher ids are refused: a table with a place for each would be too large.
    static let maximumID = 1 << 22
    /// Longer tokens are refused.
    static let maximumTokenLength = 1 << 20

    let isInByteForm: Bool
    private var entries: ByteStringTable
    private var ids: [Int32] = []
    /// In byte form, the tokens that stand for no bytes, such as "<｜x｜>". No text becomes one of them.
    private var others = ByteStringTable()
    private var otherIDs: [Int32] = []
    /// For each id the number of its entry, -1 for none; -2 and below for the others.
    private var entryByID: [Int32] = []
    private var scratch: [UInt8] = []

    init(isInByteForm: Bool, capacity: Int) {
        self.isInByteForm = isInByteForm
        entries = ByteStringTable(capacity: capacity)
        ids.reserveCapacity(capacity)
        entryByID.reserveCapacity(capacity)
    }

    /// How many tokens there are.
    var count: Int { ids.count + otherIDs.count }
    /// The highest id plus one.
    var idLimit: Int { entryByID.count }

    /// Adds a token as its text is in a file. Of ids given to the same token, the last counts.
    /// - Returns: what is wrong, nil if nothing is.
    mutating func add(_ token: [UInt8], id: Int) -> String? {
        guard id >= 0, id <= Self.maximumID else { return "the id \(id) is not in 0...\(Self.maximumID)" }
        guard token.count <= Self.maximumTokenLength,
            entries.byteCount + token.count < ByteStringTable.maximumByteCount
        else { return "the tokens are too long" }
        while entryByID.count <= id { entryByID.append(-1) }
        guard entryByID[id] == -1 else { return "two tokens have the id \(id)" }
        scratch.removeAll(keepingCapacity: true)
        let isByteToken = token.withUnsafeBufferPointer { token in
            isInByteForm && ByteAlphabet.appendBytes(of: token, to: &scratch)
        }
        if isInByteForm, !isByteToken {
            let (index, isNew) = token.withUnsafeBufferPointer { others.insert($0) }
            if isNew { otherIDs.append(Int32(id)) } else { entryByID[Int(otherIDs[index])] = -1 }
            otherIDs[index] = Int32(id)
            entryByID[id] = Int32(-2 - index)
            return nil
        }
        let (index, isNew) = (isInByteForm ? scratch : token).withUnsafeBufferPointer { entries.insert($0) }
        if isNew { ids.append(Int32(id)) } else { entryByID[Int(ids[index])] = -1 }
        ids[index] = Int32(id)
        entryByID[id] = Int32(index)
        return nil
    }

    /// The id of a token in the vocabulary's own form, nil if there is none.
    @inline(__always)
    func id(ofEntry entry: UTF8Text) -> Int32? { entries.index(of: entry).map { ids[$0] } }

    /// Whether a token in the vocabulary's own form has this id.
    func isEntry(_ entry: UTF8Text, of id: Int32) -> Bool {
        guard let index = self.entry(id), index >= 0, entries.range(of: index).count == entry.count else {
            return false
        }
        return entries.withBytes(of: index) { $0.elementsEqual(entry) }
    }

    /// The id of a token by its text in the file.
    func id(ofToken token: [UInt8]) -> Int32? {
        token.withUnsafeBufferPointer { token in
            guard isInByteForm else { return id(ofEntry: token) }
            var bytes: [UInt8] = []
            guard ByteAlphabet.appendBytes(of: token, to: &bytes) else {
                return others.index(of: token).map { otherIDs[$0] }
            }
            return bytes.withUnsafeBufferPointer { id(ofEntry: $0) }
        }
    }

    /// The text of a token as the file has it.
    func token(_ id: Int32) -> [UInt8]? {
        guard let entry = entry(id) else { return nil }
        if entry < 0 { return others[-2 - entry] }
        guard isInByteForm else { return entries[entry] }
        var text: [UInt8] = []
        entries.withBytes(of: entry) { ByteAlphabet.appendText(of: $0, to: &text) }
        return text
    }

    /// Lends a token in the vocabulary's own form, or as the file has it where it has no other; nothing
    /// happens for an unknown id.
    func withEntryBytes(_ id: Int32, _ body: (UTF8Text) -> Void) {
        guard let entry = entry(id) else { return }
        if entry < 0 { others.withBytes(of: -2 - entry, body) } else { entries.withBytes(of: entry, body) }
    }

    private func entry(_ id: Int32) -> Int? {
        guard id >= 0, id < entryByID.count, entryByID[Int(id)] != -1 else { return nil }
        return Int(entryByID[Int(id)])
    }
}
