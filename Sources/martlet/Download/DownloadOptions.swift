// The parameters of `martlet download`.

import ArgumentParser

/// Which hub is asked, by the names that its users know it by.
enum HubName: String, CaseIterable, ExpressibleByArgument {
    case hf, huggingface, modelscope, ms
}

enum RepositoryType: String, CaseIterable, ExpressibleByArgument {
    case model, dataset, space
}

/// What is downloaded.
struct DownloadOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "What to download: owner/name[@REVISION], hf://..., ms://..., https://..., s3://..., ./DIR.",
            valueName: "WHAT"))
    var repo: String?

    @Option(help: ArgumentHelp("As --repo, for a model.", valueName: "WHAT"))
    var model: String?

    @Option(help: ArgumentHelp("As --repo, for a data set.", valueName: "WHAT"))
    var dataset: String?

    @Option(help: ArgumentHelp("model, dataset or space; model unless given.", valueName: "TYPE"))
    var repoType: RepositoryType?

    @Option(
        help: ArgumentHelp(
            "Branch, tag or commit; main, for ModelScope master, unless given.", valueName: "REVISION"))
    var revision: String?

    @Option(help: ArgumentHelp("hf or modelscope; hf unless given.", valueName: "HUB"))
    var hub: HubName?

    @Option(help: ArgumentHelp("As ms-swift has it: false means ModelScope.", valueName: "true|false"))
    var useHf: Bool?

    @Option(
        help: ArgumentHelp(
            "Only files that match one of these patterns, such as *.safetensors.", valueName: "GLOB"))
    var include: [String] = []

    @Option(help: ArgumentHelp("No files that match one of these patterns.", valueName: "GLOB"))
    var exclude: [String] = []
}

/// Where it is put.
struct DownloadPlaceOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Put real files into this directory, not into the hub's cache.", valueName: "DIR"))
    var localDir: String?

    @Option(help: ArgumentHelp("As --local_dir.", valueName: "DIR"))
    var outputDir: String?

    @Option(help: ArgumentHelp("The cache; that of the hub's own tools unless given.", valueName: "DIR"))
    var cacheDir: String?

    @Option(help: ArgumentHelp("Fetch also what is there.", valueName: "true|false"))
    var forceDownload = false

    @Option(help: ArgumentHelp("Ask nobody; take what is there.", valueName: "true|false"))
    var localFilesOnly = false

    @Option(help: ArgumentHelp("Only list files and sizes.", valueName: "true|false"))
    var dryRun = false
}

/// How it is fetched and shown.
struct DownloadTransferOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Servers of the hub's protocol, tried in this order; HF_ENDPOINT unless given.",
            valueName: "URL"))
    var endpoint: [String] = []

    @Option(
        help: ArgumentHelp("Access token; HF_TOKEN or MODELSCOPE_API_TOKEN is better.", valueName: "TOKEN"))
    var token: String?

    @Option(help: ArgumentHelp("As --token.", valueName: "TOKEN"))
    var hubToken: String?

    @Option(help: ArgumentHelp("Connections at once.", valueName: "N"))
    var maxWorkers = 8

    @Option(help: ArgumentHelp("Bytes a second at most, such as 10M.", valueName: "RATE"))
    var limitRate: String?

    @Option(help: ArgumentHelp("Print the result as JSON.", valueName: "true|false"))
    var json = false

    @Option(help: ArgumentHelp("Show no progress.", valueName: "true|false"))
    var quiet = false

    @Option(help: ArgumentHelp("YAML or JSON file with these parameters.", valueName: "FILE"))
    var config: String?
}
