// The rights of every route, written by hand: a route whose own value says something else fails the test.

@testable import WebServer

enum RouteTable {
    /// `METHOD | path | rights | reads or writes`; rights are open, signedIn, or of a role in a namespace, of a run or of
    /// everything.
    static let lines = """
        GET | / | open | reads
        GET | /api/martlet/v1/audit | cluster admin | reads
        GET | /api/martlet/v1/compare | signedIn | reads
        POST | /api/martlet/v1/definitions | signedIn | writes
        GET | /api/martlet/v1/deployments | signedIn | reads
        DELETE | /api/martlet/v1/deployments/{name} | run editor | writes
        GET | /api/martlet/v1/deployments/{name} | run viewer | reads
        GET | /api/martlet/v1/deployments/{name}/log | run viewer | reads
        POST | /api/martlet/v1/deployments/{name}/rollback | run editor | writes
        POST | /api/martlet/v1/deployments/{name}/scale | run editor | writes
        POST | /api/martlet/v1/event-bindings/{namespace} | namespace editor | writes
        DELETE | /api/martlet/v1/event-bindings/{namespace}/{name} | namespace editor | writes
        PUT | /api/martlet/v1/event-bindings/{namespace}/{name} | namespace editor | writes
        POST | /api/martlet/v1/lint | signedIn | reads
        GET | /api/martlet/v1/models | signedIn | reads
        POST | /api/martlet/v1/models/gc | cluster admin | writes
        GET | /api/martlet/v1/models/{namespace}/{name} | namespace viewer | reads
        POST | /api/martlet/v1/models/{namespace}/{name}/tags | namespace editor | writes
        DELETE | /api/martlet/v1/models/{namespace}/{name}/tags/{tag} | namespace editor | writes
        GET | /api/martlet/v1/overview | signedIn | reads
        GET | /api/martlet/v1/pipelines | signedIn | reads
        GET | /api/martlet/v1/pipelines/{namespace}/{name} | namespace viewer | reads
        GET | /api/martlet/v1/runs | signedIn | reads
        GET | /api/martlet/v1/runs/counts | signedIn | reads
        GET | /api/martlet/v1/runs/{uid} | run viewer | reads
        GET | /api/martlet/v1/runs/{uid}/artifacts | run viewer | reads
        GET | /api/martlet/v1/runs/{uid}/events | run viewer | reads
        GET | /api/martlet/v1/runs/{uid}/log | run viewer | reads
        GET | /api/martlet/v1/runs/{uid}/manifest | run viewer | reads
        GET | /api/martlet/v1/runs/{uid}/metrics | run viewer | reads
        GET | /api/martlet/v1/runs/{uid}/nodes/{node} | run viewer | reads
        GET | /api/martlet/v1/runs/{uid}/nodes/{node}/why | run viewer | reads
        GET | /api/martlet/v1/runs/{uid}/nodes/{node}/artifacts/{name}/preview | run viewer | reads
        GET | /api/martlet/v1/runs/{uid}/nodes/{node}/log | run viewer | reads
        GET | /api/martlet/v1/runs/{uid}/nodes/{node}/log/lines | run viewer | reads
        GET | /api/martlet/v1/runs/{uid}/nodes/{node}/log/raw | run viewer | reads
        GET | /api/martlet/v1/runs/{uid}/nodes/{node}/log/search | run viewer | reads
        GET | /api/martlet/v1/runs/{uid}/notifications | run viewer | reads
        POST | /api/martlet/v1/runs/{uid}/notifications/retry | run editor | writes
        GET | /api/martlet/v1/runs/{uid}/state | run viewer | reads
        GET | /api/martlet/v1/schedules | signedIn | reads
        GET | /api/martlet/v1/schedules/{namespace}/{name} | namespace viewer | reads
        POST | /api/martlet/v1/schedules/{namespace}/{name}/backfill | namespace editor | writes
        POST | /api/martlet/v1/schedules/{namespace}/{name}/run | namespace editor | writes
        GET | /api/martlet/v1/search | signedIn | reads
        GET | /api/martlet/v1/secrets | cluster admin | reads
        DELETE | /api/martlet/v1/secrets/{namespace}/{name} | namespace admin | writes
        PUT | /api/martlet/v1/secrets/{namespace}/{name} | namespace admin | writes
        DELETE | /api/martlet/v1/session | open | writes
        GET | /api/martlet/v1/session | open | reads
        POST | /api/martlet/v1/session | open | writes
        GET | /api/martlet/v1/stream | signedIn | reads
        POST | /api/martlet/v1/submit | signedIn | writes
        GET | /api/martlet/v1/tokens | cluster admin | reads
        POST | /api/martlet/v1/tokens | cluster admin | writes
        DELETE | /api/martlet/v1/tokens/{id} | cluster admin | writes
        GET | /deployments/{name}/v1/{path...} | run viewer | reads
        POST | /deployments/{name}/v1/{path...} | run viewer | reads
        GET | /hf/{path...} | signedIn | reads
        POST | /hf/{path...} | signedIn | reads
        GET | /api/v1/archived-workflows | signedIn | reads
        GET | /api/v1/archived-workflows-label-keys | signedIn | reads
        GET | /api/v1/archived-workflows-label-values | signedIn | reads
        DELETE | /api/v1/archived-workflows/{uid} | run editor | writes
        GET | /api/v1/archived-workflows/{uid} | run viewer | reads
        PUT | /api/v1/archived-workflows/{uid}/resubmit | run editor | writes
        PUT | /api/v1/archived-workflows/{uid}/retry | run editor | writes
        GET | /api/v1/cluster-workflow-templates | signedIn | reads
        POST | /api/v1/cluster-workflow-templates | cluster editor | writes
        POST | /api/v1/cluster-workflow-templates/lint | signedIn | reads
        DELETE | /api/v1/cluster-workflow-templates/{name} | cluster editor | writes
        GET | /api/v1/cluster-workflow-templates/{name} | signedIn | reads
        PUT | /api/v1/cluster-workflow-templates/{name} | cluster editor | writes
        GET | /api/v1/cron-workflows/{namespace} | namespace viewer | reads
        POST | /api/v1/cron-workflows/{namespace} | namespace editor | writes
        POST | /api/v1/cron-workflows/{namespace}/lint | namespace viewer | reads
        DELETE | /api/v1/cron-workflows/{namespace}/{name} | namespace editor | writes
        GET | /api/v1/cron-workflows/{namespace}/{name} | namespace viewer | reads
        PUT | /api/v1/cron-workflows/{namespace}/{name} | namespace editor | writes
        PUT | /api/v1/cron-workflows/{namespace}/{name}/resume | namespace editor | writes
        PUT | /api/v1/cron-workflows/{namespace}/{name}/suspend | namespace editor | writes
        GET | /api/v1/event-sources/{namespace} | namespace viewer | reads
        POST | /api/v1/event-sources/{namespace} | namespace editor | writes
        DELETE | /api/v1/event-sources/{namespace}/{name} | namespace editor | writes
        GET | /api/v1/event-sources/{namespace}/{name} | namespace viewer | reads
        PUT | /api/v1/event-sources/{namespace}/{name} | namespace editor | writes
        POST | /api/v1/events/{namespace} | namespace editor | writes
        POST | /api/v1/events/{namespace}/{discriminator} | namespace editor | writes
        GET | /api/v1/info | signedIn | reads
        GET | /api/v1/sensors/{namespace} | namespace viewer | reads
        POST | /api/v1/sensors/{namespace} | namespace editor | writes
        DELETE | /api/v1/sensors/{namespace}/{name} | namespace editor | writes
        GET | /api/v1/sensors/{namespace}/{name} | namespace viewer | reads
        PUT | /api/v1/sensors/{namespace}/{name} | namespace editor | writes
        GET | /api/v1/stream/event-sources/{namespace} | namespace viewer | reads
        GET | /api/v1/stream/event-sources/{namespace}/logs | namespace viewer | reads
        GET | /api/v1/stream/events/{namespace} | namespace viewer | reads
        GET | /api/v1/stream/sensors/{namespace} | namespace viewer | reads
        GET | /api/v1/stream/sensors/{namespace}/logs | namespace viewer | reads
        POST | /api/v1/sync/{namespace} | namespace editor | writes
        DELETE | /api/v1/sync/{namespace}/{key} | namespace editor | writes
        GET | /api/v1/sync/{namespace}/{key} | namespace viewer | reads
        PUT | /api/v1/sync/{namespace}/{key} | namespace editor | writes
        POST | /api/v1/tracking/event | signedIn | reads
        GET | /api/v1/userinfo | signedIn | reads
        GET | /api/v1/version | signedIn | reads
        GET | /api/v1/workflow-event-bindings/{namespace} | namespace viewer | reads
        GET | /api/v1/workflow-events/{namespace} | namespace viewer | reads
        GET | /api/v1/workflow-templates/{namespace} | namespace viewer | reads
        POST | /api/v1/workflow-templates/{namespace} | namespace editor | writes
        POST | /api/v1/workflow-templates/{namespace}/lint | namespace viewer | reads
        DELETE | /api/v1/workflow-templates/{namespace}/{name} | namespace editor | writes
        GET | /api/v1/workflow-templates/{namespace}/{name} | namespace viewer | reads
        PUT | /api/v1/workflow-templates/{namespace}/{name} | namespace editor | writes
        GET | /api/v1/workflows/{namespace} | namespace viewer | reads
        POST | /api/v1/workflows/{namespace} | namespace editor | writes
        POST | /api/v1/workflows/{namespace}/lint | namespace viewer | reads
        POST | /api/v1/workflows/{namespace}/submit | namespace editor | writes
        DELETE | /api/v1/workflows/{namespace}/{name} | namespace editor | writes
        GET | /api/v1/workflows/{namespace}/{name} | namespace viewer | reads
        GET | /api/v1/workflows/{namespace}/{name}/log | namespace viewer | reads
        PUT | /api/v1/workflows/{namespace}/{name}/resubmit | namespace editor | writes
        PUT | /api/v1/workflows/{namespace}/{name}/resume | namespace editor | writes
        PUT | /api/v1/workflows/{namespace}/{name}/retry | namespace editor | writes
        PUT | /api/v1/workflows/{namespace}/{name}/set | namespace editor | writes
        PUT | /api/v1/workflows/{namespace}/{name}/stop | namespace editor | writes
        PUT | /api/v1/workflows/{namespace}/{name}/suspend | namespace editor | writes
        PUT | /api/v1/workflows/{namespace}/{name}/terminate | namespace editor | writes
        GET | /api/v1/workflows/{namespace}/{name}/{podName}/log | namespace viewer | reads
        GET | /artifact-files/{namespace}/{idDiscriminator}/{id}/{nodeId}/{artifactDiscriminator}/{artifactName} | namespace viewer | reads
        GET | /artifact-files/{namespace}/{idDiscriminator}/{id}/{nodeId}/{artifactDiscriminator}/{artifactName}/{path...} | namespace viewer | reads
        GET | /artifacts-by-uid/{uid}/{nodeId}/{artifactName} | run viewer | reads
        GET | /artifacts/{namespace}/{name}/{nodeId}/{artifactName} | namespace viewer | reads
        GET | /healthz | open | reads
        GET | /input-artifacts-by-uid/{uid}/{nodeId}/{artifactName} | run viewer | reads
        GET | /input-artifacts/{namespace}/{name}/{nodeId}/{artifactName} | namespace viewer | reads
        GET | /metrics | signedIn | reads
        GET | /openapi.json | open | reads
        GET | /readyz | open | reads
        """.split(separator: "\n").map(String.init)

    static func line(of route: ServiceRoute) -> String {
        let access =
            switch route.access {
            case .open: "open"
            case .signedIn: "signedIn"
            case .namespaced(let role): "namespace \(role.rawValue)"
            case .run(let role): "run \(role.rawValue)"
            case .cluster(let role): "cluster \(role.rawValue)"
            }
        return "\(route.method) | \(route.pattern) | \(access) | \(route.isWrite ? "writes" : "reads")"
    }
}
