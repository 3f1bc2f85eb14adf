// Programs whose output is taken piece by piece.

import Glibc
import Synchronization
import Testing

@testable import Artifacts

@Suite("Programs that are read from", .timeLimit(.minutes(5)))
struct CommandPipeTests {
    private static func run(_ script: String) -> CommandRun { CommandRun(["sh", "-c", script]) }

    @Test("All of the output comes, in pieces of the wanted length, and nothing of the errors")
    func reads() throws {
        let pipe = try CommandPipe(Self.run("echo no >&2; printf %0100000d 7"))
        var (count, last) = (0, UInt8(0))
        while case let piece = try pipe.read(limitBytes: 4096), !piece.isEmpty {
            #expect(piece.count == min(4096, 100_000 - count))
            count += piece.count
            last = piece[piece.count - 1]
        }
        #expect(count == 100_000 && last == UInt8(ascii: "7"))
        #expect(try pipe.read(limitBytes: 10).isEmpty)
    }

    @Test("A program that fails is told of at the end of what it wrote")
    func fails() throws {
        let pipe = try CommandPipe(Self.run("printf half; exit 3"))
        #expect(try pipe.read(limitBytes: 100) == Array("half".utf8))
        #expect(throws: ArtifactError.self) { try pipe.read(limitBytes: 100) }
        #expect(throws: ArtifactError.self) { try CommandPipe(CommandRun(["no-such-program-anywhere"])) }
    }

    @Test("What nobody reads any more is ended, and what it left is cleared away after that")
    func abandoned() async throws {
        let (ends, end) = AsyncStream<Void>.makeStream()
        let process: pid_t
        do {
            let pipe = try CommandPipe(Self.run("echo $$; exec sleep 600")) { end.finish() }
            var text = try pipe.read(limitBytes: 1)
            while text.last != 10 { text += try pipe.read(limitBytes: 1) }
            process = try #require(pid_t(String(decoding: text.dropLast(), as: UTF8.self)))
            #expect(kill(process, 0) == 0)
            withExtendedLifetime(pipe) {}
        }
        for await _ in ends {}
        #expect(kill(process, 0) != 0)
    }
}
