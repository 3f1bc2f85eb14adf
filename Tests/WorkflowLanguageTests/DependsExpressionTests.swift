// The `depends` of a DAG's task.

import Testing
import Text

@testable import WorkflowLanguage

@Suite("Depends")
struct DependsExpressionTests {
    /// A succeeded, B failed, C was skipped; a bare name holds for A and C.
    private static func holds(_ task: String, _ result: TaskResult?) -> Bool {
        switch (task, result) {
        case ("A", .succeeded), ("B", .failed), ("C", .skipped), ("A", nil), ("C", nil), ("my-task_1", nil):
            true
        default: false
        }
    }

    @Test(
        "A condition holds or does not",
        arguments: [
            ("A", true), ("B", false), ("A.Succeeded", true), ("A.Failed", false), ("A && C", true),
            ("A && B", false),
            ("A || B", true), ("B || B.Failed", true), ("!B", true), ("!!A", true), ("! A", false),
            ("(A)", true),
            ("A && (B || C.Skipped)", true), ("B && A || C", true), ("C || B && B", true),
            ("(C || B) && B", false),
            ("!(A && B)", true), ("!A || C", true), ("A&&!B.Succeeded&&(C)", true), ("my-task_1", true),
            (" A\n&&\tC ", true),
            ("B.Errored || B.Omitted || B.Daemoned || B.AnySucceeded || B.AllFailed", false),
        ])
    func conditions(text: String, expected: Bool) throws {
        #expect(try DependsExpression(text).evaluate(Self.holds) == expected)
    }

    @Test("The tasks and results are told in order, each once")
    func names() throws {
        let depends = try DependsExpression(
            "(b.Failed || a) && c-1.AllFailed && !a && b.Succeeded && b.Failed")
        #expect(depends.taskNames == ["b", "a", "c-1"])
        #expect(depends.results.map(\.task) == ["b", "a", "c-1", "b"])
        #expect(depends.results.map(\.result) == [.failed, nil, .allFailed, .succeeded])
    }

    @Test(
        "Mistakes are explained",
        arguments: [
            ("A.Success", "task result 'Success' for task 'A' is invalid; did you mean 'Succeeded'?"),
            ("A.succeeded", "task result 'succeeded' for task 'A' is invalid; did you mean 'Succeeded'?"),
            ("A.Error", "task result 'Error' for task 'A' is invalid; did you mean 'Errored'?"),
            ("A.Faild", "did you mean 'Failed'?"), ("A.Xyz", "the results are Succeeded, Failed, Errored"),
            ("A.", "result ''"),
            (".Failed", "not of the form"), ("A.b.Failed", "not of the form"), ("", "empty"), ("  ", "empty"),
            ("A &&", "ends where"),
            ("A B", "unexpected 'B'"), ("(A", "ends where"), ("A)", "unexpected ')'"),
            ("A & B", "write '&&'"), ("A | B", "write '||'"),
            ("A == B", "'=' has no meaning"), ("|| A", "unexpected '||'"), ("()", "unexpected ')'"),
            ("größe", "no meaning"),
            ("{{x}}", "no meaning"), (String(repeating: "(", count: 10_000), "levels deep"),
            (String(repeating: "!", count: 10_000) + "A", "levels deep"),
        ])
    func mistakes(text: String, message: String) {
        let error = #expect(throws: ExpressionError.self) { try DependsExpression(text) }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    @Test("Long conditions are no problem")
    func longConditions() throws {
        let text = (0..<20_000).map { "t\($0).Succeeded" }.joined(separator: " && ")
        let depends = try DependsExpression(text)
        #expect(depends.taskNames.count == 20_000)
        #expect(try depends.evaluate { _, result in result == .succeeded })
    }
}
