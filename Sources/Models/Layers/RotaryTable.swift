// Cosines and sines of the positions seen so far.

/// The tables that rotate queries and keys, grown as longer sequences come.
struct RotaryTable {
    private let configuration: ModelConfiguration
    private(set) var cosines: [Float] = []  // [positions, headDim / 2]
    private(set) var sines: [Float] = []  // [positions, headDim / 2]
    private(set) var positionCount = 0

    init(_ configuration: ModelConfiguration) {
        self.configuration = configuration
        grow(to: min(512, configuration.maxPositionEmbeddings))
    }

    /// Makes the tables hold at least `count` positions.
    mutating func grow(to count: Int) {
        guard count > positionCount else { return }
        let wanted = max(count, 2 * positionCount)
        let limit = configuration.maxPositionEmbeddings
        if case .dynamic = configuration.ropeScaling {
            // A position beyond the trained ones turns as slowly as a sequence that ends there asks for. Keys that
            // are cached keep their angle, as they do in transformers while it generates.
            append(positionCount..<max(positionCount, min(wanted, limit)), length: nil)
            while positionCount < wanted {
                append(positionCount..<positionCount + 1, length: positionCount + 1)
            }
        } else {
            append(positionCount..<wanted, length: nil)
        }
    }

    private mutating func append(_ positions: Range<Int>, length: Int?) {
        guard !positions.isEmpty else { return }
        let table = RotaryEmbedding(configuration, sequenceLength: length).table(positions: positions)
        cosines += table.cosines
        sines += table.sines
        positionCount = positions.upperBound
    }
}
