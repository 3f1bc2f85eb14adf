// The rules of style that a machine can check, so that a review need not.

import Testing

@Suite("Tidy sources")
struct TidyTests {
    static let fileLimit = 600
    static let functionLimit = 60

    /// Files that may be longer, each with the reason.
    private static let longFiles: [String: String] = [:]
    /// Functions that may be longer, as `file name: function`, each with the reason.
    private static let longFunctions: [String: String] = [:]
    /// Files that may switch off a check of the compiler's, each with the reason.
    private static let uncheckedFiles: [String: String] = [
        "Sources/Controller/Alarm.swift":
            "a dispatch source may be used from any thread and lacks only the word",
        "Sources/martlet/SignalWatch.swift":
            "a dispatch source may be used from any thread and lacks only the word",
        "Sources/Artifacts/Download/CurlConnection.swift":
            "the pointer never changes; the pool gives it to one thread at a time",
        "Sources/Artifacts/Download/Monitor.swift":
            "a system lock and condition; the value is touched under the lock only",
        "Sources/Tensors/MemoryRegion.swift": "only holds an address that never changes",
        "Sources/Tensors/MappedFile.swift": "mapped read-only before it is shared, never written",
        "Sources/Tensors/PackedWeights.swift": "written by its one owner while it is filled, then only read",
        "Sources/Tensors/ThreadPool.swift": "the pointer never changes; one caller at a time by contract",
        "Sources/Tensors/Compute/Matrix.swift":
            "memory's address never changes; the one thread that trains writes the bytes",
        "Sources/Tensors/Compute/CPUBackend.swift": "scratch memory of the one caller that a backend has",
        "Sources/Training/Data/Monitor.swift":
            "a system lock and condition; the value is touched under the lock only",
        "Sources/Models/KVCache.swift": "used by the one thread that runs steps",
        "Sources/Models/Workspace.swift": "used by the one thread that runs steps",
        "Sources/WebServer/Service/StreamRegistry.swift":
            "a stream's sink goes to one child task, which the caller waits for",
        "Sources/Inference/Engine/EngineThread.swift": "a system semaphore is made for all threads",
    ]

    private static func complain(_ wrong: [String]) -> Comment { "\(wrong.joined(separator: "\n"))" }

    @Test("No file is longer than 600 lines")
    func filesAreShort() {
        let wrong = Repository.written.filter { file in
            file.lines.count > Self.fileLimit && Self.longFiles[file.path] == nil
        }.map { "\($0.path) has \($0.lines.count) lines" }
        #expect(wrong.isEmpty, Self.complain(wrong))
    }

    @Test("No function is longer than 60 lines")
    func functionsAreShort() {
        var wrong: [String] = []
        for file in Repository.sources + Repository.tests {
            for function in file.functions where function.lineCount > Self.functionLimit {
                if Self.longFunctions["\(file.baseName): \(function.name)"] != nil { continue }
                wrong.append("\(file.place(function.line)): \(function.name) has \(function.lineCount) lines")
            }
        }
        #expect(wrong.isEmpty, Self.complain(wrong))
    }

    @Test("Every file opens by saying what it is for")
    func filesIntroduceThemselves() {
        let wrong = Repository.written.filter { !Self.opensWithComment($0) }.map(\.path)
        #expect(wrong.isEmpty, Self.complain(wrong))
    }

    private static func opensWithComment(_ file: SourceFile) -> Bool {
        let lines = file.lines.filter { !$0.hasPrefix("#!") }
        guard let first = lines.first(where: { !$0.isEmpty }) else { return false }
        let marks = ["//", "--", "# ", "\"\"\"", "/*"]
        guard let mark = marks.first(where: first.hasPrefix) else { return false }
        // A lone mark or a tool's line is no sentence.
        return first.dropFirst(mark.count).split(separator: " ").count >= 3
    }

    @Test("No name has a word that says nothing")
    func namesSaySomething() {
        let banned: Set = [
            "Manager", "Helper", "Helpers", "Util", "Utils", "Utility", "Utilities", "Common", "Base",
        ]
        var wrong: [String] = []
        for file in Repository.sources + Repository.tests {
            if !banned.isDisjoint(with: Self.words(of: file.baseName)) { wrong.append(file.path) }
            for (name, line) in file.declaredTypes where !banned.isDisjoint(with: Self.words(of: name)) {
                wrong.append("\(file.place(line)): \(name)")
            }
        }
        #expect(wrong.isEmpty, Self.complain(wrong))
    }

    /// The words of `HTTPServerBase` are HTTPServer and Base, near enough.
    private static func words(of name: String) -> [String] {
        var words: [String] = []
        for character in name {
            if character.isUppercase && words.last?.last?.isUppercase != true || words.isEmpty {
                words.append("")
            }
            if character == "+" || character == "_" {
                words.append("")
            } else {
                words[words.count - 1].append(character)
            }
        }
        return words
    }

    @Test("Nothing is forced: no try!, no as!, no ! outside of tests")
    func nothingIsForced() {
        var wrong: [String] = []
        for file in Repository.sources {
            for index in file.tokens.indices.dropFirst() where file.isForced(at: index) {
                wrong.append(file.place(file.tokens[index].line))
            }
        }
        #expect(wrong.isEmpty, Self.complain(wrong))
    }

    @Test("What the compiler is told not to check is in the list, with its reason")
    func uncheckedIsArgued() {
        var wrong: [String] = []
        for file in Repository.sources where Self.uncheckedFiles[file.path] == nil {
            let found =
                file.lines(of: ["@", "unchecked"]) + file.lines(of: ["nonisolated", "(", "unsafe"])
                + file.lines(of: ["Task", ".", "detached"]) + file.lines(of: ["@", "preconcurrency"])
            wrong += found.map(file.place)
        }
        #expect(wrong.isEmpty, Self.complain(wrong))
    }

    @Test("Public declarations are documented")
    func publicIsDocumented() {
        var wrong: [String] = []
        for file in Repository.sources {
            for token in file.tokens where token.text == "public" && !file.isDocumented(line: token.line) {
                wrong.append(file.place(token.line))
            }
        }
        #expect(wrong.isEmpty, Self.complain(wrong))
    }

    @Test("What is to be done has the number of an issue")
    func tasksHaveNumbers() {
        let mark = "TO" + "DO"
        var wrong: [String] = []
        for file in Repository.written {
            for (index, line) in file.lines.enumerated() where line.contains(mark) {
                guard let hash = line.firstIndex(of: "#"), line[hash...].dropFirst().first?.isNumber == true
                else {
                    wrong.append(file.place(index + 1))
                    continue
                }
            }
        }
        #expect(wrong.isEmpty, Self.complain(wrong))
    }

    @Test("The reader of sources sees code, not prose")
    func readerLeavesOutProse() {
        let text = #"""
            let a = "no! \(b + "inner)") still no!" // never!
            /* try! /* nested */ as! */
            let c = ##"raw "# \(x) text!"##
            d!.e(f != g)
            """#
        let file = SourceFile(path: "Sources/Text/Example.swift", text: text)
        let forced = file.tokens.indices.dropFirst().filter { file.isForced(at: $0) }
        #expect(forced.map { file.tokens[$0].line } == [4])
        #expect(file.tokens.filter { $0.text == "\"\"" }.count == 2)
    }

    @Test("Functions are measured from their name to their last brace")
    func functionsAreMeasured() {
        let text = """
            protocol P {
                func required(a: Int) -> Int
                init()
            }
            struct S: P {
                func required(a: Int = { 3 }()) -> Int {
                    a.init { b in
                        b
                    }
                }
                init() {}
            }
            """
        let functions = SourceFile(path: "Sources/Text/Example.swift", text: text).functions
        #expect(functions.map(\.name) == ["required", "init"])
        #expect(functions.map(\.lineCount) == [5, 1])
    }
}
