// Copies a file's bytes, sharing the blocks where the file system can (btrfs, XFS).

import Glibc

enum FileCopy {
    /// `FICLONE` of linux/fs.h, whose macro the importer cannot read.
    private static let cloneRequest: UInt = 0x4004_9409

    /// Copies from the source's start to the target, which is empty. Returns 0 or an errno.
    static func copy(from source: Int32, to target: Int32) -> Int32 {
        if ioctl(target, cloneRequest, source) == 0 { return 0 }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 4096)
        defer { buffer.deallocate() }
        var offset: off_t = 0
        while true {
            let length = pread(source, buffer.baseAddress, buffer.count, offset)
            if length < 0 && errno == EINTR { continue }
            if length < 0 { return errno }
            if length == 0 { return 0 }
            let error = Disk.writeAll(target, UnsafeRawBufferPointer(rebasing: buffer[0..<length]))
            if error != 0 { return error }
            offset += off_t(length)
        }
    }
}
