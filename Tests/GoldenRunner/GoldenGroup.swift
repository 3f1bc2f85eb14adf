// The kinds of fixtures, one file each, and the search for folders that have them.

/// What is checked of a folder. A folder may be of several groups.
struct GoldenGroup: Sendable {
    let name: String
    /// Whether the folder has such cases, judged by its files, never by its name.
    let isFound: @Sendable (GoldenFolder) -> Bool
    /// Checks all cases. What it throws counts as a failure of the folder.
    let run: @Sendable (GoldenFolder, inout GoldenReport) async throws -> Void

    /// In the order in which a folder is checked.
    static let all: [GoldenGroup] = [
        .tokenizer, .chatTemplate, .model, .generation, .rope, .sampling, .supervised, .preference, .packing,
        .blockQuantization, .evaluation, .quantize,
    ]
}

/// Finds the folders of each group.
struct GoldenSearch {
    /// The layout is two deep; more is a link that leads back.
    private static let maximumDepth = 6

    private(set) var found: [(group: GoldenGroup, folder: GoldenFolder)] = []
    /// Folders that hold files of no known group, each named once, as high up as nothing in it is known.
    private(set) var unknown: [String] = []

    /// - Returns: whether anything in the folder belongs to a group.
    @discardableResult
    mutating func visit(_ folder: GoldenFolder, depth: Int = 0) -> Bool {
        let groups = GoldenGroup.all.filter { $0.isFound(folder) }
        found += groups.map { ($0, folder) }
        guard depth < Self.maximumDepth else { return !groups.isEmpty }
        var known = !groups.isEmpty
        var strangers: [String] = []
        // What runs begin with is read by the group of those runs.
        for entry in folder.entries where !entry.hasPrefix(".") && entry != "init" {
            let child = folder.folder(entry)
            guard child.isThere, !child.entries.isEmpty else { continue }
            if visit(child, depth: depth + 1) { known = true } else { strangers.append(child.name) }
        }
        // Folders inside of a group's own are its business.
        if groups.isEmpty && (known || depth == 0) { unknown += strangers }
        return known
    }
}
