// Where values of Secrets may come from, and that they never come from the command line itself.

import Testing

@testable import martlet

@Suite("Values of Secrets")
struct SecretCommandTests {
    @Test(
        "What could be read by others, or is no key, is refused without repeating the value",
        arguments: [
            ("token=hunter2", "could be read by others"), ("token", "has no ="), ("a/b=-", "is no key"),
            ("=@f", "is no key"), ("k=@/nonexistent-file", "cannot read"),
            ("k=env:MARTLET_TEST_UNSET", "has no variable MARTLET_TEST_UNSET"),
        ])
    func refusals(text: String, words: String) {
        #expect {
            try SecretValues.read([text])
        } throws: { error in
            let message = (error as? CommandError)?.message ?? ""
            return message.contains(words) && !message.contains("hunter2")
        }
    }

    @Test("Files and the environment give their bytes as they are")
    func sources() throws {
        let values = try SecretValues.read(["a=@/proc/self/cmdline", "PATH=env:PATH"])
        #expect(values.map(\.key) == ["a", "PATH"])
        #expect(values.allSatisfy { !$0.bytes.isEmpty })
    }

    @Test("Standard input is read once")
    func input() {
        #expect(throws: CommandError.self) { try SecretValues.read(["a=@/dev/null", "b=-", "c=-"]) }
    }
}
