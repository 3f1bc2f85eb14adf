// References, names and patterns: what they mean, and which are refused.

import Testing

@testable import Artifacts

struct HubNameTests {
    typealias Reference = DownloadReference

    private static func repository(
        _ id: String, _ revision: String? = nil, kind: HubRepository.Kind = .model,
        hub: HubRepository.Hub = .huggingFace, path: String? = nil
    ) -> Reference {
        .repository(HubRepository(hub: hub, kind: kind, id: id), revision: revision, path: path)
    }

    @Test(
        "A reference says what is to be downloaded",
        arguments: [
            ("Qwen/Qwen2.5-0.5B", repository("Qwen/Qwen2.5-0.5B")),
            ("gpt2", repository("gpt2")),
            ("gpt2@refs/pr/1", repository("gpt2", "refs/pr/1")),
            ("org/name@v1.0", repository("org/name", "v1.0")),
            ("org/name@feature/new", repository("org/name", "feature/new")),
            ("datasets/org/name", repository("org/name", kind: .dataset)),
            ("hf://datasets/org/name", repository("org/name", kind: .dataset)),
            ("hf://datasets/squad", repository("squad", kind: .dataset)),
            ("hf://org/name@main/a/b.json", repository("org/name", "main", path: "a/b.json")),
            ("hf://org/name@refs/pr/2/b.json", repository("org/name", "refs/pr/2", path: "b.json")),
            ("ms://org/name", repository("org/name", hub: .modelScope)),
            (
                "ms://datasets/org/name@master",
                repository("org/name", "master", kind: .dataset, hub: .modelScope)
            ),
            ("https://huggingface.co/org/name", repository("org/name")),
            ("https://huggingface.co/org/name/tree/v2", repository("org/name", "v2")),
            (
                "https://huggingface.co/datasets/org/name/resolve/refs%2Fconvert%2Fparquet/a.csv?x=1",
                repository("org/name", "refs/convert/parquet", kind: .dataset, path: "a.csv")
            ),
            (
                "https://huggingface.co/gpt2/blob/main/config.json",
                repository("gpt2", "main", path: "config.json")
            ),
            ("http://127.0.0.1:9/org/name/resolve/main/x", repository("org/name", "main", path: "x")),
            ("https://example.com/a/model.gguf", .file(url: "https://example.com/a/model.gguf")),
            ("s3://bucket/prefix/", .objects(url: "s3://bucket/prefix/")),
            ("file:///data/a%20model", .directory(path: "/data/a model")),
            ("/data/model", .directory(path: "/data/model")),
            ("./org/name", .directory(path: "./org/name")),
        ])
    func references(text: String, meant: Reference) throws {
        let settings = HubSettings { ["HF_ENDPOINT": "http://127.0.0.1:9/"][$0] }
        #expect(try DownloadReference(text, settings: settings) == meant)
    }

    @Test(
        "What cannot be a reference is refused with what to write",
        arguments: [
            ("", "empty"), ("a\nb/c", "control"), ("a/b/c", "write ./a/b/c"), ("org/na me", "letters"),
            ("org/../x", "letters"), ("org/a--b", "--"), ("org/name@", "revision"),
            ("org/name@../x", "revision"),
            ("ftp://host/x", "ftp"), ("file://relative", "file:///DIR"),
            ("hf://org/name@main/../x", "\"..\""),
            ("ms://name", "owner/name"), ("/", nil), ("-org/name", "letters"),
            (String(repeating: "a", count: 97), "96"),
        ] as [(String, String?)])
    func refusals(text: String, part: String?) throws {
        guard let part else { return }
        let error = #expect(throws: DownloadReference.Failure.self) { try DownloadReference(text) }
        #expect(error?.description.contains(part) == true, "\(error?.description ?? "")")
    }

    @Test("A reference that names its kind cannot be of another")
    func kinds() throws {
        #expect(throws: DownloadReference.Failure.self) {
            try DownloadReference("hf://datasets/org/name", kind: .model)
        }
        #expect(
            try DownloadReference("org/name", hub: .modelScope, kind: .dataset)
                == Self.repository("org/name", kind: .dataset, hub: .modelScope))
    }

    @Test(
        "A server's file name that could do harm is refused",
        arguments: [
            "", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "./a", "a\u{0}b", "a\nb", "a\\..\\b",
            ".git/config", "sub/.GIT/hooks/x", String(repeating: "a", count: 256),
            String(repeating: "ab/", count: 1400) + "a",
        ])
    func hostileNames(path: String) {
        #expect(HubPath.problem(of: path) != nil)
    }

    @Test(
        "Ordinary file names are taken",
        arguments: [
            "config.json", "a/b/c.bin", ".gitattributes", "..a", "a..b/c", "été/模型.bin", "a b", "git/x",
        ])
    func usualNames(path: String) {
        #expect(HubPath.problem(of: path) == nil)
    }

    @Test("Files that cannot lie beside each other are refused")
    func conflicts() {
        #expect(HubPath.problem(among: ["a", "b", "a"])?.path == "a")
        #expect(HubPath.problem(among: ["a/b", "a-b", "a"])?.path == "a")
        #expect(HubPath.problem(among: ["a/b", "ab", "a-b/c"])?.path == nil)
        // The same letter in two spellings is two files on Linux.
        #expect(HubPath.problem(among: ["e\u{301}", "\u{E9}"])?.path == nil)
    }

    @Test(
        "An ETag becomes a name or nothing",
        arguments: [
            ("\"abc\"", "abc"), ("W/\"abc\"", "abc"), ("abc", "abc"), ("\"../x\"", nil), ("\"\"", nil),
            (".locks", nil), ("a b", nil), (String(repeating: "a", count: 129), nil),
            ("\"d41d8cd9-3\"", "d41d8cd9-3"),
        ] as [(String, String?)])
    func tags(header: String, name: String?) {
        #expect(HubPath.normalizedETag(header) == name)
    }

    @Test(
        "A pattern matches as Python's fnmatch does",
        arguments: [
            ("*.json", "config.json", true), ("*.json", "a/b/config.json", true),
            ("*.json", "config.jsonl", false),
            ("data/*.json", "data/sub/x.json", true), ("data/", "data/x", true), ("data/", "database", false),
            ("?.txt", "a.txt", true), ("?.txt", "ab.txt", false), ("[ab].txt", "b.txt", true),
            ("[!ab].txt", "b.txt", false), ("[!ab].txt", "c.txt", true), ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false), ("[]]x", "]x", true), ("[x", "[x", true), ("*", "", true),
            ("", "a", false),
            ("*a*b*", "xxaxxbxx", true), ("*a*b*", "xxbxxaxx", false), ("A*", "a", false),
            ("a.c", "abc", false),
            ("**/*.bin", "x/y.bin", true), ("模*", "模型", true), ("[a-]x", "-x", true),
            ("data\\*.json", "data/x.json", true),
        ])
    func patterns(pattern: String, path: String, isMatch: Bool) {
        #expect(FilePattern(pattern).matches(path) == isMatch)
    }

    @Test("A pattern of many stars ends soon")
    func manyStars() {
        let pattern = String(repeating: "*a", count: 50) + "*b"
        #expect(!FilePattern(pattern).matches(String(repeating: "a", count: 5000)))
    }

    @Test("What is excluded is not taken, whatever includes it")
    func filter() {
        let filter = FileFilter(include: ["*.json", "*.txt"], exclude: ["a/*"])
        #expect(["x.json", "a/x.json", "x.bin", "b/x.txt"].filter(filter.takes) == ["x.json", "b/x.txt"])
        #expect(FileFilter().takes("anything"))
    }

    @Test(
        "Amounts are read and shown",
        arguments: [
            ("10M", 10_485_760), ("500k", 512_000), ("1.5g", 1_610_612_736), ("1048576", 1_048_576),
            ("10MB", 10_485_760), ("10MiB/s", 10_485_760), ("0", nil), ("-1", nil), ("M", nil), ("1x", nil),
            ("", nil), ("nan", nil), ("1e9g", nil),
        ] as [(String, Int?)])
    func amounts(text: String, bytes: Int?) {
        #expect(ByteCount.parse(text) == bytes)
    }

    @Test(
        "Sizes are shown with one digit at most",
        arguments: [
            (0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1550, "1.5 kB"), (123_456, "123 kB"),
            (2_000_000_000, "2 GB"),
        ])
    func sizes(bytes: Int, text: String) {
        #expect(ByteCount.text(bytes) == text)
    }
}
