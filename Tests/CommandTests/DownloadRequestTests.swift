// The words and the environment of `martlet download`, and what they come to.

import ArgumentParser
import Artifacts
import Testing
import Text

@testable import martlet

struct DownloadRequestTests {
    private static let home = ["HOME": "/u"]

    /// The request that words mean.
    private static func request(
        _ words: [String], _ environment: [String: String] = home
    ) throws -> DownloadRequest {
        let prepared = try #require(try TrainingWords.prepared(DownloadWords.named(["download"] + words)))
        var (what, place, transfer) = (
            try DownloadOptions.parse([]), try DownloadPlaceOptions.parse([]),
            try DownloadTransferOptions.parse([])
        )
        func own(_ group: any ParsableArguments.Type) -> [String] {
            let kinds = ParameterTable([group]).kinds
            return prepared.words.dropFirst().filter {
                kinds[String($0.dropFirst(2).prefix { $0 != "=" })] != nil
            }
        }
        what = try DownloadOptions.parse(own(DownloadOptions.self))
        place = try DownloadPlaceOptions.parse(own(DownloadPlaceOptions.self))
        transfer = try DownloadTransferOptions.parse(own(DownloadTransferOptions.self))
        return try DownloadRequest(what, place, transfer) { environment[$0] }
    }

    private static func model(_ id: String, _ hub: HubRepository.Hub = .huggingFace) -> HubRepository {
        HubRepository(hub: hub, kind: .model, id: id)
    }

    @Test(
        "Words without a flag are what to download, and files of it",
        arguments: [
            (["org/name"], ["--repo=org/name"]),
            (["org/name", "a.json", "b.bin"], ["--repo=org/name", "--include=a.json", "--include=b.bin"]),
            (["--revision", "v1", "org/name"], ["--revision", "v1", "--repo=org/name"]),
            (["--revision=v1", "org/name"], ["--revision=v1", "--repo=org/name"]),
            (["--json", "org/name"], ["--json", "--repo=org/name"]),
            (["--json", "true", "org/name"], ["--json", "true", "--repo=org/name"]),
            (
                ["org/name", "--include", "*.json", "*.txt"],
                ["--repo=org/name", "--include", "*.json", "*.txt"]
            ),
            (["--dataset", "org/data", "train.csv"], ["--dataset", "org/data", "--include=train.csv"]),
            (["download.yaml"], ["download.yaml"]),
        ])
    func words(given: [String], named: [String]) {
        #expect(DownloadWords.named(["download"] + given) == ["download"] + named)
        #expect(DownloadWords.named(["sft"] + given) == ["sft"] + given)
    }

    @Test("Without more words a model goes to the cache of the hub's own tools")
    func usual() throws {
        let request = try Self.request(["org/name"])
        #expect(request.reference == .repository(Self.model("org/name"), revision: nil, path: nil))
        #expect(request.revision == "main")
        #expect(request.place == .cache("/u/.cache/huggingface/hub"))
        #expect(request.export == nil)
        #expect(request.maxWorkers == 8)
        #expect(request.limitRate == nil)
        #expect(!request.isOffline)
    }

    @Test(
        "The hub is named in one of several ways",
        arguments: [
            (["org/name"], HubRepository.Hub.huggingFace), (["org/name", "--hub", "hf"], .huggingFace),
            (["org/name", "--hub", "modelscope"], .modelScope),
            (["org/name", "--use_hf", "false"], .modelScope),
            (["org/name", "--use-hf"], .huggingFace), (["ms://org/name"], .modelScope),
            (["hf://org/name", "--hub", "ms"], .huggingFace),
        ])
    func hubs(words: [String], hub: HubRepository.Hub) throws {
        let request = try Self.request(words)
        #expect(request.reference == .repository(Self.model("org/name", hub), revision: nil, path: nil))
        #expect(request.revision == (hub == .huggingFace ? "main" : "master"))
        #expect(
            request.place
                == .cache(hub == .huggingFace ? "/u/.cache/huggingface/hub" : "/u/.cache/modelscope/hub"))
    }

    @Test("A data set is said to be one, in whichever way")
    func kinds() throws {
        for words in [
            ["--dataset", "org/data"], ["org/data", "--repo_type", "dataset"], ["hf://datasets/org/data"],
        ] {
            let request = try Self.request(
                words, ["MARTLET_OUTPUT_DIR": "/o", "MARTLET_CHECKPOINT_DIR": "/c"])
            #expect(
                request.reference
                    == .repository(HubRepository(kind: .dataset, id: "org/data"), revision: nil, path: nil))
            #expect(request.export == .init(target: "/o/dataset", isLinked: true))
        }
    }

    @Test("Revision, patterns and a path in the reference are put together")
    func patterns() throws {
        let request = try Self.request([
            "hf://org/name@v1/sub/a[1].json", "--include", "*.txt, *.md", "--exclude", "x/*",
        ])
        #expect(request.revision == "v1")
        #expect(request.include == ["*.txt", "*.md", "sub/a[[]1].json", "sub/a[[]1].json/*"])
        #expect(request.exclude == ["x/*"])
        #expect(try Self.request(["org/name", "--revision", "refs/pr/1"]).revision == "refs/pr/1")
    }

    @Test(
        "A step's files go where they are kept between its attempts, and become its artifact",
        arguments: [
            ([:], DownloadRequest.Place.directory("/o/model"), nil, "/o/model/.cache/huggingface"),
            (
                ["MARTLET_CHECKPOINT_DIR": "/c"], .directory("/c/download"),
                .init(target: "/o/model", isLinked: true), nil
            ),
            (
                ["MARTLET_CHECKPOINT_DIR": "/c", "HF_HOME": "/h"], .cache("/h/hub"),
                .init(target: "/o/model", isLinked: false), nil
            ),
            (["HF_HUB_CACHE": "/k"], .cache("/k"), .init(target: "/o/model", isLinked: false), nil),
        ] as [([String: String], DownloadRequest.Place, DownloadRequest.Export?, String?)])
    func steps(
        environment: [String: String], place: DownloadRequest.Place, export: DownloadRequest.Export?,
        leftover: String?
    ) throws {
        let all = environment.merging(["MARTLET_OUTPUT_DIR": "/o", "HOME": "/u"]) { $1 }
        let request = try Self.request(["--model", "org/name"], all)
        #expect(request.place == place)
        #expect(request.export == export)
        #expect(request.leftover == leftover)
        #expect(request.outputs == "/o")
    }

    @Test("A directory of this machine stays where it is, unless another place is asked for")
    func directories() throws {
        #expect(try Self.request(["/data/model/"]).place == .inPlace("/data/model"))
        #expect(try Self.request(["file:///data/model", "--local_dir", "/x"]).place == .directory("/x"))
        let step = try Self.request(["/data/model"], ["MARTLET_OUTPUT_DIR": "/o"])
        #expect(step.place == .directory("/o/model"))
    }

    @Test(
        "What cannot be is refused with what to write",
        arguments: [
            ([], "what to download is missing"), (["--model", "a/b", "--dataset", "c/d"], "write two"),
            (["a/b", "--local_dir", "x", "--output_dir", "y"], "leave one out"),
            (["a/b", "--local_dir", "x", "--cache_dir", "y"], "leave one out"),
            (["a/b@v1", "--revision", "v2"], "names another one"), (["a/b", "--limit_rate", "fast"], "10M"),
            (["a/b", "--max_workers", "0"], "from 1 to 64"), (["https://h/x"], "--local_dir is missing"),
            (["a/b", "--hub", "hf", "--use_hf", "false"], "disagree"), (["a/b/c"], "./a/b/c"),
            (["a/b", "--force_download", "--local_files_only"], "needs the network"),
            (["https://h/x", "--local_dir", "d", "--revision", "v"], "has no revisions"),
            (["--dataset", "a/b", "--repo_type", "model"], "disagree"),
            (["a/b", "--revision", "../x"], "revision"),
            (["a/b", "--hub", "github"], "is not there"),
            (["a/b", "--colour", "red"], "no parameter has this name"),
        ])
    func refusals(words: [String], part: String) {
        let error = #expect(throws: CommandError.self) { try Self.request(words) }
        #expect(error?.status == 2)
        #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
    }

    @Test("All problems are told at once")
    func several() {
        let error = #expect(throws: CommandError.self) {
            try Self.request(["--max_workers", "99", "--limit_rate", "x", "a/b/c"])
        }
        #expect(error?.message.split(separator: "\n").count == 3)
    }

    @Test("Offline is asked for by a flag or by the hub's variable")
    func offline() throws {
        #expect(try Self.request(["a/b", "--local_files_only"]).isOffline)
        #expect(try Self.request(["a/b"], ["HF_HUB_OFFLINE": "1"]).isOffline)
        #expect(try Self.request(["a/b", "--local_files_only", "false"]).isOffline == false)
    }

    @Test("The token of a flag replaces that of the environment and goes to the endpoints of a flag")
    func tokens() throws {
        let request = try Self.request(
            ["a/b", "--hub_token", "mine", "--endpoint", "http://a,http://b"],
            ["HF_TOKEN": "other", "MARTLET_HF_MIRRORS": "http://c"])
        #expect(
            request.settings.huggingFace == [
                .init(url: "http://a", token: "mine"), .init(url: "http://b", token: "mine"),
            ])
    }
}
