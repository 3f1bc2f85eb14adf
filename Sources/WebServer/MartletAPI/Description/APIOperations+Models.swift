// What the routes of deployments and models take and give.

import Text

extension APIOperations {
    private static let namespace = APIParameter(
        "namespace", .text(maxLength: 253), "Only what is of this namespace.")

    static let deployments: [APIOperation] = [
        APIOperation(
            "MartletAPI_ListDeployments", parameters: [namespace],
            answer: APISchemas.page(.named("Deployment"))),
        APIOperation("MartletAPI_GetDeployment", answer: .named("Deployment")),
        APIOperation(
            "MartletAPI_GetDeploymentLog",
            parameters: [
                APIParameter("revision", .integer(1...1_000_000), "Only processes of this revision."),
                APIParameter("tail", .integer(1...10_000), "Lines at most.", standard: 200),
            ], answer: .answer([APIMember("lines", .list(.any))])),
        APIOperation(
            "MartletAPI_ScaleDeployment",
            body: .request([APIMember("replicas", .integer(1...32))]), answer: .named("Deployment")),
        APIOperation(
            "MartletAPI_RollBackDeployment",
            body: .request([APIMember("revision", .integer(1...1_000_000), isOptional: true)]),
            answer: .named("Deployment")),
        APIOperation("MartletAPI_DeleteDeployment", answer: .named("Deployment")),
    ]

    static let models: [APIOperation] = [
        APIOperation(
            "MartletAPI_ListModels",
            parameters: [
                namespace, APIParameter("name", .text(maxLength: 200), "Only versions of this name."),
                APIParameter("limit", .integer(1...10_000), "Versions at most.", standard: 500),
            ], answer: APISchemas.page(.named("Model"))),
        APIOperation(
            "MartletAPI_GetModel",
            parameters: [
                APIParameter(
                    "reference", .text(maxLength: 100), "A tag, a version such as v3, or digits of its hash.")
            ], answer: .named("ModelDetail")),
        APIOperation(
            "MartletAPI_TagModel",
            body: .request([
                APIMember("tag", .text(maxLength: 96, minLength: 1)),
                APIMember("reference", .text(maxLength: 100), isOptional: true),
            ]), answer: .named("Model")),
        APIOperation("MartletAPI_UntagModel", answer: .any),
        APIOperation(
            "MartletAPI_CollectModels",
            body: .request([
                APIMember("keep", .integer(0...10_000), isOptional: true),
                APIMember("ageSeconds", .number(0...1e9), isOptional: true),
                APIMember("dryRun", .flag, isOptional: true),
            ]), answer: APISchemas.page(.named("Model"), [APIMember("bytes", .integer())])),
    ]
}

extension APISchemas {
    private static let word = APISchema.text()
    private static let run = APISchema.answer([APIMember("uid", word), APIMember("name", word)])

    static let deploymentShapes: [String: APISchema] = [
        "Deployment": .answer([
            APIMember("name", word), APIMember("namespace", word),
            APIMember("place", .choice(["machine", "cluster"])),
            APIMember(
                "state", .choice(["deleting", "progressing", "failed", "ready", "degraded", "down"])),
            APIMember("model", word), APIMember("modelHash", word), APIMember("quant", word),
            APIMember("replicas", .integer()), APIMember("ready", .integer()),
            APIMember("active", .optional(.integer())), APIMember("wanted", .optional(.integer())),
            APIMember("url", word), APIMember("message", .optional(word)), APIMember("requests", .integer()),
            APIMember("failures", .integer()), APIMember("inFlight", .integer()),
            APIMember("createdAt", .moment), APIMember("updatedAt", .moment),
            APIMember("revisions", .list(.named("DeploymentRevision"))), APIMember("processes", .list(.any)),
        ]),
        "DeploymentRevision": .answer([
            APIMember("number", .integer()),
            APIMember("phase", .choice(["preparing", "progressing", "active", "retired", "failed"])),
            APIMember("message", word), APIMember("model", word), APIMember("modelHash", word),
            APIMember("quant", word), APIMember("run", run), APIMember("createdAt", .moment),
            APIMember("changedAt", .moment),
        ]),
        "Model": .answer(model),
        "ModelDetail": .extended(
            "Model",
            [
                APIMember("family", .list(.named("Model"))), APIMember("evaluations", .list(.any)),
                APIMember("deployments", .list(word)),
            ]),
    ]

    private static let model: [APIMember] = [
        APIMember("id", .integer()), APIMember("namespace", word), APIMember("name", word),
        APIMember("version", .integer()), APIMember("kind", .choice(["model", "adapter"])),
        APIMember("step", word), APIMember("sha256", word), APIMember("bytes", .integer()),
        APIMember("repository", word), APIMember("tags", .list(word)), APIMember("parents", .list(.any)),
        APIMember("run", run), APIMember("node", word), APIMember("parameters", .any),
        APIMember("metrics", .any), APIMember("inputs", .list(.any)), APIMember("codeVersion", .any),
        APIMember("createdAt", .moment), APIMember("deletedAt", .optional(.moment)),
    ]
}
