// The threads that share a kernel's work.

import CKernels

/// Threads for kernels. One caller uses it at a time.
// The pointer never changes; that only one computation runs at a time is the caller's duty, as the engine's thread
// and the command line, which each have a pool of their own, keep it.
package final class ThreadPool: @unchecked Sendable {
    package let handle: OpaquePointer

    /// - Parameter threads: at least 1, the calling thread included; nil for one on each core that this process may
    ///   use.
    package init(threads: Int? = nil) throws(OutOfMemory) {
        let count = max(1, min(threads ?? Self.coreCount, 1024))
        guard let handle = ck_pool_create(Int32(count)) else {
            throw OutOfMemory(byteCount: count << 20, purpose: "\(count) threads")
        }
        self.handle = handle
    }

    deinit { ck_pool_destroy(handle) }

    package var threadCount: Int { Int(ck_pool_threads(handle)) }

    /// Cores that this process may use.
    package static var coreCount: Int { max(1, Int(ck_core_count())) }
}
