// Ports of this machine that nobody listens at.

import Glibc

package enum FreePort {
    /// Why there is no port, with what to do about it.
    package struct Problem: Error, CustomStringConvertible, Sendable {
        package let description: String
    }

    /// A port of the address that nobody listens at now; another may be quicker.
    /// - Parameter host: a name, or an address of IPv4 or IPv6, of this machine.
    /// - Throws: `Problem` for what is none.
    package static func find(host: String = "127.0.0.1") throws(Problem) -> Int {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE
        var list: UnsafeMutablePointer<addrinfo>?
        let error = getaddrinfo(host, "0", &hints, &list)
        guard error == 0, let list else {
            throw Problem(description: "\(host) is no address: \(String(cString: gai_strerror(error)))")
        }
        defer { freeaddrinfo(list) }
        var cause = EADDRNOTAVAIL
        var next: UnsafeMutablePointer<addrinfo>? = list
        while let one = next?.pointee {
            next = one.ai_next
            let descriptor = socket(one.ai_family, one.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard descriptor >= 0 else {
                cause = errno
                continue
            }
            defer { close(descriptor) }
            if bind(descriptor, one.ai_addr, one.ai_addrlen) == 0, let port = port(of: descriptor) {
                return port
            }
            cause = errno
        }
        throw Problem(
            description:
                "\(host) is no address of this machine to listen at: \(String(cString: strerror(cause)))")
    }

    private static func port(of descriptor: Int32) -> Int? {
        var address = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let number = withUnsafeMutablePointer(to: &address) { pointer -> in_port_t? in
            let isRead = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &size) == 0
            }
            // It stands at the same place in addresses of both families.
            return isRead
                ? pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { $0.pointee.sin_port } : nil
        }
        return number.map { Int(UInt16(bigEndian: $0)) }
    }
}
