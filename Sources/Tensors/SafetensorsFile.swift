// One safetensors file, mapped into memory: opening costs the header, tensors are read when they are touched.

/// An open safetensors file. See `MappedFile` for what happens to files that are changed in place.
package final class SafetensorsFile: Sendable {
    package let path: String
    /// The strings under `__metadata__`, usually `format`.
    package let metadata: [String: String]
    /// The names of the tensors, sorted by their bytes.
    package let names: [String]
    private let mapping: MappedFile
    private let entries: [TensorName: SafetensorsHeader.Entry]

    /// - Throws: for a file that is not exactly what its header says; the error names file, tensor and remedy.
    package init(path: String) throws(SafetensorsError) {
        let mapping: MappedFile
        do throws(FileError) {
            mapping = try MappedFile(path: path)
        } catch {
            throw SafetensorsError(error)
        }
        let header = try SafetensorsHeader(
            parsing: mapping.bytes, fileByteCount: mapping.bytes.count, file: path)
        self.path = path
        self.mapping = mapping
        metadata = header.metadata
        names = header.entries.map(\.name).sorted(by: TensorName.precedes)
        var entries: [TensorName: SafetensorsHeader.Entry] = [:]
        entries.reserveCapacity(header.entries.count)
        for entry in header.entries { entries[TensorName(entry.name)] = entry }
        self.entries = entries
    }

    /// The tensor of that name, compared byte by byte; nil if the file has none.
    package func tensor(_ name: String) -> TensorView? {
        entries[TensorName(name)].map { TensorView(mapping: mapping, entry: $0) }
    }

    /// Bytes of all tensors together.
    package var tensorByteCount: Int { entries.values.reduce(0) { $0 + $1.byteRange.count } }

    /// Gives the memory of all pages back; what is touched again is read again.
    package func release() { mapping.release(0..<mapping.bytes.count) }

    /// Asks the system to read the whole file ahead.
    package func prefetch() { mapping.prefetch(0..<mapping.bytes.count) }
}
