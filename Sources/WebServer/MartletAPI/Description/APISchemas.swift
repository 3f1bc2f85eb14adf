// The named shapes of Martlet's own API.

enum APISchemas {
    private static let word = APISchema.text()
    private static let maybeText = APISchema.optional(.text())
    private static let maybeMoment = APISchema.optional(.moment)
    private static let maybeNumber = APISchema.optional(.number())
    private static let maybeInteger = APISchema.optional(.integer())

    /// A run's phase.
    static let runPhase = APISchema.choice(["Pending", "Running", "Succeeded", "Failed", "Error"])

    static func page(_ element: APISchema, _ more: [APIMember] = []) -> APISchema {
        .answer([APIMember("items", .list(element)), APIMember("next", .optional(.text()))] + more)
    }

    static let named = shapes.merging(deploymentShapes) { $1 }

    private static let shapes: [String: APISchema] = [
        "Error": .answer([
            APIMember("code", .integer()), APIMember("message", word), APIMember("details", .list(.any)),
            APIMember("diagnostics", .list(.named("Diagnostic")), isOptional: true),
        ]),
        "Diagnostic": .answer([
            APIMember("file", word), APIMember("line", .integer()), APIMember("column", .integer()),
            APIMember("path", word), APIMember("severity", .choice(["error", "warning"])),
            APIMember("message", word), APIMember("remedy", maybeText),
        ]),
        "Parameter": .answer([
            APIMember("name", word), APIMember("value", maybeText), APIMember("description", maybeText),
            APIMember("enum", .list(word), isOptional: true),
        ]),
        "RunSummary": .answer(runSummary), "Run": .extended("RunSummary", runDetail),
        "Node": .answer(node), "NodeDetail": .answer(nodeDetail),
        "Attempt": .answer([
            APIMember("number", .integer()), APIMember("startedAt", maybeMoment),
            APIMember("finishedAt", maybeMoment), APIMember("exitCode", maybeInteger),
            APIMember("logBytes", .integer()),
        ]),
        "Event": .answer([
            APIMember("id", .integer()), APIMember("at", .moment), APIMember("node", maybeText),
            APIMember("kind", word), APIMember("message", word),
        ]),
        "Artifact": .answer([
            APIMember("node", word), APIMember("nodeName", word), APIMember("name", word),
            APIMember("path", maybeText), APIMember("direction", word), APIMember("bytes", maybeInteger),
            APIMember("sha256", maybeText), APIMember("files", maybeInteger), APIMember("deleted", .flag),
            APIMember("kind", .choice(["file", "directory"])),
        ]),
        "Preview": .answer([
            APIMember("kind", .choice(["text", "json", "table", "image", "directory", "binary"])),
            APIMember("bytes", .integer()), APIMember("truncated", .flag), APIMember("url", word),
            APIMember("text", word, isOptional: true),
            APIMember(
                "table",
                .answer([APIMember("columns", .list(word)), APIMember("rows", .list(.list(word)))]),
                isOptional: true),
            APIMember("entries", .list(.any), isOptional: true),
        ]),
        "Log": .answer([
            APIMember("attempt", maybeInteger), APIMember("lines", .integer()),
            APIMember("bytes", .integer()), APIMember("complete", .flag),
        ]),
        "LogLine": .answer([
            APIMember("n", .integer()), APIMember("t", word), APIMember("c", word), APIMember("e", .flag),
            APIMember("s", word), APIMember("cut", .flag, isOptional: true),
            APIMember("node", word, isOptional: true),
        ]),
        "Series": .answer([
            APIMember("node", word), APIMember("nodeName", word), APIMember("attempt", .integer()),
            APIMember("name", word), APIMember("steps", .list(maybeNumber)),
            APIMember("values", .list(maybeNumber)), APIMember("times", .list(.integer())),
        ]),
        "Comparison": .answer([
            APIMember("runs", .list(.named("RunSummary"))), APIMember("parameters", .list(.any)),
            APIMember("metrics", .list(.any)), APIMember("artifacts", .list(.any)),
            APIMember("evaluations", .list(.any)),
        ]),
        "Pipeline": .answer(pipeline),
        "PipelineDetail": .extended(
            "Pipeline",
            [
                APIMember("manifest", .any), APIMember("yaml", word),
                APIMember(
                    "templates", .list(.answer([APIMember("name", word), APIMember("kind", word)]))),
            ]),
        "Schedule": .answer(schedule),
        "ScheduleDetail": .extended("Schedule", [APIMember("manifest", .any), APIMember("yaml", word)]),
        "Secret": .answer([
            APIMember("namespace", word), APIMember("name", word), APIMember("keys", .list(word)),
            APIMember("updatedAt", .moment),
        ]),
        "Overview": .answer([
            APIMember("version", word), APIMember("startedAt", .moment), APIMember("executor", maybeText),
            APIMember("storageProblem", maybeText), APIMember("namespaces", .list(word)),
            APIMember("revision", .integer()), APIMember("running", .integer()),
            APIMember("pending", .integer()), APIMember("hours", .list(.any)),
            APIMember("diskFreeBytes", maybeInteger), APIMember("slots", .optional(.any)),
        ]),
    ]

    private static let runSummary: [APIMember] = [
        APIMember("uid", word), APIMember("namespace", word), APIMember("name", word),
        APIMember("phase", runPhase), APIMember("message", word), APIMember("createdAt", .moment),
        APIMember("startedAt", maybeMoment), APIMember("finishedAt", maybeMoment),
        APIMember("revision", .integer()), APIMember("progress", word), APIMember("suspended", .flag),
        APIMember("pipeline", maybeText), APIMember("cron", maybeText), APIMember("creator", maybeText),
        APIMember("labels", .map(word)), APIMember("annotations", .map(word)),
        APIMember("parameters", .map(word)), APIMember("priority", .integer()),
        APIMember("medianSeconds", maybeNumber),
        APIMember(
            "metric", .optional(.answer([APIMember("name", word), APIMember("value", maybeNumber)]))),
        APIMember("archived", .flag),
    ]

    private static let runDetail: [APIMember] = [
        APIMember("entrypoint", maybeText), APIMember("arguments", .list(.named("Parameter"))),
        APIMember("nodes", .list(.named("Node"))), APIMember("outputs", .optional(.any)),
        APIMember("resubmittedFrom", maybeText), APIMember("conditions", .list(.any)),
        APIMember("resources", .map(.number())), APIMember("estimatedSeconds", maybeNumber),
    ]

    private static let nodeBasis: [APIMember] = [
        APIMember("id", word), APIMember("name", word), APIMember("displayName", word),
        APIMember("type", word), APIMember("phase", word), APIMember("message", word),
        APIMember("boundary", maybeText), APIMember("parents", .list(word)),
        APIMember("children", .list(word), isOptional: true), APIMember("startedAt", maybeMoment),
        APIMember("finishedAt", maybeMoment), APIMember("progress", word),
        APIMember("attempt", .integer()), APIMember("hook", .flag), APIMember("retryAttempt", .flag),
        APIMember("daemoned", .flag), APIMember("failureClass", maybeText),
        APIMember("waitingFor", maybeText), APIMember("exitCode", maybeInteger),
        APIMember("memoHit", .flag), APIMember("hasLog", .flag), APIMember("sequence", .integer()),
        APIMember(
            "batchSize",
            .optional(
                .answer([
                    APIMember("per_device_train_batch_size", .integer()),
                    APIMember("gradient_accumulation_steps", .integer()),
                ]))),
        APIMember(
            "suspend", .optional(.answer([APIMember("parameters", .list(.named("Parameter")))]))),
    ]

    private static let node =
        nodeBasis + [
            APIMember("template", maybeText), APIMember("inputs", .flag), APIMember("outputs", .flag),
        ]

    private static let sides: [APIMember] = [
        APIMember("parameters", .list(.named("Parameter"))), APIMember("artifacts", .list(.any)),
    ]

    private static let nodeDetail =
        nodeBasis + [
            APIMember("inputs", .answer(sides)),
            APIMember(
                "outputs",
                .answer(sides + [APIMember("result", maybeText), APIMember("exitCode", maybeText)])),
            APIMember("template", .any), APIMember("templateName", maybeText),
            APIMember("command", .optional(.list(word))),
            APIMember(
                "env", .list(.answer([APIMember("name", word), APIMember("value", word)]))),
            APIMember("image", maybeText), APIMember("exitExplained", maybeText),
            APIMember("likelyCause", maybeText), APIMember("resources", .any),
            APIMember("attempts", .list(.named("Attempt"))), APIMember("shell", word),
        ]

    private static let pipeline: [APIMember] = [
        APIMember("namespace", word), APIMember("name", word), APIMember("cluster", .flag),
        APIMember("description", maybeText), APIMember("parameters", .list(.named("Parameter"))),
        APIMember("generation", .integer()), APIMember("updatedAt", .moment),
        APIMember("runs", .list(.any)), APIMember("medianSeconds", maybeNumber),
    ]

    private static let schedule: [APIMember] = [
        APIMember("namespace", word), APIMember("name", word), APIMember("schedules", .list(word)),
        APIMember("timezone", maybeText), APIMember("words", word), APIMember("next", .list(.moment)),
        APIMember("suspended", .flag), APIMember("stopped", .flag),
        APIMember("concurrencyPolicy", word), APIMember("lastScheduledAt", maybeMoment),
        APIMember("lateSeconds", maybeNumber), APIMember("active", .list(word)),
        APIMember("runs", .list(.any)), APIMember("succeeded", .integer()),
        APIMember("failed", .integer()), APIMember("conditions", .list(.any)),
    ]
}
