// Compares Martlet with numbers of the reference stack: `GoldenRunner DIR`, for any folder in the layout of
// the golden fixtures. Exits with 1 if a case failed, and with 2 if there was nothing to compare.

import Foundation

@main
struct GoldenCommand {
    /// Where the fixtures lie beside a checkout, if neither argument nor environment says otherwise.
    private static let usualDirectory = "../shared/golden"

    static func main() async {
        let environment = ProcessInfo.processInfo.environment["MARTLET_GOLDEN"].flatMap {
            $0.isEmpty ? nil : $0
        }
        let arguments = CommandLine.arguments.dropFirst()
        if arguments.count > 1 || arguments.first?.hasPrefix("-") == true {
            show("usage: GoldenRunner [DIR]   (default: MARTLET_GOLDEN, or \(usualDirectory))")
            exit(64)
        }
        let directory = arguments.first ?? environment ?? usualDirectory
        let root = GoldenFolder(path: directory, name: "")
        guard root.isThere else {
            show("there is no folder \(directory); name one that has golden fixtures")
            exit(2)
        }
        var search = GoldenSearch()
        search.visit(root)
        guard !search.found.isEmpty else {
            show("\(directory) has no golden fixtures of a known kind; is it the right folder?")
            exit(2)
        }
        exit(await run(search) ? 0 : 1)
    }

    /// - Returns: whether all passed.
    private static func run(_ search: GoldenSearch) async -> Bool {
        var (passed, failed) = (0, 0)
        var skipped = search.unknown.map { "\($0) (no group checks it yet)" }
        for (group, folder) in search.found {
            var report = GoldenReport(
                folder.name.isEmpty ? "[\(group.name)]" : "\(folder.name) [\(group.name)]")
            do {
                try await group.run(folder, &report)
            } catch {
                report.fail("reading", "stopped by an error", "\(error)")
            }
            if report.passed + report.failed == 0 && report.skipped.isEmpty {
                report.fail("reading", "cases", "the folder has none")
            }
            for failure in report.failures { show("FAIL \(failure)") }
            show(report.summary)
            passed += report.passed
            failed += report.failed
            skipped += report.skipped.map { "\(folder.name) \($0)" }
        }
        for name in skipped { show("skipped: \(name)") }
        show("\(passed) passed, \(failed) failed")
        return failed == 0
    }

    /// Written at once, so that nothing is lost if what is checked brings the process down.
    private static func show(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }
}
