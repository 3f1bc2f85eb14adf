// A file of rows: one scan finds where they are, and any of them is read when it is its turn. The file stays
// on disk, so it may be larger than memory.
import Glibc
import Tensors
import Text

/// The records of one file by number. Sixteen bytes of memory for each.
final class RecordFile: Sendable {
    let path: String
    let format: DatasetFormat
    private let file: MappedFile
    private let records: [RecordPlace]
    /// The columns of a csv file.
    private let header: [String]

    /// - Throws: if the file cannot be read, or is not what its name says.
    init(path: String) throws(TrainingError) {
        guard let format = DatasetFormat(path: path) else {
            throw TrainingError(.badParameters, "\(path): unknown format", remedy: "rename the file")
        }
        self.path = path
        self.format = format
        do {
            file = try MappedFile(path: path)
        } catch {
            throw TrainingError(.badParameters, "\(path): \(error.problem)", remedy: error.remedy)
        }
        var scan = RecordScan(file.bytes)
        do {
            switch format {
            case .jsonl, .txt: try scan.findLines()
            case .json: try scan.findElements()
            case .csv: try scan.findRows()
            }
        } catch {
            throw TrainingError(.badData, "\(path):\(error.line): \(error.message)", remedy: scan.remedy)
        }
        // The scan touched every page; rows will be read again one by one.
        file.release(0..<file.bytes.count)
        var records = scan.places
        var header: [String] = []
        if format == .csv, let first = records.first {
            header = CSVRecord.fields(of: Self.bytes(of: first, in: file.bytes))
            records.removeFirst()
        }
        self.records = records
        self.header = header
    }

    var count: Int { records.count }

    var byteCount: Int { file.bytes.count }

    /// The line on which a record begins, from 1.
    func line(of record: Int) -> Int { Int(records[record].line) }

    /// The record as a row: an object, or `{"text": ...}` of a text file.
    func row(_ record: Int) throws(RowProblem) -> OrderedJSON {
        let bytes = Self.bytes(of: records[record], in: file.bytes)
        switch format {
        case .jsonl, .json:
            do {
                return try OrderedJSON(parsingUTF8: bytes)
            } catch {
                throw RowProblem("", "no JSON, at byte \(error.column) of the row: \(error.message)")
            }
        case .txt:
            let text = String(decoding: bytes, as: UTF8.self)
            return .object([OrderedJSON.Member(key: "text", value: .string(text))])
        case .csv:
            let fields = CSVRecord.fields(of: bytes)
            guard fields.count == header.count else {
                throw RowProblem("", "\(fields.count) fields, but the header has \(header.count)")
            }
            // Nothing between two commas is no value, as pandas has it.
            return .object(
                zip(header, fields).map { name, field in
                    OrderedJSON.Member(key: name, value: field.isEmpty ? .null : .string(field))
                })
        }
    }

    /// Gives back the memory of the pages with these records.
    func release(_ range: Range<Int>) {
        guard let first = range.first, let last = range.last else { return }
        file.release(Int(records[first].start)..<Int(records[last].start) + Int(records[last].length))
    }

    /// A digest of the size and of the first and last MiB: enough to tell the file from its later versions
    /// without reading all of it, together with its time.
    func identity(into hash: inout ContentDigest, withTime: Bool) {
        var status = stat()
        let isKnown = withTime && stat(path, &status) == 0
        let time = isKnown ? "\(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)" : ""
        hash.update(Array("file \(file.bytes.count) \(time)\n".utf8))
        let part = min(file.bytes.count, 1 << 20)
        hash.update(UnsafeRawBufferPointer(rebasing: file.bytes.prefix(part)))
        hash.update(UnsafeRawBufferPointer(rebasing: file.bytes.suffix(part)))
    }

    private static func bytes(of place: RecordPlace, in bytes: UnsafeRawBufferPointer) -> [UInt8] {
        let start = Int(place.start)
        return Array(bytes[start..<start + Int(place.length)])
    }
}

/// Where a record lies in its file.
struct RecordPlace: Sendable, Hashable {
    var start: UInt64
    var length: UInt32
    /// Counted from 1.
    var line: UInt32
}
