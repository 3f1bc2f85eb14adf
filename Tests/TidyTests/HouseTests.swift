// The arrows of the house: which target may import what. A change here is a change of the architecture, and belongs
// into docs/ARCHITECTURE.md, too.

import Testing

@Suite("The arrows of the house")
struct HouseTests {
    private static let engine: Set = [
        "Text", "WorkflowLanguage", "Scheduling", "Persistence", "Artifacts", "Executors", "Controller",
        "CLinux",
    ]
    /// AsyncHTTPClient speaks in the types of the packages that it stands on.
    private static let kubernetes: Set = ["AsyncHTTPClient", "NIOCore", "NIOHTTP1", "NIOSSL"]

    /// What each target may import, beside modules of the system.
    private static let arrows: [String: Set<String>] = [
        "Text": [],
        "WorkflowLanguage": ["Text", "Yams", "Crypto"],
        "Scheduling": ["WorkflowLanguage", "Text"],
        "Persistence": ["Scheduling", "WorkflowLanguage", "Text", "GRDB", "GRDBSQLite", "Crypto"],
        "Artifacts": ["WorkflowLanguage", "Text", "CLinux", "CCurl", "Crypto"],
        "Executors": ["Scheduling", "Artifacts", "WorkflowLanguage", "Text", "CLinux"],
        "Kubernetes": kubernetes.union([
            "Executors", "Scheduling", "Artifacts", "WorkflowLanguage", "Text", "CLinux", "Crypto",
        ]),
        "Controller": engine.subtracting(["Controller"]).union(["Crypto"]),
        "Supervisor": ["CLinux"],
        "Tensors": ["CKernels", "Text"],
        "Models": ["Tensors", "CKernels", "Text"],
        "Inference": ["Models", "Tensors", "CKernels", "Text"],
        "Tables": ["CCompression", "Text"],
        "Evaluation": ["Inference", "Models", "Tensors", "CKernels", "Tables", "Text", "Crypto"],
        "Training": ["Inference", "Models", "Tensors", "Text", "Crypto"],
        "WebServer": engine.union([
            "CWebPage", "Inference", "Models", "Crypto", "HummingbirdCore", "HTTPTypes",
            "Logging", "NIOCore", "NIOHTTP1", "NIOPosix", "NIOHTTPTypes", "NIOSSL",
        ]),
        "martlet": engine.union([
            "Kubernetes", "WebServer", "Training", "Evaluation", "Tables", "Inference", "Models", "Tensors",
            "ArgumentParser",
        ]),
    ]
    /// Targets in C have no Swift files.
    private static let targetsInC: Set = ["CLinux", "CCurl", "CCompression", "CKernels", "CWebPage"]

    private static let system: Set = [
        "Glibc", "Synchronization", "Dispatch", "Foundation", "FoundationEssentials",
    ]
    /// Here not even the system's clock, files and queues are in sight.
    private static let pure: Set = ["Text", "WorkflowLanguage", "Scheduling"]
    /// The supervisor is a static program of a few megabytes, for which Foundation is too much.
    private static let withoutFoundation = pure.union(["Supervisor"])

    private static func mayImport(_ module: String, in target: String) -> Bool {
        if arrows[target]?.contains(module) == true { return true }
        if module == "Glibc" { return true }
        if pure.contains(target) { return false }
        if module.hasPrefix("Foundation") && withoutFoundation.contains(target) { return false }
        return system.contains(module)
    }

    @Test("A target imports only what stands below it")
    func arrowsPointDown() {
        var wrong: [String] = []
        for file in Repository.sources {
            for (module, line) in file.imports where !Self.mayImport(module, in: file.target) {
                wrong.append("\(file.place(line)): \(file.target) must not import \(module)")
            }
        }
        #expect(wrong.isEmpty, "\(wrong.joined(separator: "\n"))")
        #expect(Repository.sources.count > 50, "the sources were not found at \(Repository.root)")
    }

    @Test("Every folder of Sources is a target with arrows")
    func targetsAreKnown() {
        let found = Set(Repository.sources.map(\.target))
        let unknown = found.subtracting(Self.arrows.keys).subtracting(Self.targetsInC)
        #expect(unknown.isEmpty, "add to the arrows of HouseTests: \(unknown.sorted())")
    }

    @Test(
        "Each outside package has one door",
        arguments: [
            ("GRDB", "Persistence"), ("Yams", "WorkflowLanguage"), ("ArgumentParser", "martlet"),
            ("HummingbirdCore", "WebServer"), ("NIOPosix", "WebServer"), ("AsyncHTTPClient", "Kubernetes"),
        ])
    func oneDoor(module: String, target: String) {
        let importers = Set(
            Repository.sources.filter { $0.imports.contains { $0.module == module } }.map(\.target))
        #expect(importers.isSubset(of: [target]), "\(module) is imported in \(importers.sorted())")
    }

    @Test("No type has the name of a module")
    func modulesAreNotTypes() {
        let modules = Set(Self.arrows.keys).union(Self.targetsInC)
        let wrong = Repository.sources.flatMap { file in
            file.declaredTypes.filter { modules.contains($0.name) }.map {
                "\(file.place($0.line)): \($0.name)"
            }
        }
        #expect(wrong.isEmpty, "\(wrong.joined(separator: "\n"))")
    }

    @Test("Pure targets know no clock, no chance and no waiting")
    func pureTargetsArePure() {
        let forbidden: Set = [
            "Date", "ContinuousClock", "SuspendingClock", "clock_gettime", "gettimeofday", "localtime",
            "getenv",
            "SystemRandomNumberGenerator", "arc4random", "getrandom", "async", "await", "actor",
            "DispatchQueue",
        ]
        var wrong: [String] = []
        for file in Repository.sources where Self.pure.contains(file.target) {
            for (index, token) in file.tokens.enumerated() where forbidden.contains(token.text) {
                // A member or a label of that name, such as `.date`, is something of our own.
                let previous = index > 0 ? file.tokens[index - 1].text : ""
                let next = index + 1 < file.tokens.count ? file.tokens[index + 1].text : ""
                if previous == "." || next == ":" || previous == "case" || previous == "func" { continue }
                wrong.append("\(file.place(token.line)): \(token.text)")
            }
        }
        #expect(wrong.isEmpty, "\(wrong.joined(separator: "\n"))")
    }

    @Test("Migrations are numbered without gaps, and all are in the list")
    func migrationsAreNumbered() {
        let files = Repository.files(in: "migrations", endings: ["sql"])
        let list = Repository.sources.first { $0.path.hasSuffix("Persistence/Migration.swift") }
        let listed = list?.tokens.map(\.text).filter { $0.hasPrefix("v0") && $0.hasSuffix("_sql") } ?? []
        #expect(!files.isEmpty)
        #expect(listed == files.map { $0.baseName + "_sql" }, "Migration.all and migrations/ differ")
        for (index, file) in files.enumerated() {
            let digits =
                String(repeating: "0", count: max(0, 4 - String(index + 1).count)) + String(index + 1)
            #expect(file.baseName.hasPrefix("v\(digits)_"), "\(file.path) should begin with v\(digits)_")
        }
    }

    @Test("Every example says what it does, and how it ends")
    func examplesStateTheirOutcome() {
        let examples = Repository.files(in: "workflows", endings: ["yaml", "yml"])
        #expect(!examples.isEmpty)
        // `Rendered`: too large to run; lint and what it becomes are checked.
        let phases: Set = ["Succeeded", "Failed", "Error", "Running", "Rendered"]
        for example in examples {
            let outcome = example.lines.first { $0.hasPrefix("# expect: ") }?.dropFirst("# expect: ".count)
            #expect(
                outcome.map { phases.contains(String($0)) } == true,
                "\(example.path) has no `# expect: PHASE`")
        }
    }
}
