// What a machine must be able to compute so that models train on it. Layers and trainers know nothing else, so that
// another backend stands beside the one for processors without touching them.

/// The arithmetic of matrix products.
package enum Precision: String, Sendable, Hashable, CaseIterable {
    case float32
    /// Operands rounded to bf16, sums in fp32.
    case bfloat16
}

/// A row of rotary angles for each position: cosines and sines, [positions, headDim / 2], F32.
package struct RotaryAngles: Sendable {
    package let cosines: Matrix
    package let sines: Matrix

    package init(cosines: Matrix, sines: Matrix) {
        self.cosines = cosines
        self.sines = sines
    }
}

/// The shape of an attention and what it keeps.
package struct AttentionShape: Sendable {
    package let heads: Int
    package let keyValueHeads: Int
    package let headDim: Int
    /// How many tokens of its sequence one sees, itself included; 0 for all before it.
    package let window: Int

    package init(heads: Int, keyValueHeads: Int, headDim: Int, window: Int) {
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.headDim = headDim
        self.window = window
    }
}

/// One step of an optimizer over one parameter.
package struct ParameterUpdate: Sendable {
    /// F32, contiguous.
    package let parameter: Matrix
    package let gradient: Matrix
    package let gradientFactor: Float
    package let learningRate: Float
    package let weightDecay: Float

    package init(
        parameter: Matrix, gradient: Matrix, gradientFactor: Float, learningRate: Float, weightDecay: Float
    ) {
        self.parameter = parameter
        self.gradient = gradient
        self.gradientFactor = gradientFactor
        self.learningRate = learningRate
        self.weightDecay = weightDecay
    }
}

/// Adam's numbers. `step` counts from 1.
package struct AdamNumbers: Sendable {
    package let beta1: Float
    package let beta2: Float
    package let epsilon: Float
    package let step: Int

    package init(beta1: Float, beta2: Float, epsilon: Float, step: Int) {
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.step = step
    }
}

/// The operations of training. Matrices are of F32 or BF16; vectors of weights, sums and factors are F32. Each result's
/// bits are a function of the operands alone. One caller at a time.
package protocol ComputeBackend: AnyObject, Sendable {
    /// Zeroed memory, aligned to 64 bytes.
    func allocate(byteCount: Int, purpose: String) throws(OutOfMemory) -> DeviceMemory
    /// Memory that shows the bytes of a file's tensor, not to be written; nil if the backend cannot use them in place.
    func mapped(_ view: TensorView) -> DeviceMemory?
    func upload(_ bytes: UnsafeRawBufferPointer, to matrix: Matrix)
    /// All elements, rows in order, as floats.
    func floats(of matrix: Matrix) -> [Float]
    /// Hands out the bytes of a contiguous matrix, in pieces.
    func withBytes(of matrix: Matrix, _ body: (UnsafeRawBufferPointer) throws -> Void) throws
    func zero(_ matrix: Matrix)

    /// c = alpha op(a) op(b) + bias, or c += that.
    func multiply(
        _ a: Matrix, _ b: Matrix, transposingA: Bool, transposingB: Bool, into c: Matrix, alpha: Float,
        bias: Matrix?, accumulate: Bool, precision: Precision)
    /// destination = source, of other element types.
    func convert(_ source: Matrix, into destination: Matrix)
    /// y = or += x * factor * rowFactors[i] * columnFactors[j].
    func scale(
        _ x: Matrix, by factor: Float, rowFactors: Matrix?, columnFactors: Matrix?, into y: Matrix,
        accumulate: Bool)
    /// sums[j] += sum over i of x[i, j] y[i, j]; of x[i, j] if y is nil.
    func addColumnSums(_ x: Matrix, times y: Matrix?, into sums: Matrix)
    /// The euclidean norms of the rows, [1, rows].
    func rowNorms(_ x: Matrix, into norms: Matrix)
    /// 1 / x, element by element, of contiguous F32.
    func reciprocal(of x: Matrix, into y: Matrix)
    func sumOfSquares(_ matrix: Matrix) -> Double

    /// See `ck_train_rms_norm`: groups of `weight.columns` elements in each row.
    func rmsNorm(
        _ x: Matrix, groups: Int, weight: Matrix, epsilon: Float, inverseRMS: Matrix, into y: Matrix)
    func rmsNormBackward(
        _ dy: Matrix, x: Matrix, groups: Int, weight: Matrix, epsilon: Float, inverseRMS: Matrix,
        into dx: Matrix, accumulate: Bool, weightGradient: Matrix?)
    /// Turns the heads of each row by its position's angles, or back.
    func rotate(
        _ x: Matrix, heads: Int, headDim: Int, angles: RotaryAngles, positions: [Int32], inverse: Bool)
    func swiGLU(gate: Matrix, up: Matrix, into y: Matrix)
    /// Replaces gate and up by their gradients.
    func swiGLUBackward(_ dy: Matrix, gate: Matrix, up: Matrix)
    func gather(_ table: Matrix, rows: [Int32], into destination: Matrix)
    func scatterAdd(_ dy: Matrix, rows: [Int32], into table: Matrix)
    /// y = or += x with elements dropped by a stream of bits that is a function of `seed`.
    func dropout(_ x: Matrix, probability: Float, seed: UInt64, into y: Matrix, accumulate: Bool)
    func fillNormal(_ matrix: Matrix, deviation: Float, seed: UInt64)
    func fillUniform(_ matrix: Matrix, bound: Float, seed: UInt64)

    /// Sequence i has the rows starts[i]..<starts[i + 1]. logSums: [heads, rows].
    func attention(
        _ shape: AttentionShape, starts: [Int64], q: Matrix, k: Matrix, v: Matrix, into out: Matrix,
        logSums: Matrix) throws(OutOfMemory)
    func attentionBackward(
        _ shape: AttentionShape, starts: [Int64], dout: Matrix, q: Matrix, k: Matrix, v: Matrix, out: Matrix,
        logSums: Matrix, dq: Matrix, dk: Matrix, dv: Matrix) throws(OutOfMemory)

    /// See `ck_train_cross_entropy`.
    func crossEntropy(
        _ logits: Matrix, targets: [Int32], coefficients: [Float]?, gradients: Matrix?
    ) -> TokenScores

    func adamW(_ update: ParameterUpdate, _ numbers: AdamNumbers, m: Matrix, v: Matrix)
    /// The states as codes and scales; see `ck_adamw_8bit`.
    func beginAdamW8bit(count: Int, m: QuantizedState, v: QuantizedState)
    func adamW8bit(_ update: ParameterUpdate, _ numbers: AdamNumbers, m: QuantizedState, v: QuantizedState)
    func sgd(_ update: ParameterUpdate, momentum: Float, step: Int, velocity: Matrix?)
    func lion(_ update: ParameterUpdate, beta1: Float, beta2: Float, m: Matrix)
    func movingAverage(of parameter: Matrix, decay: Float, into average: Matrix)

    /// A frozen weight matrix in 4 or 8 bits, from one in F32 or BF16; and back.
    func quantize(_ source: Matrix, as format: BlockFormat) throws(OutOfMemory) -> BlockQuantizedMatrix
    func dequantize(_ source: BlockQuantizedMatrix, into destination: Matrix)
}

/// An optimizer's state of 8 bits: codes [1, count] U8 and scales [1, blocks] F32.
package struct QuantizedState: Sendable {
    package let codes: Matrix
    package let scales: Matrix

    package init(codes: Matrix, scales: Matrix) {
        self.codes = codes
        self.scales = scales
    }
}

/// How well a model foresaw each target. Rows without a target have 0 and false.
package struct TokenScores: Sendable {
    /// log p(target), natural logarithm.
    package var logProbs: [Float]
    /// Whether the target had the largest logit.
    package var isCorrect: [Bool]
    /// The mean logit of each row.
    package var meanLogits: [Float]

    package init(logProbs: [Float] = [], isCorrect: [Bool] = [], meanLogits: [Float] = []) {
        self.logProbs = logProbs
        self.isCorrect = isCorrect
        self.meanLogits = meanLogits
    }
}

/// How a frozen base is kept.
package enum BlockFormat: Sendable, Hashable {
    /// 4-bit normal floats, 64 to a scale; the scales in 8 bits themselves if `doubleQuantization`.
    case nf4(doubleQuantization: Bool)
    /// 8 bits, a scale a row.
    case int8
}

/// A matrix in codes.
package struct BlockQuantizedMatrix: Sendable {
    package let format: BlockFormat
    package let rows: Int
    package let columns: Int
    package let codes: Matrix
    /// F32, or U8 with `blockScales` and `offset`.
    package let scales: Matrix
    package let blockScales: Matrix?
    package let offset: Float

    package init(
        format: BlockFormat, rows: Int, columns: Int, codes: Matrix, scales: Matrix,
        blockScales: Matrix? = nil, offset: Float = 0
    ) {
        self.format = format
        self.rows = rows
        self.columns = columns
        self.codes = codes
        self.scales = scales
        self.blockScales = blockScales
        self.offset = offset
    }

    package var byteCount: Int {
        codes.count + scales.count * scales.type.byteCount + (blockScales?.count ?? 0) * 4
    }
}
