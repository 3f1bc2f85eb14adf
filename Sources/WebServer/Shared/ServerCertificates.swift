// TLS for a listening server: certificate and key from files, read again when they were renewed.

import HummingbirdCore
import Logging
import NIOCore
import NIOSSL
import Synchronization

/// The files of a certificate chain and its key, both PEM.
package struct TLSFiles: Sendable, Hashable {
    package var certificate: String
    package var key: String

    package init(certificate: String, key: String) {
        self.certificate = certificate
        self.key = key
    }
}

/// Why certificates cannot be used, in words for people.
package struct CertificateError: Error, Sendable, CustomStringConvertible {
    package var description: String
}

/// The certificates that new connections are greeted with. Those that are open keep theirs.
final class ServerCertificates: Sendable {
    private let files: TLSFiles
    private let current: Mutex<NIOSSLContext>

    /// - Throws: `CertificateError` if a file cannot be read, or key and certificate do not belong together.
    init(_ files: TLSFiles) throws {
        self.files = files
        current = Mutex(try Self.context(files))
    }

    var context: NIOSSLContext { current.withLock { $0 } }

    /// Reads the files again. On an error the old certificates stay.
    func reload() throws {
        let context = try Self.context(files)
        current.withLock { $0 = context }
    }

    private static func context(_ files: TLSFiles) throws -> NIOSSLContext {
        let chain: [NIOSSLCertificate]
        let key: NIOSSLPrivateKey
        do {
            chain = try NIOSSLCertificate.fromPEMFile(files.certificate)
        } catch {
            throw CertificateError(
                description: "\(files.certificate) is no readable file of PEM certificates (\(error)); give "
                    + "--tls-cert the server's certificate followed by those that signed it")
        }
        do {
            key = try NIOSSLPrivateKey(file: files.key, format: .pem)
        } catch {
            throw CertificateError(
                description: "\(files.key) is no readable PEM key without a passphrase (\(error))")
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw CertificateError(
                description: "\(files.certificate) and \(files.key) cannot be used together (\(error)); "
                    + "is the key that of the first certificate?")
        }
    }
}

/// A connection of HTTP/1.1, inside TLS where there are certificates.
struct SecurableChannel: ServerChildChannel {
    let plain: HTTP1Channel
    let certificates: ServerCertificates?

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
        guard let certificates else { return plain.setup(channel: channel, logger: logger) }
        // A connection keeps what it was opened with; the next one may get what a reload has brought.
        let context = certificates.context
        return channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
        }.flatMap { plain.setup(channel: channel, logger: logger) }
    }

    func handle(value: HTTP1Channel.Value, logger: Logger) async {
        await plain.handle(value: value, logger: logger)
    }
}
