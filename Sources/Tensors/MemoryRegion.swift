// Large areas of memory, taken from the system directly: a refusal is an error, where an array would trap.

import Glibc

/// Not enough memory for something that has a size.
package struct OutOfMemory: Error, Sendable, Hashable, CustomStringConvertible {
    package var byteCount: Int
    /// What it was wanted for: "the weights of model.layers.0".
    package var purpose: String

    package init(byteCount: Int, purpose: String) {
        self.byteCount = byteCount
        self.purpose = purpose
    }

    package var description: String {
        """
        out of memory: \((byteCount + 1_048_575) / 1_048_576) MiB for \(purpose) could not be had; free memory, or use \
        a smaller model, --quant int8 or int4, or a shorter context
        """
    }
}

/// Zeroed memory of a fixed size, aligned to pages and given back when the last reference goes. Pages take up memory
/// from when they are first written.
// The bytes are written by whoever owns the region and read by its kernels; the region itself only holds the address,
// which never changes.
package final class MemoryRegion: @unchecked Sendable {
    package let byteCount: Int
    package let start: UnsafeMutableRawPointer

    /// - Parameter purpose: for the error.
    package init(byteCount: Int, purpose: String) throws(OutOfMemory) {
        let size = max(byteCount, 1)
        let address = mmap(
            nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let address, address != MAP_FAILED else {
            throw OutOfMemory(byteCount: byteCount, purpose: purpose)
        }
        self.byteCount = size
        start = address
        // Fewer and larger pages: filling gigabytes takes a fault for each. Refusal changes speed only.
        if size >= 8 << 20 { madvise(address, size, MADV_HUGEPAGE) }
    }

    deinit { munmap(start, byteCount) }

    /// The region as floats.
    package var floats: UnsafeMutablePointer<Float> { start.assumingMemoryBound(to: Float.self) }
}
