// Why a node ran although something like it had finished before: the fields that differ from the nearest one.

import Scheduling
import Text

/// A comparison of a node's fields with those of a finished node.
package struct ContentDifference: Sendable, Hashable {
    package struct Field: Sendable, Hashable {
        package var name: String
        /// Nil where the finished node had no such field.
        package var before: String?
        package var now: String?
    }

    package var entry: ContentEntry
    /// In the order of their names; empty for the same content.
    package var fields: [Field]

    init(_ fields: [String: String], _ entry: ContentEntry) {
        self.entry = entry
        let old = entry.record.fields
        self.fields = Set(fields.keys).union(old.keys).sorted().compactMap { name in
            fields[name] == old[name] ? nil : Field(name: name, before: old[name], now: fields[name])
        }
    }

    /// The finished node of the same step with the fewest differences; of several the newest.
    /// - Parameter entries: newest first.
    package static func nearest(
        _ fields: [String: String], among entries: [ContentEntry]
    ) -> ContentDifference? {
        entries.filter { $0.record.fields["step"] == fields["step"] }.map { ContentDifference(fields, $0) }
            .enumerated().min { ($0.element.fields.count, $0.offset) < ($1.element.fields.count, $1.offset) }?
            .element
    }
}
