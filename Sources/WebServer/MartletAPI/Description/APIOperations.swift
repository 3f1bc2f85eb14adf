// What each route of Martlet's own API takes and gives. A test holds this table against the routes.

import Text

enum APIOperations {
    static let byID = Dictionary(
        (runs + logs + charts + definitions + deployments + models + frame + outside).map { ($0.id, $0) },
        uniquingKeysWith: { $1 })

    private static let namespace = APIParameter(
        "namespace", .text(maxLength: 253), "Only what is of this namespace.")

    private static let runFilters: [APIParameter] = [
        namespace,
        APIParameter(
            "phase", .list(APISchemas.runPhase, limit: 5), "Only runs of these phases, commas between them."),
        APIParameter("label", .text(maxLength: 4_096), "A label selector, as Kubernetes has them."),
        APIParameter("pipeline", .text(maxLength: 253), "Only runs of this stored template."),
        APIParameter("cron", .text(maxLength: 253), "Only runs of this cron workflow."),
        APIParameter("q", .text(maxLength: 253), "Only runs whose names hold this text."),
        APIParameter(
            "parameter", .text(maxLength: 4_096), "Only runs with this argument: NAME=VALUE.",
            isRepeated: true),
        APIParameter("createdAfter", .moment, "Only runs that were created after this moment."),
        APIParameter("createdBefore", .moment, "Only runs that were created before this moment."),
        APIParameter("finishedAfter", .moment, "Only runs that ended after this moment."),
        APIParameter("finishedBefore", .moment, "Only runs that ended before this moment."),
    ]

    private static let runs: [APIOperation] = [
        APIOperation(
            "MartletAPI_ListRuns",
            parameters: runFilters + [
                APIParameter("limit", .integer(1...500), "Runs on a page.", standard: 50),
                APIParameter("after", .text(maxLength: 100), "`next` of the page before."),
            ],
            answer: APISchemas.page(.named("RunSummary"), [APIMember("revision", .integer())])),
        APIOperation(
            "MartletAPI_CountRuns", parameters: runFilters,
            answer: .answer(
                ["Pending", "Running", "Succeeded", "Failed", "Error", "total"].map {
                    APIMember($0, .integer())
                } + [APIMember("capped", .flag, isOptional: true)])),
        APIOperation("MartletAPI_GetRun", answer: .named("Run")),
        APIOperation(
            "MartletAPI_GetRunManifest",
            answer: .answer([APIMember("manifest", .any), APIMember("yaml", .text())])),
        APIOperation(
            "MartletAPI_ListRunEvents",
            parameters: [
                APIParameter("after", .integer(0...9_007_199_254_740_991), "Only events behind this id."),
                APIParameter("limit", .integer(1...1_000), "Events on a page.", standard: 100),
            ],
            answer: .answer([
                APIMember("items", .list(.named("Event"))), APIMember("next", .optional(.integer())),
            ])),
        APIOperation(
            "MartletAPI_ListNotifications",
            answer: APISchemas.page(
                .answer([
                    APIMember("id", .integer()), APIMember("to", .text()),
                    APIMember("state", .choice(["waiting", "retrying", "delivered", "given up"])),
                    APIMember("attempts", .integer()), APIMember("createdAt", .moment),
                    APIMember("nextAttemptAt", .optional(.moment)), APIMember("doneAt", .optional(.moment)),
                    APIMember("error", .optional(.text())),
                ]))),
        APIOperation(
            "MartletAPI_RetryNotifications", body: .request([]),
            answer: .answer([APIMember("retried", .integer())])),
        APIOperation("MartletAPI_GetRunState", answer: .any),
        APIOperation("MartletAPI_GetNode", answer: .named("NodeDetail")),
        APIOperation("MartletAPI_GetNodeReason", answer: .named("NodeReason")),
        APIOperation("MartletAPI_ListArtifacts", answer: APISchemas.page(.named("Artifact"))),
        APIOperation(
            "MartletAPI_PreviewArtifact",
            parameters: [
                APIParameter("path", .text(maxLength: 4_096), "A file or directory in the artifact."),
                APIParameter(
                    "direction", .choice(["inputs", "outputs"]), "Whether it went into the node or came out.",
                    standard: "outputs"),
            ], answer: .named("Preview")),
    ]

    private static let logPlace: [APIParameter] = [
        APIParameter("attempt", .integer(0...1_000_000), "The attempt; the newest if absent."),
        APIParameter("container", .text(maxLength: 253), "Only lines of this container."),
    ]
    private static let lineRange = -1_000_000_000_000...1_000_000_000_000

    private static let logs: [APIOperation] = [
        APIOperation("MartletAPI_GetLog", parameters: logPlace, answer: .named("Log")),
        APIOperation(
            "MartletAPI_GetLogLines",
            parameters: logPlace + [
                APIParameter(
                    "from", .integer(lineRange), "The first line; below zero it counts from the end.",
                    standard: 0),
                APIParameter(
                    "count", .integer(1...MartletRoutes.lineLimit), "How many lines.", standard: 500),
            ],
            answer: .answer([
                APIMember("from", .integer()), APIMember("lines", .list(.named("LogLine"))),
                APIMember("total", .integer()),
            ])),
        APIOperation(
            "MartletAPI_SearchLog",
            parameters: logPlace + [
                APIParameter("q", .text(maxLength: 1_000), "What is looked for."),
                APIParameter("regex", .flag, "Whether it is a regular expression.", standard: false),
                APIParameter("case", .flag, "Whether upper and lower case differ.", standard: false),
                APIParameter(
                    "from", .integer(0...1_000_000_000_000), "The first line that is looked at.", standard: 0),
                APIParameter("limit", .integer(1...10_000), "How many line numbers.", standard: 1_000),
            ],
            answer: .answer([
                APIMember("total", .integer()), APIMember("capped", .flag),
                APIMember("matches", .list(.integer())), APIMember("stoppedAt", .optional(.integer())),
            ])),
        APIOperation(
            "MartletAPI_DownloadLog", parameters: logPlace, answer: .text(), contentType: "text/plain"),
        APIOperation(
            "MartletAPI_GetRunLog",
            parameters: [
                APIParameter("from", .text(maxLength: 100), "`next` of an answer: the lines behind it."),
                APIParameter(
                    "to", .text(maxLength: 100),
                    "`first` of an answer: the lines before it; `end`: the last lines."),
                APIParameter(
                    "count", .integer(1...MartletRoutes.lineLimit), "How many lines.", standard: 500),
            ],
            answer: .answer([
                APIMember("lines", .list(.named("LogLine"))), APIMember("next", .optional(.text())),
                APIMember("first", .optional(.text())),
            ])),
    ]

    private static let charts: [APIOperation] = [
        APIOperation(
            "MartletAPI_GetMetrics",
            parameters: [
                APIParameter("nodes", .list(.text(maxLength: 300), limit: 1_000), "Only these nodes, by id."),
                APIParameter("names", .list(.text(maxLength: 300), limit: 1_000), "Only these curves."),
                APIParameter("maxPoints", .integer(2...20_000), "Points of a curve.", standard: 1_000),
            ],
            answer: .answer([
                APIMember("series", .list(.named("Series"))), APIMember("names", .list(.text())),
                APIMember("checkpoints", .list(.any)), APIMember("truncated", .flag),
            ])),
        APIOperation(
            "MartletAPI_CompareRuns",
            parameters: [
                APIParameter(
                    "runs", .list(.text(maxLength: 100)), "2 to 10 uids, commas between them.",
                    isRequired: true)
            ], answer: .named("Comparison")),
    ]

    private static let maximumText = 1 << 20

    private static let definitions: [APIOperation] = [
        APIOperation(
            "MartletAPI_ListPipelines", parameters: [namespace], answer: APISchemas.page(.named("Pipeline"))),
        APIOperation(
            "MartletAPI_GetPipeline",
            parameters: [
                APIParameter("cluster", .flag, "Whether it is a cluster template.", standard: false)
            ], answer: .named("PipelineDetail")),
        APIOperation(
            "MartletAPI_Lint",
            body: .request([
                APIMember("text", .text(maxLength: maximumText)),
                APIMember("namespace", .text(maxLength: 253), isOptional: true),
                APIMember("kind", .text(maxLength: 100), isOptional: true),
            ]), answer: .answer([APIMember("diagnostics", .list(.named("Diagnostic")))])),
        APIOperation(
            "MartletAPI_PutDefinitions",
            body: .request([
                APIMember("text", .text(maxLength: maximumText)),
                APIMember("namespace", .text(maxLength: 253), isOptional: true),
                APIMember("replace", .flag, isOptional: true),
            ]),
            answer: .answer([
                APIMember(
                    "items",
                    .list(
                        .answer([
                            APIMember("kind", .text()), APIMember("namespace", .text()),
                            APIMember("name", .text()), APIMember("generation", .integer()),
                        ])))
            ]), refusals: [409]),
        APIOperation(
            "MartletAPI_Submit",
            body: .request([
                APIMember("text", .text(maxLength: maximumText), isOptional: true),
                APIMember("pipeline", .text(maxLength: 253), isOptional: true),
                APIMember("cluster", .flag, isOptional: true),
                APIMember("namespace", .text(maxLength: 253), isOptional: true),
                APIMember("parameters", .map(.any), isOptional: true),
                APIMember("labels", .map(.text(maxLength: 63)), isOptional: true),
                APIMember("name", .text(maxLength: 253), isOptional: true),
                APIMember("dryRun", .flag, isOptional: true),
            ]), status: 201, answer: .named("RunSummary"), refusals: [409]),
        APIOperation(
            "MartletAPI_ListSchedules", parameters: [namespace], answer: APISchemas.page(.named("Schedule"))),
        APIOperation("MartletAPI_GetSchedule", answer: .named("ScheduleDetail")),
        APIOperation(
            "MartletAPI_RunSchedule", body: .request([]), status: 201, answer: .named("RunSummary"),
            refusals: [409]),
        APIOperation(
            "MartletAPI_BackfillSchedule",
            body: .request([
                APIMember("start", .moment), APIMember("end", .moment),
                APIMember("preview", .flag, isOptional: true),
                APIMember("argument", .text(maxLength: 253), isOptional: true),
            ]),
            answer: .answer([APIMember("instants", .list(.moment)), APIMember("runs", .list(.text()))]),
            refusals: [409]),
    ]

    private static let frame: [APIOperation] = [
        APIOperation("MartletAPI_GetOverview", parameters: [namespace], answer: .named("Overview")),
        APIOperation(
            "MartletAPI_Search",
            parameters: [namespace, APIParameter("q", .text(maxLength: 253), "A part of a name, or a uid.")],
            answer: APISchemas.page(.any)),
        APIOperation(
            "MartletAPI_ListSecrets", parameters: [namespace], answer: APISchemas.page(.named("Secret"))),
        APIOperation(
            "MartletAPI_PutSecret",
            body: .request([APIMember("values", .map(.text(maxLength: maximumText)))]),
            answer: .named("Secret")),
        APIOperation("MartletAPI_DeleteSecret", answer: .any),
        APIOperation(
            "MartletAPI_Stream",
            parameters: [
                namespace, APIParameter("run", .text(maxLength: 100), "The run in focus, by its uid."),
                APIParameter("log", .text(maxLength: 300), "The node whose log is in focus, by its id."),
                APIParameter(
                    "since", .integer(0...9_007_199_254_740_991),
                    "Goes on behind this revision; the header Last-Event-ID counts more."),
            ], answer: .text(), contentType: "text/event-stream"),
    ]

    /// Routes of the service whose requests are read elsewhere.
    private static let outside: [APIOperation] = [
        APIOperation("MartletAPI_OpenAPI", answer: .any)
    ]
}
