// How this program ends: at once, since threads of libraries may still be at work.

import Glibc

enum ProcessEnd {
    /// Writes what is buffered and ends the process. What libraries have registered with `atexit` is not run: beside a
    /// thread that ends in the same moment, OpenSSL's would free what that thread frees.
    static func now(_ status: Int32) -> Never {
        fflush(nil)
        _exit(status)
    }
}
