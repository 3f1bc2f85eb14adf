// What the names of files say.

import Evaluation
import Testing

@Suite("Names of data files")
struct DataFileTests {
    @Test(
        "A file's name gives its split and its subset",
        arguments: [
            ("dev/abstract_algebra_dev.csv", DataSplit.dev, "abstract_algebra"),
            ("val/logic_val.csv", .validation, "logic"), ("test/agronomy.csv", .test, "agronomy"),
            ("anatomy/test-00000-of-00001.parquet", .test, "anatomy"),
            ("data/train-00000-of-00002.parquet", .train, ""),
            ("main/train-00000-of-00001.parquet", .train, "main"),
            ("ARC-Easy/ARC-Easy-Test.jsonl", .test, "ARC-Easy"),
            ("hellaswag_val.jsonl", .validation, "hellaswag"),
            ("mine_dev.csv", .dev, "mine"), ("test.jsonl", .test, ""),
            ("HumanEval.jsonl.gz", nil, "HumanEval"),
            ("college_test_taking.csv", nil, "college_test_taking"), ("test/test.jsonl", .test, ""),
        ] as [(String, DataSplit?, String)])
    func names(name: String, split: DataSplit?, subset: String) {
        let file = DataFile(path: "/data/\(name)", name: name)
        #expect(file.split == split)
        #expect(file.subset == subset)
    }

    @Test("Only files of rows are data")
    func data() {
        #expect(["a.csv", "a.jsonl.gz", "a.PARQUET", "a.txt.zst"].allSatisfy(DataFile.isData))
        #expect(!["a.py", "README.md", "a.gz", "csv", "a.zip"].contains(where: DataFile.isData))
    }
}
