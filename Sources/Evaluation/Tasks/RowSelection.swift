// Which rows of a data set a run takes: the split, the subsets, and the examples.

import Text

/// The rows of one subset, in the files' order.
struct RowGroup: Sendable {
    var subset: String
    var rows: [SourceRow]
}

/// The rows that are asked, and those from which examples are taken.
struct RowSelection: Sendable {
    var groups: [RowGroup]
    var files: [DataFile]
    /// Empty if there are no examples.
    var exampleGroups: [RowGroup] = []
    var exampleFiles: [DataFile] = []
    /// Examples are drawn by chance from a training split, and are the first ones of a split made for them.
    var drawsExamples = false
    /// Before each question.
    var shots = 0

    init(_ task: EvaluationTask, path: String, _ request: TaskRequest) throws {
        let directory = try DataDirectory(path)
        files = try Self.evaluatedFiles(directory, task.layout, request)
        groups = try Self.groups(files, task.columns)
        try selectSubsets(directory, request.subsets)
        try selectExamples(task, directory, request)
    }

    private static func evaluatedFiles(
        _ directory: DataDirectory, _ layout: TaskLayout, _ request: TaskRequest
    ) throws(EvaluationError) -> [DataFile] {
        if directory.isFile { return directory.files }
        let files = usualSubsets(directory.files, layout, request.subsets)
        if let split = request.split {
            let found = files.filter { $0.split == split }
            if !found.isEmpty { return found }
            throw missingSplit("\(split.rawValue)", directory, files)
        }
        for split in layout.evaluated {
            let found = files.filter { $0.split == split }
            if !found.isEmpty { return found }
        }
        let unnamed = files.filter { $0.split == nil }
        if !unnamed.isEmpty { return unnamed }
        throw missingSplit(layout.evaluated.map(\.rawValue).joined(separator: " or "), directory, files)
    }

    private static func missingSplit(
        _ wanted: String, _ directory: DataDirectory, _ files: [DataFile]
    ) -> EvaluationError {
        let found = Set(files.compactMap { $0.split?.rawValue }).sorted().joined(separator: ", ")
        return EvaluationError(
            directory.path,
            problem: "no file of the split \(wanted) is below; there are files of: "
                + (found.isEmpty ? "no split" : found),
            remedy: "name a split with --split, or a single file with --dataset")
    }

    /// Leaves out what holds the same rows twice or is not meant: MMLU's `all` beside the subjects, its
    /// auxiliary training rows, and the configurations that a task does not take by itself.
    private static func usualSubsets(_ files: [DataFile], _ layout: TaskLayout, _ wanted: [String])
        -> [DataFile]
    {
        let named = wanted.isEmpty ? layout.subsets : wanted
        let lowered = Set(named.map { $0.lowercased() })
        let chosen = files.filter { lowered.contains($0.subset.lowercased()) }
        // Rows may name their subset themselves, so that files of other names stay unless all names are
        // files'.
        if !chosen.isEmpty, Set(chosen.map { $0.subset.lowercased() }) == lowered || wanted.isEmpty {
            return chosen
        }
        let plain = files.filter { $0.subset != "auxiliary_train" }
        let others = plain.filter { $0.subset != "all" }
        return others.contains { !$0.subset.isEmpty } ? others : plain
    }

    /// The rows of the files by subset: what the row says in `subject`, else the file's, else `default`.
    private static func groups(_ files: [DataFile], _ columns: ColumnNames) throws -> [RowGroup] {
        var groups: [RowGroup] = []
        var places: [String: Int] = [:]
        for file in files {
            for row in try SourceRows.read(file, columns) {
                let own = try row.value(columns.subject, ["subject"])?.value.plainText?.trimmingBlanks ?? ""
                let subset = own.isEmpty ? (file.subset.isEmpty ? "default" : file.subset) : own
                if let place = places[subset] {
                    groups[place].rows.append(row)
                } else {
                    places[subset] = groups.count
                    groups.append(RowGroup(subset: subset, rows: [row]))
                }
            }
        }
        return groups
    }

    private mutating func selectSubsets(_ directory: DataDirectory, _ wanted: [String])
        throws(EvaluationError)
    {
        guard !wanted.isEmpty else { return }
        let present = Set(groups.map { $0.subset.lowercased() })
        if let missing = wanted.first(where: { !present.contains($0.lowercased()) }) {
            let names = groups.map(\.subset)
            let nearest =
                EditDistance.nearest(to: missing, in: names).map { "did you mean \"\($0)\"? " } ?? ""
            let more = names.count > 12 ? " and \(names.count - 12) more" : ""
            throw EvaluationError(
                directory.path, field: "subset_list", problem: "there is no subset \"\(missing)\"",
                remedy: "\(nearest)There are \(names.prefix(12).joined(separator: ", "))\(more)")
        }
        let lowered = Set(wanted.map { $0.lowercased() })
        groups.removeAll { !lowered.contains($0.subset.lowercased()) }
    }

    private mutating func selectExamples(
        _ task: EvaluationTask, _ directory: DataDirectory, _ request: TaskRequest
    ) throws {
        if request.shots == 0 { return }
        if let path = request.examplesPath ?? task.layout.examplesPath {
            let given = try DataDirectory(path)
            exampleFiles = given.files
            drawsExamples = !given.isFile || given.files.first?.split == .train
        } else {
            let known = directory.isFile ? try Self.siblings(of: directory) : directory.files
            let usual = Self.usualSubsets(known, task.layout, request.subsets)
            // One file alone is asked as it is; files beside it count only where examples are asked for.
            if directory.isFile && request.shots == nil { return }
            for split in task.layout.exampleSplits where exampleFiles.isEmpty {
                let evaluated = Set(files.map(\.path))
                let subsets = Set(groups.map(\.subset))
                var found = usual.filter { $0.split == split && !evaluated.contains($0.path) }
                let same = found.filter { subsets.contains($0.subset) }
                if !same.isEmpty { found = same }
                exampleFiles = found
                drawsExamples = split != .dev
            }
        }
        shots = request.shots ?? task.layout.shots
        guard shots > 0 else {
            exampleFiles = []
            return
        }
        if exampleFiles.isEmpty {
            if request.shots == nil {
                shots = 0
                return
            }
            throw EvaluationError(
                directory.path, field: "shots",
                problem:
                    "there is no split for \(shots) examples (\(task.layout.exampleSplits.map(\.rawValue)))",
                remedy: "give a file of examples, or evaluate without examples")
        }
        exampleGroups = try Self.groups(exampleFiles, task.columns)
    }

    /// The files of the data set to which a file belongs, as its folder shows it.
    private static func siblings(of file: DataDirectory) throws(EvaluationError) -> [DataFile] {
        var parts = file.path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        if let last = parts.last, DataSplit(word: last) != nil { parts.removeLast() }
        let parent = parts.isEmpty ? "." : parts.joined(separator: "/")
        return try DataDirectory(parent.isEmpty ? "/" : parent).files
    }

    /// The rows from which a subset's examples come; its own, or the only ones there are.
    func exampleRows(of subset: String) -> [SourceRow] {
        if let own = exampleGroups.first(where: { $0.subset == subset }) { return own.rows }
        return exampleGroups.count == 1 ? exampleGroups[0].rows : []
    }
}
