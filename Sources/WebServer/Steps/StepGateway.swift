// The door for pods: an address of its own, where steps fetch inputs and leave outputs. It knows no more than
// how to hand requests on; who may ask what is decided by whoever answers.

import Glibc
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
        /// A file to send instead; it is deleted when it was sent.
        package var file: String?

        package init(status: Int, bytes: [UInt8] = [], file: String? = nil) {
            self.status = status
            self.bytes = bytes
            self.file = file
        }
    }

    private let host: String
    private let port: Int
    private let bodyLimitBytes: Int
    private let heldLimitBytes: Int
    private let admits: @Sendable (String) -> Bool
    private let answer: @Sendable (Request) -> Answer

    /// Archives of inputs are made so many at a time: each reads and writes as fast as the disk lets it.
    private static let packingThreads = 2
    /// Pieces of outputs, metrics and results are written on as many.
    private static let takingThreads = 4

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
        guard let path = given.file else { return HTTPReply(status: given.status, body: .bytes(given.bytes)) }
        let file = open(path, O_RDONLY | O_CLOEXEC)
        unlink(path)
        guard file >= 0 else { return HTTPReply(status: 500) }
        let blob = OpenBlob(file)
        var status = stat()
        let size = fstat(file, &status) == 0 ? Int(status.st_size) : 0
        return HTTPReply(
            status: given.status, headers: [("Content-Length", "\(size)")],
            body: .stream { sink in
                try await sink.writeFile(blob.descriptor, from: 0, count: size, sent: { _ in })
            })
    }

    private static func offset(_ query: String) -> Int {
        for pair in query.split(separator: "&") where pair.hasPrefix("offset=") {
            return Int(pair.dropFirst("offset=".count)) ?? -1
        }
        return 0
    }
}
