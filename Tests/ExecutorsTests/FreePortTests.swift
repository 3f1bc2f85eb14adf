// Ports that nobody listens at, by name and by address of either family.

import Glibc
import Testing

@testable import Executors

@Suite("Free ports")
struct FreePortTests {
    private static let hasIPv6 = access("/proc/net/if_inet6", R_OK) == 0

    @Test("A port is found by a name and by an address", arguments: ["127.0.0.1", "localhost", "0.0.0.0"])
    func found(host: String) throws {
        #expect(try (1...65_535).contains(FreePort.find(host: host)))
    }

    @Test("A port is found by an address of IPv6", .enabled(if: hasIPv6, "this machine has no IPv6"))
    func foundIPv6() throws {
        #expect(try (1...65_535).contains(FreePort.find(host: "::")))
    }

    @Test("What is no address of this machine is said", arguments: ["192.0.2.1", "300.1.1.1:1"])
    func refused(host: String) {
        #expect { try FreePort.find(host: host) } throws: { "\($0)".hasPrefix("\(host) is no address") }
    }
}
