// A file's bytes as memory: pages are read when they are touched and may be given back at any time.

import Glibc

/// A read-only private mapping of a whole regular file.
///
/// The mapping keeps its file's content even if the path is replaced or removed, which is how files are
/// updated properly (written aside, then renamed). A program that instead truncates the very file takes the
/// pages away, and touching one ends this process with SIGBUS: no check can prevent that, only the size at
/// the time of opening is known to be right.
///
/// The class is unchecked because pointers are not sendable; here the memory is mapped read-only before any
/// other thread can see the value, never written or moved, and unmapped only when no reference is left.
package final class MappedFile: @unchecked Sendable {
    package let path: String
    /// Valid while this value lives. Empty files have no base address.
    package let bytes: UnsafeRawBufferPointer

    package init(path: String) throws(FileError) {
        self.path = path
        let (descriptor, count) = try SmallFile.open(path)
        defer { close(descriptor) }
        guard count > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        guard let start = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
            throw FileError(errno: errno, path: path, while: "map")
        }
        bytes = UnsafeRawBufferPointer(start: start, count: count)
    }

    deinit {
        if let start = bytes.baseAddress {
            munmap(UnsafeMutableRawPointer(mutating: start), bytes.count)
        }
    }

    /// Gives the memory of the pages that lie wholly inside the range back; touching them reads them again.
    package func release(_ range: Range<Int>) {
        let page = Self.pageBytes
        // The last page of the file may be given back though the file ends inside it.
        let end = range.upperBound == bytes.count ? bytes.count : range.upperBound / page * page
        advise((range.lowerBound + page - 1) / page * page, end, MADV_DONTNEED)
    }

    /// Asks the system to begin reading the range, without waiting for it.
    package func prefetch(_ range: Range<Int>) {
        advise(range.lowerBound / Self.pageBytes * Self.pageBytes, range.upperBound, MADV_WILLNEED)
    }

    private static let pageBytes = max(Int(sysconf(Int32(_SC_PAGESIZE))), 4096)

    /// Advice only: where the system cannot follow it, nothing is lost, so its answer is not looked at.
    private func advise(_ start: Int, _ end: Int, _ advice: Int32) {
        guard let address = bytes.baseAddress, start < end else { return }
        _ = madvise(UnsafeMutableRawPointer(mutating: address + start), end - start, advice)
    }
}
