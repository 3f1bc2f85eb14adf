// The objects of watches: what a thousand watchers wait for is read and serialized once.

import Controller
import Text

/// What an object is made of; the same key always means the same bytes.
struct WatchedKey: Sendable, Hashable {
    var uid: String
    var revision: Int64
    var mask: FieldMask
}

/// A run at a revision, as text.
struct WatchedObject: Sendable {
    /// Compact JSON.
    var text: [UInt8]
    /// Nil for a run that was deleted.
    var createdAt: Timestamp?
}

/// Nil stands for a run that was gone when its object was to be made.
typealias WatchedObjects = SharedPayloads<WatchedKey, WatchedObject?>
