// The door for pods: an address of its own, where steps fetch inputs and leave outputs. It knows no more than
// how to hand requests on; who may ask what is decided by whoever answers.

package import Artifacts
import Logging
import NIOCore
import NIOPosix

/// Listens for the steps' requests.
package struct StepGateway: Sendable {
    /// One request of a step.
    package struct Request: Sendable {
        package var method: String
        package var path: String
        /// `offset` of the query.
        package var offset: Int
        package var authorization: String
        package var body: [UInt8]
    }

    package struct Answer: Sendable {
        package var status: Int
        package var bytes: [UInt8]
        /// Sent instead, as it comes.
        package var pipe: CommandPipe?

        package init(status: Int, bytes: [UInt8] = [], pipe: CommandPipe? = nil) {
            self.status = status
            self.bytes = bytes
            self.pipe = pipe
        }
    }

    private let host: String
    private let port: Int
    private let bodyLimitBytes: Int
    private let heldLimitBytes: Int
    private let admits: @Sendable (String) -> Bool
    private let answer: @Sendable (Request) -> Answer

    /// Archives of inputs are made and read on so many: each reads as fast as the disk lets it.
    private static let packingThreads = 2
    /// Pieces of outputs, metrics and results are written on so many.
    private static let takingThreads = 4
    private static let pieceBytes = 512 << 10

    /// - Parameters:
    ///   - bodyLimitBytes: of one request.
    ///   - heldLimitBytes: of the bodies of all requests together; beyond it a step is asked to come again.
    ///   - admits: whether an `Authorization` header is good for anything; asked before a body is read. Must be
    ///     quick.
    ///   - answer: may block; it is called on a thread of its own.
    package init(
        host: String, port: Int, bodyLimitBytes: Int, heldLimitBytes: Int = 128 << 20,
        admits: @escaping @Sendable (String) -> Bool, answer: @escaping @Sendable (Request) -> Answer
    ) {
        self.heldLimitBytes = heldLimitBytes
        self.admits = admits
        self.host = host
        self.port = port
        self.bodyLimitBytes = bodyLimitBytes
        self.answer = answer
    }

    /// Serves until the task is cancelled.
    /// - Parameter onReady: called once with the port.
    package func run(onReady: @escaping @Sendable (Int) -> Void) async throws {
        var logger = Logger(label: "martlet.steps")
        logger.logLevel = .error
        // Threads of their own: what waits for a disk here holds nobody else up, and large inputs no results.
        let packing = NIOThreadPool(numberOfThreads: Self.packingThreads)
        let taking = NIOThreadPool(numberOfThreads: Self.takingThreads)
        packing.start()
        taking.start()
        let server = HTTPServer(
            settings: .init(
                host: host, port: port, maxConnections: 4096, idleTimeout: .seconds(120),
                bodyTimeout: .seconds(300), drainTimeout: .seconds(2), writeTimeout: .seconds(300),
                limitsStreamWrites: true, maxBodyBytes: heldLimitBytes),
            logger: logger, surroundings: .system, onDrain: {},
            respond: { try await respond(to: $0, $0.method == "GET" ? packing : taking) })
        let result: Result<Void, any Error>
        do {
            result = .success(try await server.run(onReady: onReady))
        } catch {
            result = .failure(error)
        }
        for pool in [packing, taking] { try? await pool.shutdownGracefully() }
        try result.get()
    }

    private func respond(to call: HTTPCall, _ threads: NIOThreadPool) async throws -> HTTPReply {
        // Before the body: who has no token may not fill the memory either.
        guard admits(call.headers["authorization"] ?? "") else {
            return HTTPReply(status: 401, body: .bytes(Array("the token is not good here\n".utf8)))
        }
        let body: [UInt8]
        do {
            body = try await call.readBody(bodyLimitBytes)
        } catch let error as APIError {
            // When too much is held already, a step comes again.
            return HTTPReply(status: error.status, body: .bytes(Array("\(error.message)\n".utf8)))
        }
        let request = Request(
            method: call.method, path: call.path, offset: Self.offset(call.query),
            authorization: call.headers["authorization"] ?? "", body: body)
        let answer = answer
        let given = try await threads.runIfActive { answer(request) }
        guard let pipe = given.pipe else { return HTTPReply(status: given.status, body: .bytes(given.bytes)) }
        // Its length is not known before its end; where it breaks off, the end is missing, and the step asks again.
        return HTTPReply(
            status: given.status,
            body: .stream { sink in
                while true {
                    let piece = try await threads.runIfActive { try pipe.read(limitBytes: Self.pieceBytes) }
                    if piece.isEmpty { return }
                    try await sink.write(piece)
                }
            })
    }

    private static func offset(_ query: String) -> Int {
        for pair in query.split(separator: "&") where pair.hasPrefix("offset=") {
            return Int(pair.dropFirst("offset=".count)) ?? -1
        }
        return 0
    }
}
