// Calibration texts on their way through a model of which only one layer is in memory at a time.

import CKernels
import Glibc
import Tensors

/// Zeroed memory for hidden states: of the process where it is small enough, else of a file that has no name
/// any more, so that the system may write it out and nothing of it outlives the process.
final class ActivationMemory {
    let floats: UnsafeMutablePointer<Float>
    private let region: MemoryRegion?
    private let mappedByteCount: Int

    /// - Parameters:
    ///   - directory: where the file is made if more than `limitBytes` are needed.
    init(floatCount: Int, directory: String, limitBytes: Int) throws {
        let byteCount = max(floatCount, 1) * 4
        if byteCount <= limitBytes {
            let region = try MemoryRegion(byteCount: byteCount, purpose: "calibration")
            (floats, self.region, mappedByteCount) = (region.floats, region, 0)
            return
        }
        let path = "\(directory)/.activations-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
        let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw FileError(errno: errno, path: directory, while: "create") }
        defer { close(descriptor) }
        unlink(path)
        // Room is taken now: a full disk would otherwise be a signal at some write.
        let status = posix_fallocate(descriptor, 0, off_t(byteCount))
        guard status == 0 else { throw FileError(errno: status, path: directory, while: "make room in") }
        let address = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        guard let address, address != MAP_FAILED else {
            throw FileError(errno: errno, path: directory, while: "map")
        }
        (floats, region) = (address.assumingMemoryBound(to: Float.self), nil)
        mappedByteCount = byteCount
    }

    deinit {
        if mappedByteCount > 0 { munmap(floats, mappedByteCount) }
    }
}

/// Sequences and their hidden states after the layers done so far.
final class CalibrationStream {
    let sequences: [[Int32]]
    /// Sequences that go through a layer together.
    let batches: [Range<Int>]
    private let starts: [Int]
    private let hiddenSize: Int
    private let memory: ActivationMemory

    /// - Parameter batchTokens: what a batch may have, unless it is a single longer sequence.
    init(
        _ sequences: [[Int32]], hiddenSize: Int, batchTokens: Int, directory: String, limitBytes: Int
    ) throws {
        self.sequences = sequences
        self.hiddenSize = hiddenSize
        var starts = [0]
        var batches: [Range<Int>] = []
        for (index, sequence) in sequences.enumerated() {
            if let last = batches.last,
                starts[index] + sequence.count - starts[last.lowerBound] <= batchTokens
            {
                batches[batches.count - 1] = last.lowerBound..<index + 1
            } else {
                batches.append(index..<index + 1)
            }
            starts.append(starts[index] + sequence.count)
        }
        (self.starts, self.batches) = (starts, batches)
        memory = try ActivationMemory(
            floatCount: (starts.last ?? 0) * hiddenSize, directory: directory, limitBytes: limitBytes)
    }

    var tokenCount: Int { starts.last ?? 0 }

    func tokens(of batch: Range<Int>) -> Int { starts[batch.upperBound] - starts[batch.lowerBound] }

    /// Hidden states of a batch, [tokens, hiddenSize].
    func hidden(of batch: Range<Int>) -> UnsafeMutablePointer<Float> {
        memory.floats + starts[batch.lowerBound] * hiddenSize
    }

    func embed(by embedding: Embedding) {
        for batch in batches {
            embedding.forward(
                sequences[batch].flatMap { $0 }, hiddenSize: hiddenSize, into: hidden(of: batch))
        }
    }

    /// The batch as a step over a cache of its own.
    func step(of batch: Range<Int>) -> ForwardBatch {
        var step = ForwardBatch()
        var block = 0
        for sequence in sequences[batch] {
            let first = block * KVCache.blockSize
            let blocks = (sequence.count + KVCache.blockSize - 1) / KVCache.blockSize
            step.append(
                sequence, start: 0, slots: (first..<first + sequence.count).map { Int32($0) },
                blockTable: (block..<block + blocks).map { Int32($0) })
            block += blocks
        }
        return step
    }

    /// Blocks of the cache that a batch needs.
    func blockCount(of batch: Range<Int>) -> Int {
        sequences[batch].reduce(0) { $0 + ($1.count + KVCache.blockSize - 1) / KVCache.blockSize }
    }
}

/// Runs one decoder layer at a time over streams.
final class LayerRunner {
    let pool: ThreadPool
    private let workspace: Workspace
    private let cache: KVCache
    private let hiddenSize: Int
    private let checkCancellation: () throws -> Void

    /// - Parameters:
    ///   - example: a layer, as all have products of the same sizes.
    ///   - checkCancellation: called before each batch; what it throws ends the run.
    init(
        _ configuration: ModelConfiguration, streams: [CalibrationStream], example: DecoderLayer,
        pool: ThreadPool, checkCancellation: @escaping () throws -> Void
    ) throws {
        let tokens = streams.flatMap { stream in stream.batches.map(stream.tokens(of:)) }.max() ?? 1
        let blocks = streams.flatMap { stream in stream.batches.map(stream.blockCount(of:)) }.max() ?? 1
        let linears = [
            example.attention.qkv, example.attention.output, example.feedForward.gateUp,
            example.feedForward.down,
        ]
        let bytes = linears.map {
            $0.weights.scratchByteCount(rows: tokens, threads: pool.threadCount)
        }
        workspace = try Workspace(
            configuration, maxTokens: tokens, productByteCount: bytes.max() ?? 0, pool: pool)
        var single = configuration
        single.numHiddenLayers = 1
        let isHalf = ![.float32, .float16].contains(example.attention.qkv.weights.format)
        cache = try KVCache(single, blockCount: blocks, isHalf: isHalf)
        (self.pool, hiddenSize, self.checkCancellation) = (pool, configuration.hiddenSize, checkCancellation)
    }

    /// Sends a stream through a layer.
    func run(_ layer: DecoderLayer, _ stream: CalibrationStream) throws {
        for batch in stream.batches {
            try checkCancellation()
            workspace.begin(stream.step(of: batch))
            layer.forward(stream.hidden(of: batch), layer: 0, cache: cache, workspace)
        }
    }

    /// Shows what goes into each linear layer of `layer`; the stream stays before it.
    func observe(
        _ layer: DecoderLayer, _ stream: CalibrationStream,
        _ body: @escaping (Linear, UnsafePointer<Float>, Int, Int) -> Void
    ) throws {
        workspace.observe = body
        defer { workspace.observe = nil }
        for batch in stream.batches {
            try checkCancellation()
            let count = stream.tokens(of: batch)
            workspace.begin(stream.step(of: batch))
            workspace.hidden.update(from: stream.hidden(of: batch), count: count * hiddenSize)
            layer.forward(workspace.hidden, layer: 0, cache: cache, workspace)
        }
    }

    /// The mean negative log-likelihood of each sequence's tokens after its first, of streams behind the last
    /// layer.
    func meanLoss(_ stream: CalibrationStream, norm: RMSNorm, head: PackedWeights) throws -> Double {
        let rows = 64
        let scratch = try MemoryRegion(
            byteCount: head.scratchByteCount(rows: rows, threads: pool.threadCount),
            purpose: "the output layer")
        let logits = try MemoryRegion(byteCount: rows * head.rows * 4, purpose: "logits")
        defer { withExtendedLifetime((scratch, logits)) {} }
        var (sum, count) = (0.0, 0)
        for batch in stream.batches {
            try checkCancellation()
            var targets: [Int32] = []
            for sequence in stream.sequences[batch] { targets += sequence.dropFirst() + [-1] }
            let hidden = stream.hidden(of: batch)
            for first in stride(from: 0, to: targets.count, by: rows) {
                let part = min(rows, targets.count - first)
                let x = hidden + first * hiddenSize
                norm.forward(
                    x, count: part, xStride: hiddenSize, into: workspace.normed, yStride: hiddenSize,
                    workspace)
                head.multiply(
                    workspace.normed, count: part, xStride: hiddenSize, bias: nil, into: logits.floats,
                    yStride: head.rows, scratch: scratch.start, pool: pool)
                for row in 0..<part where targets[first + row] >= 0 {
                    let values = UnsafeBufferPointer(start: logits.floats + row * head.rows, count: head.rows)
                    sum += Self.loss(values, target: Int(targets[first + row]))
                    count += 1
                }
            }
        }
        return count > 0 ? sum / Double(count) : .nan
    }

    private static func loss(_ logits: UnsafeBufferPointer<Float>, target: Int) -> Double {
        let largest = logits.reduce(-Float.infinity) { max($0, $1) }
        let sum = logits.reduce(0.0) { $0 + Double(expf($1 - largest)) }
        return log(sum) + Double(largest - logits[target])
    }
}
