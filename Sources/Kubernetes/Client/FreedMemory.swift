// Gives memory that was freed back to the system. The C library keeps what it took for a burst of requests, which
// with thousands of pods is half of all there is.

import Glibc

enum FreedMemory {
    /// So many requests make it worth the milliseconds that it takes.
    static let requestsBetween = 500

    private typealias Trim = @convention(c) (Int) -> Int32

    /// Blocks for some milliseconds. Does nothing where the C library has no such call.
    static func giveBack() {
        guard let symbol = dlsym(nil, "malloc_trim") else { return }
        _ = unsafeBitCast(symbol, to: Trim.self)(0)
    }
}
