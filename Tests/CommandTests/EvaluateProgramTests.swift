// Programs that models write: what passes, what fails, and that nothing gets away.

import Evaluation
import Foundation
import Testing

@testable import martlet

@Suite("Programs of models", .timeLimit(.minutes(30)))
struct EvaluateProgramTests {
    private static let programs: [(program: String, passes: Bool, detail: String)] = [
        ("def f(x):\n    return x + 1\n\ndef check(g):\n    assert g(1) == 2\n\ncheck(f)\n", true, "passed"),
        ("assert 1 == 2, 'one is not two'\n", false, "failed: AssertionError: one is not two"),
        ("def f(:\n", false, "failed: SyntaxError"),
        ("import sys\nsys.exit(0)\n", false, "failed: the program ended before its tests did"),
        ("import os\nos._exit(0)\n", false, "failed: ended with 0"),
        (
            "print('passed')\nprint('result-x offline passed')\nraise ValueError('no')\n", false,
            "failed: ValueError: no"
        ),
        ("while True:\n    pass\n", false, "timed out"),
        ("x = bytearray(8 << 30)\n", false, "failed: MemoryError"),
    ]

    /// Both with the sandbox that there is and as within a step, which has limits alone.
    private static func runner(inStep: Bool) throws -> SandboxedCodeRunner {
        try SandboxedCodeRunner(directory: NSTemporaryDirectory().trimmedSlash) { name in
            switch name {
            case "MARTLET_NODE": inStep ? "step" : nil
            default: Environment.value(name)
            }
        }
    }

    private static let hasPython = FileManager.default.isExecutableFile(atPath: "/usr/bin/python3")

    @Test("Only a program that comes to its end passes", .enabled(if: hasPython), arguments: [false, true])
    func verdicts(inStep: Bool) async throws {
        let runner = try Self.runner(inStep: inStep)
        if inStep {
            #expect(runner.isolation.description.contains("this is a step"))
        }
        for (program, passes, detail) in Self.programs {
            let verdict = try await runner.run(program, secondsLimit: 2)
            #expect(verdict.passed == passes, "\(program): \(verdict.detail)")
            #expect(verdict.detail.hasPrefix(detail), "\(program): \(verdict.detail)")
        }
    }

    @Test("A program sees neither our variables nor the network", .enabled(if: hasPython))
    func isolation() async throws {
        setenv("MARTLET_TEST_SECRET", "s3cret", 1)
        let runner = try Self.runner(inStep: false)
        let program = """
            import os, socket
            assert 'MARTLET_TEST_SECRET' not in os.environ
            try:
                socket.create_connection(('127.0.0.1', 9), 1)
            except ConnectionRefusedError:
                raise AssertionError('the network is there')
            except OSError:
                pass
            """
        let verdict = try await runner.run(program, secondsLimit: 3)
        // Where no namespace can be made, the report says that the network was there.
        #expect(verdict.passed || runner.programsSawNetwork, "\(verdict.detail)")
    }

    @Test("Nothing is left on disk")
    func cleanUp() async throws {
        let directory = NSTemporaryDirectory() + "martlet-programs-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        do {
            let runner = try SandboxedCodeRunner(directory: directory)
            if Self.hasPython { _ = try await runner.run("pass\n", secondsLimit: 3) }
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory).isEmpty)
    }

    @Test(
        "The answer is the line with the secret, wherever else its words stand",
        arguments: [
            ("noise\n\nk offline passed\n", "passed", true),
            ("k online failed: x y\nk\n", "failed: x y", false),
        ])
    func answer(output: String, word: String, isOffline: Bool) throws {
        let answer = try #require(ProgramHarness.answer(in: output, secret: "k"))
        #expect(answer.word == word && answer.isOffline == isOffline)
        #expect(ProgramHarness.answer(in: output, secret: "other") == nil)
    }
}

extension String {
    fileprivate var trimmedSlash: String { hasSuffix("/") && count > 1 ? String(dropLast()) : self }
}
