// What tells one model from another in reports, without reading all of its weights.

import Crypto
import Glibc

package enum ModelIdentity {
    /// Places in a file of weights that are looked at, besides its beginning.
    private static let samples = 256
    private static let sampleBytes = 4096
    private static let headBytes = 1 << 20
    /// Configurations and vocabularies are read up to here.
    private static let wholeBytes = 64 << 20

    /// The digest of a directory: names and sizes of its weights and JSON files, the JSON files' content,
    /// and of the weights the first MiB and 256 pieces spread over each file. Training changes all weights,
    /// so that two models of one shape differ in some piece; that the bytes are all the same it does not
    /// prove.
    /// - Returns: SHA-256 in hexadecimal digits.
    package static func digest(directory: String) -> String {
        var hash = SHA256()
        for name in names(in: directory) {
            let path = "\(directory)/\(name)"
            let descriptor = open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            var status = stat()
            guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
            let size = Int(status.st_size)
            hash.update(data: Array("\(name) \(size)\n".utf8))
            let isWhole = name.hasSuffix(".json") || name.hasSuffix(".jinja")
            update(&hash, descriptor, at: 0, count: min(size, isWhole ? wholeBytes : headBytes))
            guard !isWhole, size > headBytes else { continue }
            for index in 0..<samples {
                let place = headBytes + (size - headBytes) / samples * index
                update(&hash, descriptor, at: place, count: min(sampleBytes, size - place))
            }
            update(&hash, descriptor, at: max(0, size - sampleBytes), count: sampleBytes)
        }
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: hash.finalize().flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    private static func update(_ hash: inout SHA256, _ descriptor: Int32, at place: Int, count: Int) {
        var buffer = [UInt8](repeating: 0, count: max(0, min(count, 1 << 16)))
        var done = 0
        while done < count, !buffer.isEmpty {
            let length = pread(descriptor, &buffer, min(buffer.count, count - done), off_t(place + done))
            if length < 0 && errno == EINTR { continue }
            guard length > 0 else { return }
            hash.update(data: buffer[..<length])
            done += length
        }
    }

    private static func names(in directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            let isPart = [".json", ".jinja", ".safetensors"].contains { name.hasSuffix($0) }
            if isPart, !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }
}
