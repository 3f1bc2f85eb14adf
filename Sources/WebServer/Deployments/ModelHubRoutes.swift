// `/hf`: the models that runs have made, for Hugging Face's clients. The hub's own routes answer, over the
// folder where models are recorded; who may see which namespace is decided here.

import Controller
import Glibc
import Logging
import NIOPosix
import Persistence
import Synchronization
import Text

struct ModelHubRoutes: RouteGroup {
    static let prefix = "/hf"

    private let hub: ModelHub

    init(_ context: ServiceContext) { hub = ModelHub(context) }

    var routes: [ServiceRoute] {
        ["GET", "POST"].map { method in
            ServiceRoute(
                method, Self.prefix + "/{path...}", "Hub_\(method == "GET" ? "Read" : "AskPaths")", .signedIn,
                isWrite: false, bodyLimitBytes: 1 << 20
            ) { try await hub.answer($0) }
        }
    }
}

/// The hub over the folder of models, made when it is first asked.
private final class ModelHub: Sendable {
    private let context: ServiceContext
    private let routes = Mutex<HubRoutes?>(nil)

    init(_ context: ServiceContext) { self.context = context }

    private var models: ModelOperations {
        ModelOperations(
            store: context.store, artifacts: context.artifacts, dataDirectory: context.dataDirectory,
            version: context.version, now: context.now)
    }

    func answer(_ request: ServiceRequest) async throws -> HTTPReply {
        var call = request.call
        // What follows the prefix as it was sent: revisions may hold escaped slashes.
        call.path = String(call.path.dropFirst(ModelHubRoutes.prefix.count))
        do {
            try Self.check(try HubRoute.find(call.path), request.principal)
        } catch let error as HubError {
            return error.reply(.huggingFace, requestID: request.id)
        }
        try await models.refresh()
        return try await made().respond(to: call, isBehindRedirect: false)
    }

    /// A repository is its namespace's; the list of all is for who may see all.
    private static func check(_ route: HubRoute, _ principal: Principal) throws {
        switch route {
        case .info(let name, _), .tree(let name, _, _), .pathsInfo(let name, _), .references(let name),
            .authCheck(let name), .resolve(let name, _, _), .scopeInfo(let name), .scopeFiles(let name),
            .scopeRevisions(let name), .scopeDownload(let name):
            guard principal.may(.viewer, in: name.owner ?? "default") else {
                throw HubError.repositoryNotFound(name)
            }
        case .list:
            guard principal.mayEverywhere(.viewer) else {
                throw ServiceError.forbidden(
                    "the list of all models needs the role viewer in all namespaces; ask for a model by its name"
                )
            }
        case .whoAmI, .statistics, .health: break
        }
    }

    private func made() async throws -> HubRoutes {
        if let made = routes.withLock({ $0 }) { return made }
        let context = context
        let made = try await NIOThreadPool.singleton.runIfActive {
            let folder = context.dataDirectory + "/models"
            guard mkdir(folder, 0o755) == 0 || errno == EEXIST else {
                throw ServiceError.unavailable("\(folder) cannot be created")
            }
            var settings = HubServingSettings(directory: folder)
            settings.pathPrefix = ModelHubRoutes.prefix
            settings.isMounted = true
            let library = HubLibrary(
                scan: try RepositoryScan(directory: folder),
                digests: try FileDigests(stateDirectory: folder + "/.digests"), pool: .singleton,
                freshness: settings.freshness, now: context.surroundings.now)
            return HubRoutes(
                settings: settings, surroundings: context.surroundings, library: library,
                logger: context.logger)
        }
        // Two that were made at once are as good as one.
        return routes.withLock { routes in
            if let routes { return routes }
            routes = made
            return made
        }
    }
}
