// The short way to read the words of `run` against the general parser.

import Testing

@testable import martlet

@Suite("Words of run")
struct RunWordsTests {
    private static let usual: [[String]] = [
        ["a.yaml"], ["a.yaml", "-o", "json"], ["--output", "quiet", "a.yaml", "--data-dir", "d"],
        ["a.yaml", "-p", "x=1", "--parameter", "y=a b", "-p", "z="], ["--resume", "name"],
        ["a.yaml", "--name", "n", "-n", "other", "--no-wait"],
        ["--load", "t.yaml", "a.yaml", "--load", "u.yaml"],
    ]

    @Test("Usual words mean what the general parser makes of them", arguments: usual)
    func agreement(words: [String]) throws {
        let quick = try #require(RunRequest(words: ["run"] + words))
        #expect(try RunCommand.request(parsing: words) == quick)
    }

    @Test(
        "Everything else is left to the general parser",
        arguments: [
            [], ["run"], ["list", "a"], ["run", "a", "b"], ["run", "--help"], ["run", "-"],
            ["run", "a", "-o"],
            ["run", "a", "-o", "xml"], ["run", "a", "--data-dir", "x", "--data-dir", "y"],
            ["run", "a", "-px=1"],
            ["run", "a", "--name=n"], ["run", "a", "--data_dir", "x"], ["run", "a", "--resume", "b"],
            ["run", "--", "a"], ["run", "a", "-p", "-x=1"], ["run", ""], ["run", "a", "--config", "f"],
        ])
    func unusual(words: [String]) {
        #expect(RunRequest(words: words) == nil)
    }
}
