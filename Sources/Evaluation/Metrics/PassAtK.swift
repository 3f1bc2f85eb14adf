// pass@k: the chance that at least one of k programs is right.

package enum PassAtK {
    /// The unbiased estimator 1 - C(n - c, k) / C(n, k), as a product that does not overflow (Chen et al.,
    /// arXiv:2107.03374, section 2.1).
    /// - Parameters:
    ///   - n: programs that were run.
    ///   - c: those that passed.
    /// - Precondition: 0 <= c <= n, 1 <= k <= n.
    package static func estimate(n: Int, c: Int, k: Int) -> Double {
        precondition(c >= 0 && c <= n && k >= 1 && k <= n, "pass@\(k) of \(c) among \(n)")
        if n - c < k { return 1 }
        var missing = 1.0
        for i in (n - c + 1)..<(n + 1) { missing *= 1 - Double(k) / Double(i) }
        return 1 - missing
    }
}

extension CodeProblem {
    /// The whole program: the stub, what the model wrote, and the tests. Of an answer with a block of code
    /// that defines the function anew only that block counts; the stub before it is complete by itself, since
    /// a function may consist of its documentation.
    package func program(completion: String) -> String {
        let call = entryPoint.isEmpty ? "" : "\ncheck(\(entryPoint))\n"
        return "\(stub)\(code(in: completion))\n\(tests)\(call)"
    }

    private func code(in completion: String) -> String {
        let lines = completion.split(separator: "\n", omittingEmptySubsequences: false)
        guard let open = lines.firstIndex(where: { $0.trimmingBlanks.hasPrefix("```") }) else {
            return completion
        }
        let inner = lines[(open + 1)...]
        let close = inner.firstIndex { $0.trimmingBlanks.hasPrefix("```") } ?? inner.endIndex
        let block = inner[..<close].joined(separator: "\n")
        let before = lines[..<open].joined(separator: "\n")
        if entryPoint.isEmpty || block.hasPart("def \(entryPoint)(") { return "\n" + block }
        // A model that writes on from the stub may close a block that nobody opened.
        return before.trimmingBlanks.isEmpty ? block : before
    }
}
