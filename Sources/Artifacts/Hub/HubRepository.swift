// Models and data sets by the names that hubs give them.

/// A repository of a model hub.
package struct HubRepository: Sendable, Hashable {
    /// Whose protocol and whose cache.
    package enum Hub: String, Sendable, CaseIterable {
        case huggingFace = "hf"
        case modelScope = "modelscope"
    }

    package enum Kind: String, Sendable, CaseIterable {
        case model, dataset, space

        /// As it stands in addresses and names of folders.
        package var plural: String { rawValue + "s" }
    }

    package var hub: Hub
    package var kind: Kind
    /// `owner/name`, or a bare name where a hub has such.
    package var id: String

    package init(hub: Hub = .huggingFace, kind: Kind = .model, id: String) {
        self.hub = hub
        self.kind = kind
        self.id = id
    }

    /// The revision that is meant where none is given.
    package var defaultRevision: String { hub == .huggingFace ? "main" : "master" }

    /// `models--owner--name`: one folder a repository in Hugging Face's cache.
    package var folderName: String {
        ([kind.plural] + id.split(separator: "/").map(String.init)).joined(separator: "--")
    }

    /// Why a text is no identifier of a repository; nil if it is one. Cache folders are named by it, so
    /// nothing may be in it that means another folder.
    package static func problem(ofID id: String, hub: Hub) -> String? {
        let parts = id.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2 || (parts.count == 1 && hub == .huggingFace) else {
            return "a repository is named owner/name"
        }
        for part in parts {
            guard !part.isEmpty, part.utf8.count <= 96 else {
                return "owner and name have 1 to 96 characters each"
            }
            guard part.utf8.allSatisfy(isAllowed), let first = part.first, let last = part.last,
                !"-.".contains(first), !"-.".contains(last)
            else { return "owner and name are made of letters, digits, \"-\", \"_\" and \".\"" }
            guard !part.contains("..") else { return "\"..\" cannot be in the name" }
            if hub == .huggingFace, part.contains("--") { return "\"--\" cannot be in the name" }
        }
        return nil
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."): true
        default: false
        }
    }
}
