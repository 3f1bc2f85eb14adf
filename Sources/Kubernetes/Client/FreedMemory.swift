// Gives memory that was freed back to the system. The C library keeps what it took for a burst of requests, which
// with thousands of pods is half of all there is.

import CLinux

enum FreedMemory {
    /// So many requests make it worth the milliseconds that it takes.
    static let requestsBetween = 500

    /// Blocks for some milliseconds.
    static func giveBack() { martlet_return_free_memory() }
}
