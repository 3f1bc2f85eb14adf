// Data sets as a whole: which rows are chosen, what is cut, what is kept on disk and what is the same again.
import Dispatch
import Foundation
import Models
import Synchronization
import TestSupport
import Testing
import Text

@testable import Training

@Suite("Data sets")
struct TrainingDatasetTests {
    private static func texts(_ count: Int, from first: Int = 0) -> String {
        (first..<first + count).map { "{\"text\":\"\($0)\"}\n" }.joined()
    }

    /// The texts of a data set's rows, without their ends.
    private static func contents(_ dataset: TrainingDataset) throws -> [String] {
        let tokenizer = try DataFixture.tokenizer()
        return try (0..<dataset.count).map { number in
            guard case .sequence(let row) = try dataset.row(number) else { return "?" }
            return tokenizer.decode(row.ids, skipSpecialTokens: true)
        }
    }

    private static func open(
        _ request: DatasetRequest, progress: @escaping @Sendable (DatasetProgress) -> Void = { _ in }
    ) throws -> (train: TrainingDataset, validation: TrainingDataset?) {
        try TrainingDataset.open(
            request, tokenizer: DataFixture.tokenizer(), chatTemplate: nil, progress: progress)
    }

    @Test("Rows come in the order of the files, those of a folder by their paths")
    func order() throws {
        let files = [
            "b.txt": "3\n4", "f/z.jsonl": Self.texts(1, from: 2), "f/a/x.csv": "text\n0",
            "f/a/y.json": #"[{"text":"1"}]"#,
            "f/.hidden.txt": "no", "f/readme.md": "no",
        ]
        try DataFixture.withFiles(files) { directory in
            let data = try Self.open(DataFixture.request(in: directory, ["f", "b.txt"])).train
            #expect(try Self.contents(data) == ["0", "1", "2", "3", "4"])
            #expect(data.source(of: 4).file == "\(directory)/b.txt" && data.source(of: 4).line == 2)
            #expect(data.recordCount == 5)
        }
    }

    @Test("path#n takes n rows by chance, or repeats all of them, the same again for the same seed")
    func samples() throws {
        try DataFixture.withFiles(["d.jsonl": Self.texts(50), "d#3.txt": "x"]) { directory in
            func rows(_ entry: String, seed: UInt64 = 42, shuffles: Bool = true) throws -> [String] {
                try Self.contents(
                    Self.open(
                        DataFixture.request(in: directory, [entry]) {
                            $0.dataSeed = seed
                            $0.datasetShuffle = shuffles
                        }
                    ).train)
            }
            let some = try rows("d.jsonl#20")
            #expect(some.count == 20 && Set(some).count == 20)
            #expect(try rows("d.jsonl#20") == some)
            #expect(try rows("d.jsonl#20", seed: 1) != some)
            #expect(try rows("d.jsonl#3", shuffles: false) == ["0", "1", "2"])
            let many = try rows("d.jsonl#120")
            let counts = Dictionary(many.map { ($0, 1) }, uniquingKeysWith: +)
            #expect(
                many.count == 120 && counts.values.filter { $0 == 2 }.count == 30
                    && counts.values.filter { $0 == 3 }.count == 20)
            #expect(Array(many.prefix(50)) == (0..<50).map { "\($0)" })
            #expect(try rows("d#3.txt") == ["x"])
        }
    }

    @Test("A split shares no row, is the same for the same seed, and gives way to val_dataset")
    func split() throws {
        try DataFixture.withFiles(["d.jsonl": Self.texts(50), "v.txt": "v1\nv2"]) { directory in
            func parts(_ change: (inout TrainingParameters) -> Void) throws -> ([String], [String]?) {
                let (train, validation) = try Self.open(
                    DataFixture.request(in: directory, ["d.jsonl"], change))
                return (try Self.contents(train), try validation.map(Self.contents))
            }
            let (train, validation) = try parts { $0.splitDatasetRatio = 0.1 }
            #expect(train.count == 45 && validation?.count == 5)
            #expect(Set(train).union(validation ?? []).count == 50)
            let (_, again) = try parts { $0.splitDatasetRatio = 0.1 }
            #expect(again == validation)
            let (_, other) = try parts {
                $0.splitDatasetRatio = 0.1
                $0.dataSeed = 7
            }
            #expect(other != validation)
            #expect(try parts { $0.splitDatasetRatio = 0.001 }.1?.count == 1)
            #expect(try parts { _ in }.1 == nil)
            let (all, own) = try parts {
                $0.splitDatasetRatio = 0.1
                $0.valDataset = ["\(directory)/v.txt"]
            }
            #expect(all.count == 50 && own == ["v1", "v2"])
        }
    }

    @Test("Samples of more rows than there are never repeat a row that validates")
    func splitOfSamples() {
        for seed in 0..<20 {
            var generator = SeededGenerator(seed: UInt64(seed))
            let count = Int.random(in: 2...40, using: &generator)
            let wanted = Int.random(in: 1...100, using: &generator)
            let (training, validation) = RowSelection.select(
                count: count, sampleCount: wanted, validationRatio: 0.2, shuffles: seed % 2 == 0, seed: 3,
                source: 0)
            #expect(!training.isEmpty && !validation.isEmpty)
            #expect(Set(training).isDisjoint(with: validation))
            #expect(Set(validation).count == validation.count)
            #expect(training.count == max(wanted - validation.count, 1))
        }
    }

    @Test(
        "Rows that are too long are left out, cut at an end, or cut into pieces",
        arguments: [
            ("delete", ["[ab$]"], 0, 1), ("left", ["[789$]", "[ab$]"], 1, 0),
            ("right", ["[0123]", "[ab$]"], 1, 0),
            ("split", ["[0123]", "[4567]", "[89$]", "[ab$]"], 1, 0),
        ])
    func truncation(strategy: String, expected: [String], truncated: Int, skipped: Int) throws {
        let (rows, statistics) = try DataFixture.rows(of: "0123456789\nab", name: "d.txt") {
            $0.stage = .pretrain
            $0.maxLength = 4
            $0.truncationStrategy = .init(rawValue: strategy) ?? .delete
        }
        #expect(rows == expected)
        #expect(statistics.truncated == truncated && statistics.skipped == skipped)
    }

    @Test("A piece of one token teaches nothing and is no row; nor is an answer that was cut off")
    func remains() throws {
        let pieces = try DataFixture.rows(of: "01234567", name: "d.txt") {
            ($0.stage, $0.maxLength, $0.truncationStrategy) = (.pretrain, 4, .split)
        }
        #expect(pieces.rows == ["[0123]", "[4567]"])
        let row =
            #"{"query":"a long question","response":"a"}"# + "\n"
            + #"{"query":"q","response":"a long answer"}"#
        let cut = try DataFixture.rows(of: row) { ($0.maxLength, $0.truncationStrategy) = (22, .right) }
        #expect(cut.rows == ["<user~q>~<assistant~[a ]"] && cut.statistics.skipped == 1)
    }

    @Test("Preferences lose the beginning of the prompt, or the ends of both answers")
    func truncatedPairs() throws {
        let row = #"{"chosen":"0123456789 good one","rejected":"0123456789 bad"}"#
        func rows(_ length: Int, _ strategy: TrainingParameters.TruncationStrategy) throws -> [String] {
            try DataFixture.rows(of: row + "\n" + #"{"chosen":"x y","rejected":"x z"}"#) {
                ($0.stage, $0.maxLength, $0.truncationStrategy) = (.rlhf, length, strategy)
            }.rows
        }
        let short = "x| y$| z$"
        #expect(try rows(20, .right) == ["0123456789| good one$| bad$", short])
        #expect(try rows(15, .right) == ["0123456789| good| bad$", short])
        #expect(try rows(15, .left) == ["56789| good one$| bad$", short])
        #expect(try rows(10, .left) == [short])
        #expect(try rows(10, .right) == [short])
        #expect(try rows(15, .delete) == [short])
    }

    @Test("Lengths, tokens and their mean are those of the rows")
    func statistics() throws {
        let statistics = try DataFixture.rows(of: "a\nabc\nabcde", name: "d.txt").statistics
        #expect(statistics.rows == 3 && statistics.tokens == 12)
        #expect(statistics.minLength == 2 && statistics.maxLength == 6 && statistics.meanLength == 4)
    }

    @Test("Many rows pass through the file on disk, the same for any number of threads")
    func manyRows() throws {
        var generator = SeededGenerator(seed: 5)
        let texts = (0..<5000).map {
            "\($0) " + String(repeating: "x", count: Int.random(in: 0...40, using: &generator))
        }
        try DataFixture.withFiles(["d.txt": texts.joined(separator: "\n")]) { directory in
            var fingerprints: Set<String> = []
            for threads in [1, 4] {
                let latest = Mutex(0)
                let data = try Self.open(
                    DataFixture.request(in: directory, ["d.txt"]) { $0.datasetNumProc = threads }
                ) { progress in
                    latest.withLock {
                        #expect(progress.rowsRead > $0 && progress.rowsTotal == 5000)
                        $0 = progress.rowsRead
                    }
                }.train
                #expect(data.count == 5000 && latest.withLock { $0 } == 5000)
                #expect(try Self.contents(data) == texts)
                #expect(
                    data.lengths == texts.map { $0.utf8.count + 1 }
                        && data.length(of: 17) == texts[17].utf8.count + 1)
                fingerprints.insert(data.fingerprint)
                #expect(throws: TrainingError.self) { try data.row(5000) }
                #expect(throws: TrainingError.self) { try data.row(-1) }
            }
            #expect(fingerprints.count == 1)
            // Rows of a data set that is gone leave nothing behind.
            #expect(try FileManager.default.contentsOfDirectory(atPath: "\(directory)/cache").isEmpty)
        }
    }

    @Test("The fingerprint follows the content and the settings that matter")
    func fingerprint() throws {
        func fingerprint(_ text: String, _ change: (inout TrainingParameters) -> Void = { _ in }) throws
            -> String
        {
            try DataFixture.withFiles(["d.txt": text]) { directory in
                try Self.open(DataFixture.request(in: directory, ["d.txt"], change)).train.fingerprint
            }
        }
        let first = try fingerprint("abcdef\nb")
        #expect(first.utf8.count == 64)
        #expect(try fingerprint("abcdef\nb") { $0.strict = true } == first)
        #expect(try fingerprint("abcdef\nc") != first)
        #expect(try fingerprint("b\nabcdef") != first)
        #expect(
            try fingerprint("abcdef\nb") { ($0.maxLength, $0.truncationStrategy) = (3, .right) } != first)
    }

    @Test("Tokenized rows are found again, unless the file or a setting is another one")
    func cache() throws {
        try DataFixture.withFiles(["d.txt": "one\ntwo\nthree"]) { directory in
            func open(_ change: (inout TrainingParameters) -> Void = { _ in }) throws -> TrainingDataset {
                try Self.open(
                    DataFixture.request(in: directory, ["d.txt"]) {
                        $0.loadFromCacheFile = true
                        change(&$0)
                    }
                ).train
            }
            func cached() throws -> Set<String> {
                Set(try FileManager.default.contentsOfDirectory(atPath: "\(directory)/cache"))
            }
            let first = try open()
            try first.wait()
            let files = try cached()
            #expect(files.count == 1)
            let again = try open { $0.datasetNumProc = 2 }
            #expect(try Self.contents(again) == ["one", "two", "three"])
            #expect(again.fingerprint == first.fingerprint && again.statistics == first.statistics)
            #expect(try cached() == files)
            try open { $0.maxLength = 5 }.wait()
            #expect(try cached().count == 2)
            // Damage is no trap: the rows are made again.
            let path = "\(directory)/cache/\(files.first ?? "")"
            try Data("damaged".utf8).write(to: URL(fileURLWithPath: path))
            #expect(try Self.contents(open()) == ["one", "two", "three"])
            try Data("one\ntwo\nthreE".utf8).write(to: URL(fileURLWithPath: "\(directory)/d.txt"))
            #expect(try Self.contents(open()) == ["one", "two", "threE"])
        }
    }

    @Test("Damage anywhere in the cached rows is noticed or harmless, never a trap")
    func damagedCache() throws {
        let rows: [TrainingRow] = [
            .sequence(TokenSequence(ids: [1, 2, 3], labels: [-100, 2, 3])),
            .preference(PreferencePair(prompt: [1], chosen: [2, 3], rejected: [])),
            .unpaired(UnpairedAnswer(prompt: [1], completion: [4], isDesirable: true)),
        ]
        var generator = SeededGenerator(seed: 9)
        for row in rows {
            var bytes: [UInt8] = []
            RowCodec.append(row, to: &bytes)
            #expect(RowCodec.row(bytes) == row)
            for _ in 0..<500 {
                var damaged = bytes
                damaged[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(
                    in: 0...255, using: &generator)
                if Bool.random(using: &generator) {
                    damaged.removeLast(Int.random(in: 0...bytes.count, using: &generator))
                }
                _ = RowCodec.row(damaged)
            }
        }
    }

    @Test("A stream stays a little ahead of its reader and begins again behind the last row")
    func stream() throws {
        try DataFixture.withFiles(["d.jsonl": Self.texts(4000)]) { directory in
            let request = DataFixture.request(in: directory, ["d.jsonl"]) {
                $0.streaming = true
                $0.datasetShuffle = false
                $0.datasetNumProc = 2
            }
            let tokenizer = try DataFixture.tokenizer()
            let read = Mutex(0)
            let data = try Self.open(request) { progress in read.withLock { $0 = max($0, progress.rowsRead) }
            }.train
            func text(_ number: Int) throws -> String {
                guard case .sequence(let row) = try data.row(number) else { return "?" }
                return tokenizer.decode(row.ids, skipSpecialTokens: true)
            }
            #expect(try text(0) == "0" && text(10) == "10")
            // 1,024 rows, the chunk that passes them, and one more of each thread.
            #expect(read.withLock { $0 } <= 10 + 1024 + 4 * 64)
            #expect(try text(3999) == "3999" && text(4000) == "0" && text(9000) == "1000")
            #expect(data.fingerprint.utf8.count == 64)
        }
    }

    @Test("A thread that sleeps because it is far enough ahead wakes when more is wanted")
    func sleepingStream() throws {
        try DataFixture.withFiles(["d.jsonl": Self.texts(6000)]) { directory in
            let request = DataFixture.request(in: directory, ["d.jsonl"]) {
                $0.streaming = true
                $0.datasetShuffle = false
            }
            let isAhead = DispatchSemaphore(value: 0)
            let data = try Self.open(request) { progress in
                // The first chunk of 64 rows that is more than 1,024 rows ahead of row 0.
                if progress.rowsRead == 1088 { isAhead.signal() }
            }.train
            #expect(isAhead.wait(timeout: .now() + 60) == .success)
            for _ in 0..<200 { _ = try data.row(0) }
            #expect(data.source(of: 5999).line == 6000)
        }
    }

    @Test("A stream is shuffled before it is read")
    func shuffledStream() throws {
        try DataFixture.withFiles(["d.jsonl": Self.texts(300)]) { directory in
            let data = try Self.open(
                DataFixture.request(in: directory, ["d.jsonl"]) { $0.streaming = true }
            ).train
            let rows = try Self.contents(data)
            #expect(rows != (0..<300).map { "\($0)" } && Set(rows).count == 300)
        }
    }

    @Test(
        "The parameters' defaults depend on the stage",
        arguments: [
            (TrainingParameters.Stage.pretrain, TrainingParameters.LossScale.all), (.sft, .default),
            (.rlhf, .lastRound),
        ])
    func defaults(stage: TrainingParameters.Stage, scale: TrainingParameters.LossScale) {
        var parameters = TrainingParameters()
        parameters.stage = stage
        #expect(DatasetRequest(parameters, maxLength: 99).lossScale == scale)
        #expect(DatasetRequest(parameters, maxLength: 99).maxLength == 99)
        parameters.maxLength = 7
        parameters.lossScale = .lastRound
        #expect(DatasetRequest(parameters, maxLength: 99).maxLength == 7)
        #expect(DatasetRequest(parameters).lossScale == .lastRound)
    }
}
