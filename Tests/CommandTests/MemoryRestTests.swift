// The moment at which a server gives memory back.

import Testing

@testable import martlet

@Suite("A server at rest")
struct MemoryRestTests {
    @Test("Memory is given back once after each time of work")
    func once() {
        var rest = MemoryRest()
        // The start, rest twice, work twice, rest twice.
        let answers = [1.0, 1.1, 1.2, 2.0, 7.0, 7.1, 7.2].map { rest.begins(processorSeconds: $0) }
        #expect(answers == [false, true, false, false, false, true, false])
    }
}
