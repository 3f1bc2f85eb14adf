// The tensors of `reference.safetensors`, as lists of numbers and of texts.

import Tensors

struct ReferenceTensors {
    /// A text without its padding.
    struct MaskedText {
        var ids: [Int32]
        /// Where its tokens stand in the padded row.
        var columns: [Int]
        /// Length of the padded row.
        var width: Int
    }

    private let file: SafetensorsFile

    init(_ folder: GoldenFolder) throws {
        file = try SafetensorsFile(path: folder.path(of: "reference.safetensors"))
    }

    func has(_ name: String) -> Bool { file.tensor(name) != nil }

    func shape(_ name: String) -> [Int] { file.tensor(name)?.shape ?? [] }

    func floats(_ name: String) -> [Float]? { file.tensor(name)?.floats() }

    /// The rows of a matrix of ids; nil if there is none of that name.
    func rows(_ name: String) throws -> [[Int32]]? {
        guard let tensor = file.tensor(name) else { return nil }
        guard tensor.shape.count == 2, tensor.elementCount > 0 else {
            throw GoldenError("\(file.path): \(name) is not a matrix of ids")
        }
        // Ids are far below the numbers that a float has no exact value for.
        let values = try tensor.floats().map { value in
            guard let id = Int32(exactly: value) else {
                throw GoldenError("\(file.path): \(name) has \(value), which is not an id")
            }
            return id
        }
        let width = tensor.shape[1]
        return stride(from: 0, to: values.count, by: width).map { Array(values[$0..<$0 + width]) }
    }

    /// The texts of `PREFIX.input_ids` where `PREFIX.attention_mask` is not 0; nil if there are none.
    func maskedRows(_ prefix: String) throws -> [MaskedText]? {
        guard let rows = try rows("\(prefix).input_ids"),
            let masks = try self.rows("\(prefix).attention_mask")
        else { return nil }
        let positions = try self.rows("\(prefix).position_ids")
        return try zip(rows, masks).enumerated().map { row, pair in
            let (ids, mask) = pair
            let columns = ids.indices.filter { mask.indices.contains($0) && mask[$0] != 0 }
            guard let first = columns.first, columns.elementsEqual(first..<first + columns.count) else {
                throw GoldenError("\(file.path): row \(row) of \(prefix) is not one piece of text")
            }
            if let positions, columns.contains(where: { positions[row][$0] != Int32($0 - first) }) {
                throw GoldenError(
                    "\(file.path): row \(row) of \(prefix) has positions that do not count from 0")
            }
            return MaskedText(ids: columns.map { ids[$0] }, columns: columns, width: ids.count)
        }
    }
}
