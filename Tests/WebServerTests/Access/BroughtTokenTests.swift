// The token that a server is given in a file: in force at once, the same after a restart, replaced with the file.

import Persistence
import Testing
import Text

@testable import WebServer

@Suite("A token that is brought in a file")
struct BroughtTokenTests {
    private static let first = "mrt_" + String(repeating: "a1B2c", count: 8)
    private static let second = "mrt_" + String(repeating: "Z9y8X", count: 8)

    private static func admit(_ text: String, _ harness: ServiceHarness) async throws {
        try await BroughtToken.admit(
            Array(text.utf8), from: "/secret/token", in: harness.store, now: harness.clock.now)
    }

    /// Who may list tokens: admins.
    private static func status(_ token: String, _ harness: ServiceHarness) async throws -> Int {
        try await harness.call("GET", "/api/martlet/v1/tokens", token: token).status
    }

    @Test("It opens everything, and another server on the same data adds nothing")
    func opens() async throws {
        let harness = try ServiceHarness { $0.authentication = .token }
        #expect(try await Self.status(Self.first, harness) == 401)
        try await Self.admit(Self.first + "\n", harness)
        let before = try await harness.store.tokens()
        harness.clock.advance(.seconds(60))
        try await Self.admit(" " + Self.first, harness)
        #expect(try await harness.store.tokens() == before)
        #expect(before.map(\.name) == [BroughtToken.name])
        #expect(try await harness.restarted { $0.authentication = .token }.store.tokens() == before)
        let again = try harness.restarted { $0.authentication = .token }
        #expect(try await Self.status(Self.first, again) == 200)
        let audit = try await harness.store.audit()
        #expect(audit.map(\.what) == ["token create"])
        #expect(!audit.contains { $0.target.contains(Self.first) })
    }

    @Test("A new token in the file replaces the old one, and leaves those of others")
    func replaces() async throws {
        let harness = try ServiceHarness { $0.authentication = .token }
        let other = try await harness.token(["*": .admin], name: "alice")
        try await Self.admit(Self.first, harness)
        try await Self.admit(Self.second, harness)
        let again = try harness.restarted { $0.authentication = .token }
        #expect(try await Self.status(Self.first, again) == 401)
        #expect(try await Self.status(Self.second, again) == 200)
        #expect(try await Self.status(other, again) == 200)
    }

    @Test("What somebody revoked does not come back with the next start")
    func staysRevoked() async throws {
        let harness = try ServiceHarness { $0.authentication = .token }
        try await Self.admit(Self.first, harness)
        let id = try #require(try await harness.store.tokens().first?.id)
        try await harness.store.revokeToken(id, at: harness.clock.now)
        await #expect {
            try await Self.admit(Self.first, harness)
        } throws: { "\($0)".contains("was revoked as \(id)") && !"\($0)".contains(Self.first) }
    }

    @Test(
        "What is no token is refused without being shown",
        arguments: ["", "\n", "secret-word", "mrt_short", first + "x", first + " " + second, first + "\u{0}"])
    func refuses(_ text: String) async throws {
        let harness = try ServiceHarness { $0.authentication = .token }
        await #expect {
            try await Self.admit(text, harness)
        } throws: {
            "\($0)".hasPrefix("/secret/token has no token") && !"\($0)".contains("secret-word")
                && !"\($0)".contains(Self.first)
        }
        #expect(try await harness.store.tokens().isEmpty)
    }
}
