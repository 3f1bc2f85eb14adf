// Training on processors: the kernels of CKernels behind the backend's operations.

import CKernels
import Glibc

/// Computes on the threads of a pool.
// Scratch memory and pool belong to the one caller that a backend has at a time.
package final class CPUBackend: ComputeBackend, @unchecked Sendable {
    let pool: ThreadPool
    private let productScratch: MemoryRegion
    private var attentionScratch: MemoryRegion?
    private var slab: MemoryRegion?
    private var slabOffset = 0

    package init(pool: ThreadPool) throws(OutOfMemory) {
        self.pool = pool
        productScratch = try MemoryRegion(
            byteCount: Int(ck_gemm_scratch_bytes(Int32(pool.threadCount))) + 64, purpose: "matrix products")
    }

    // MARK: Memory

    /// Memory of a region.
    private final class RegionMemory: DeviceMemory, @unchecked Sendable {
        private let region: MemoryRegion
        init(_ region: MemoryRegion) {
            self.region = region
            super.init(address: region.start, byteCount: region.byteCount)
        }

        init(_ region: MemoryRegion, offset: Int, byteCount: Int) {
            self.region = region
            super.init(address: region.start + offset, byteCount: byteCount)
        }
    }

    /// Memory of a file. The kernels only read it: a write would end the process.
    private final class FileMemory: DeviceMemory, @unchecked Sendable {
        private let view: TensorView
        init(_ view: TensorView, _ start: UnsafeRawPointer) {
            self.view = view
            super.init(address: UnsafeMutableRawPointer(mutating: start), byteCount: view.byteCount)
        }
    }

    /// Small allocations share large regions, which have large pages: fewer faults, and fewer misses afterwards. A
    /// region is given back when nothing in it is used any more.
    package func allocate(byteCount: Int, purpose: String) throws(OutOfMemory) -> DeviceMemory {
        guard byteCount < Self.slabByteCount / 4 else {
            return RegionMemory(try MemoryRegion(byteCount: byteCount, purpose: purpose))
        }
        let rounded = max(64, (byteCount + 63) / 64 * 64)
        if let slab, slabOffset + rounded <= slab.byteCount {
            defer { slabOffset += rounded }
            return RegionMemory(slab, offset: slabOffset, byteCount: byteCount)
        }
        let slab = try MemoryRegion(byteCount: Self.slabByteCount, purpose: purpose)
        (self.slab, slabOffset) = (slab, rounded)
        return RegionMemory(slab, offset: 0, byteCount: byteCount)
    }

    private static let slabByteCount = 64 << 20

    package func mapped(_ view: TensorView) -> DeviceMemory? {
        guard let start = view.bytes.baseAddress,
            Int(bitPattern: start) % view.elementType.byteCount == 0
        else { return nil }
        return FileMemory(view, start)
    }

    package func upload(_ bytes: UnsafeRawBufferPointer, to matrix: Matrix) {
        let rowBytes = matrix.columns * matrix.type.byteCount
        precondition(bytes.count == matrix.rows * rowBytes, "as many bytes as the matrix has")
        guard let source = bytes.baseAddress else { return }
        for row in 0..<matrix.rows {
            (matrix.address + row * matrix.stride * matrix.type.byteCount).copyMemory(
                from: source + row * rowBytes, byteCount: rowBytes)
        }
    }

    package func floats(of matrix: Matrix) -> [Float] {
        [Float](unsafeUninitializedCapacity: matrix.count) { buffer, count in
            for row in 0..<matrix.rows {
                ck_to_f32(
                    kernelType(matrix), matrix.address + row * matrix.stride * matrix.type.byteCount,
                    buffer.baseAddress.map { $0 + row * matrix.columns }, Int64(matrix.columns))
            }
            count = matrix.count
        }
    }

    package func withBytes(of matrix: Matrix, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        precondition(matrix.isContiguous, "the bytes of a matrix without gaps")
        try withExtendedLifetime(matrix.memory) {
            try body(
                UnsafeRawBufferPointer(start: matrix.address, count: matrix.count * matrix.type.byteCount))
        }
    }

    package func zero(_ matrix: Matrix) {
        let rowBytes = matrix.columns * matrix.type.byteCount
        if matrix.isContiguous {
            memset(matrix.address, 0, matrix.rows * rowBytes)
            return
        }
        for row in 0..<matrix.rows {
            memset(matrix.address + row * matrix.stride * matrix.type.byteCount, 0, rowBytes)
        }
    }

    private func kernelType(_ matrix: Matrix) -> ck_type {
        guard let type = matrix.type.kernelType else {
            preconditionFailure("the kernels do not compute with \(matrix.type.rawValue)")
        }
        return type
    }

    private func floatPointer(_ matrix: Matrix) -> UnsafeMutablePointer<Float> {
        precondition(
            matrix.type == .f32 && matrix.isContiguous, "a matrix of F32 without gaps is needed here")
        return matrix.address.assumingMemoryBound(to: Float.self)
    }

    private func floatPointer(_ matrix: Matrix?) -> UnsafeMutablePointer<Float>? {
        guard let matrix else { return nil }
        return floatPointer(matrix)
    }
}

// MARK: Products and sums

extension CPUBackend {
    package func multiply(
        _ a: Matrix, _ b: Matrix, transposingA: Bool, transposingB: Bool, into c: Matrix, alpha: Float,
        bias: Matrix?, accumulate: Bool, precision: Precision
    ) {
        let (m, inner) = transposingA ? (a.columns, a.rows) : (a.rows, a.columns)
        let (other, n) = transposingB ? (b.columns, b.rows) : (b.rows, b.columns)
        precondition(inner == other && c.rows == m && c.columns == n, "shapes of a product must fit")
        var product = ck_product()
        product.precision = precision == .float32 ? CK_PRECISION_F32 : CK_PRECISION_BF16
        (product.m, product.n, product.k) = (Int64(m), Int64(n), Int64(inner))
        product.a = operand(a, transposingA)
        product.b = operand(b, transposingB)
        product.alpha = alpha
        product.bias = bias.map { UnsafePointer(floatPointer($0)) }
        product.c_type = kernelType(c)
        product.c = c.address
        product.c_stride = Int64(c.stride)
        product.accumulate = accumulate
        ck_gemm(pool.handle, &product, productScratch.start)
    }

    private func operand(_ matrix: Matrix, _ transposed: Bool) -> ck_operand {
        ck_operand(
            type: kernelType(matrix), data: UnsafeRawPointer(matrix.address), stride: Int64(matrix.stride),
            transposed: transposed)
    }

    package func convert(_ source: Matrix, into destination: Matrix) {
        precondition(source.rows == destination.rows && source.columns == destination.columns, "equal shapes")
        ck_train_convert(
            pool.handle, kernelType(source), source.address, Int64(source.stride), Int64(source.rows),
            Int64(source.columns), kernelType(destination), destination.address, Int64(destination.stride))
    }

    package func scale(
        _ x: Matrix, by factor: Float, rowFactors: Matrix?, columnFactors: Matrix?, into y: Matrix,
        accumulate: Bool
    ) {
        precondition(x.rows == y.rows && x.columns == y.columns, "equal shapes")
        ck_train_scale(
            pool.handle, kernelType(x), x.address, Int64(x.stride), Int64(x.rows), Int64(x.columns), factor,
            floatPointer(rowFactors), floatPointer(columnFactors), kernelType(y), y.address, Int64(y.stride),
            accumulate)
    }

    package func addColumnSums(_ x: Matrix, times y: Matrix?, into sums: Matrix) {
        precondition(sums.count == x.columns && (y == nil || y?.type == x.type), "a sum for each column")
        ck_train_column_sums(
            pool.handle, kernelType(x), x.address, Int64(x.stride), y?.address, Int64(y?.stride ?? 0),
            Int64(x.rows), Int64(x.columns), floatPointer(sums))
    }

    package func rowNorms(_ x: Matrix, into norms: Matrix) {
        precondition(norms.count == x.rows, "a norm for each row")
        ck_train_row_norms(
            pool.handle, kernelType(x), x.address, Int64(x.stride), Int64(x.rows), Int64(x.columns),
            floatPointer(norms))
    }

    package func reciprocal(of x: Matrix, into y: Matrix) {
        precondition(x.count == y.count, "equal shapes")
        let (source, destination) = (floatPointer(x), floatPointer(y))
        for index in 0..<x.count { destination[index] = 1 / source[index] }
    }

    package func sumOfSquares(_ matrix: Matrix) -> Double {
        precondition(matrix.isContiguous, "a matrix without gaps")
        return ck_train_sum_of_squares(
            pool.handle, kernelType(matrix), matrix.address, Int64(matrix.count))
    }
}

// MARK: Layers

extension CPUBackend {
    private func norm(
        _ x: Matrix, _ groups: Int, _ weight: Matrix, _ epsilon: Float, _ inverseRMS: Matrix
    ) -> ck_norm {
        precondition(
            x.columns == groups * weight.count && inverseRMS.count == x.rows * groups, "shapes of a norm")
        return ck_norm(
            rows: Int64(x.rows), groups: Int64(groups), size: Int64(weight.count),
            weight: floatPointer(weight), epsilon: epsilon, x_type: kernelType(x), x: x.address,
            x_stride: Int64(x.stride), inverse_rms: floatPointer(inverseRMS))
    }

    package func rmsNorm(
        _ x: Matrix, groups: Int, weight: Matrix, epsilon: Float, inverseRMS: Matrix, into y: Matrix
    ) {
        var norm = norm(x, groups, weight, epsilon, inverseRMS)
        ck_train_rms_norm(pool.handle, &norm, kernelType(y), y.address, Int64(y.stride))
    }

    package func rmsNormBackward(
        _ dy: Matrix, x: Matrix, groups: Int, weight: Matrix, epsilon: Float, inverseRMS: Matrix,
        into dx: Matrix, accumulate: Bool, weightGradient: Matrix?
    ) {
        var norm = norm(x, groups, weight, epsilon, inverseRMS)
        ck_train_rms_norm_backward(
            pool.handle, &norm, kernelType(dy), dy.address, Int64(dy.stride), kernelType(dx), dx.address,
            Int64(dx.stride), accumulate, floatPointer(weightGradient))
    }

    package func rotate(
        _ x: Matrix, heads: Int, headDim: Int, angles: RotaryAngles, positions: [Int32], inverse: Bool
    ) {
        precondition(positions.count == x.rows && x.columns == heads * headDim, "a position for each row")
        ck_train_rope(
            pool.handle, kernelType(x), x.address, Int64(x.stride), Int64(x.rows), Int64(heads),
            Int64(headDim), floatPointer(angles.cosines), floatPointer(angles.sines), positions, inverse)
    }

    package func swiGLU(gate: Matrix, up: Matrix, into y: Matrix) {
        precondition(gate.stride == up.stride && gate.type == y.type && y.columns == gate.columns, "shapes")
        ck_train_swiglu(
            pool.handle, kernelType(gate), gate.address, up.address, Int64(gate.stride), Int64(gate.rows),
            Int64(gate.columns), y.address, Int64(y.stride))
    }

    package func swiGLUBackward(_ dy: Matrix, gate: Matrix, up: Matrix) {
        precondition(gate.stride == up.stride && gate.type == dy.type && dy.columns == gate.columns, "shapes")
        ck_train_swiglu_backward(
            pool.handle, kernelType(gate), gate.address, up.address, Int64(gate.stride), Int64(gate.rows),
            Int64(gate.columns), dy.address, Int64(dy.stride))
    }

    package func gather(_ table: Matrix, rows: [Int32], into destination: Matrix) {
        precondition(destination.rows == rows.count && destination.columns == table.columns, "shapes")
        ck_train_gather(
            pool.handle, kernelType(table), table.address, Int64(table.stride), rows, Int64(rows.count),
            Int64(table.columns), kernelType(destination), destination.address, Int64(destination.stride))
    }

    package func scatterAdd(_ dy: Matrix, rows: [Int32], into table: Matrix) {
        precondition(dy.rows == rows.count && dy.columns == table.columns && table.type == .f32, "shapes")
        ck_train_scatter_add(
            pool.handle, rows, Int64(rows.count), Int64(dy.columns), kernelType(dy), dy.address,
            Int64(dy.stride), table.address.assumingMemoryBound(to: Float.self), Int64(table.stride))
    }

    package func dropout(_ x: Matrix, probability: Float, seed: UInt64, into y: Matrix, accumulate: Bool) {
        precondition(x.type == y.type && x.rows == y.rows && x.columns == y.columns, "equal shapes")
        ck_train_dropout(
            pool.handle, kernelType(x), x.address, Int64(x.stride), Int64(x.rows), Int64(x.columns),
            probability, seed, y.address, Int64(y.stride), accumulate)
    }

    package func fillNormal(_ matrix: Matrix, deviation: Float, seed: UInt64) {
        ck_train_normal(pool.handle, seed, deviation, floatPointer(matrix), Int64(matrix.count))
    }

    package func fillUniform(_ matrix: Matrix, bound: Float, seed: UInt64) {
        ck_train_uniform(pool.handle, seed, bound, floatPointer(matrix), Int64(matrix.count))
    }

    package func crossEntropy(
        _ logits: Matrix, targets: [Int32], coefficients: [Float]?, gradients: Matrix?
    ) -> TokenScores {
        precondition(targets.count == logits.rows && logits.type == .f32, "a target for each row")
        var logProbs = [Float](repeating: 0, count: targets.count)
        var correct = [UInt8](repeating: 0, count: targets.count)
        var means = [Float](repeating: 0, count: targets.count)
        let run = { (coefficients: UnsafePointer<Float>?) in
            ck_train_cross_entropy(
                self.pool.handle, logits.address.assumingMemoryBound(to: Float.self), Int64(logits.stride),
                Int64(logits.rows), Int64(logits.columns), targets, coefficients, &logProbs, &correct, &means,
                gradients.map(self.kernelType) ?? CK_F32, gradients?.address, Int64(gradients?.stride ?? 0))
        }
        if let coefficients { coefficients.withUnsafeBufferPointer { run($0.baseAddress) } } else { run(nil) }
        return TokenScores(logProbs: logProbs, isCorrect: correct.map { $0 != 0 }, meanLogits: means)
    }
}

// MARK: Attention

extension CPUBackend {
    package func attention(
        _ shape: AttentionShape, starts: [Int64], q: Matrix, k: Matrix, v: Matrix, into out: Matrix,
        logSums: Matrix
    ) throws(OutOfMemory) {
        let scratch = try attentionScratch(shape, starts: starts)
        starts.withUnsafeBufferPointer { starts in
            var attention = description(shape, starts, q, k, v, out, logSums)
            ck_train_attention_forward(pool.handle, &attention, scratch)
        }
    }

    package func attentionBackward(
        _ shape: AttentionShape, starts: [Int64], dout: Matrix, q: Matrix, k: Matrix, v: Matrix, out: Matrix,
        logSums: Matrix, dq: Matrix, dk: Matrix, dv: Matrix
    ) throws(OutOfMemory) {
        let scratch = try attentionScratch(shape, starts: starts)
        starts.withUnsafeBufferPointer { starts in
            var attention = description(shape, starts, q, k, v, out, logSums)
            ck_train_attention_backward(
                pool.handle, &attention, dout.address, Int64(dout.stride), dq.address, Int64(dq.stride),
                dk.address, Int64(dk.stride), dv.address, Int64(dv.stride), scratch)
        }
    }

    private func description(
        _ shape: AttentionShape, _ starts: UnsafeBufferPointer<Int64>, _ q: Matrix, _ k: Matrix, _ v: Matrix,
        _ out: Matrix, _ logSums: Matrix
    ) -> ck_train_attention {
        precondition(q.type == k.type && k.type == v.type && v.type == out.type, "one type")
        var attention = ck_train_attention()
        attention.type = kernelType(q)
        attention.heads = Int64(shape.heads)
        attention.kv_heads = Int64(shape.keyValueHeads)
        attention.head_dim = Int64(shape.headDim)
        attention.window = Int64(shape.window)
        attention.scale = 1 / Float(shape.headDim).squareRoot()
        attention.starts = starts.baseAddress
        attention.sequences = Int64(starts.count - 1)
        (attention.q, attention.q_stride) = (UnsafeRawPointer(q.address), Int64(q.stride))
        (attention.k, attention.k_stride) = (UnsafeRawPointer(k.address), Int64(k.stride))
        (attention.v, attention.v_stride) = (UnsafeRawPointer(v.address), Int64(v.stride))
        (attention.out, attention.out_stride) = (out.address, Int64(out.stride))
        attention.log_sums = floatPointer(logSums)
        return attention
    }

    /// Grown to the longest sequence seen.
    private func attentionScratch(
        _ shape: AttentionShape, starts: [Int64]
    ) throws(OutOfMemory) -> UnsafeMutableRawPointer {
        var longest: Int64 = 0
        for index in 1..<max(1, starts.count) { longest = max(longest, starts[index] - starts[index - 1]) }
        var attention = ck_train_attention()
        // The larger of the two types decides, so that one area serves both.
        attention.type = CK_F32
        attention.heads = Int64(shape.heads)
        attention.kv_heads = Int64(shape.keyValueHeads)
        attention.head_dim = Int64(shape.headDim)
        attention.window = Int64(shape.window)
        attention.sequences = Int64(starts.count - 1)
        let byteCount = try starts.withUnsafeBufferPointer { starts throws(OutOfMemory) in
            attention.starts = starts.baseAddress
            var bytes = ck_train_attention_scratch_bytes(&attention, longest, Int32(pool.threadCount))
            attention.type = CK_BF16
            bytes = max(bytes, ck_train_attention_scratch_bytes(&attention, longest, Int32(pool.threadCount)))
            return Int(bytes) + 64
        }
        if let attentionScratch, attentionScratch.byteCount >= byteCount { return attentionScratch.start }
        let region = try MemoryRegion(byteCount: byteCount, purpose: "attention")
        attentionScratch = region
        return region.start
    }
}

// MARK: Optimizers

extension CPUBackend {
    private func kernelUpdate(_ update: ParameterUpdate) -> ck_update {
        precondition(update.parameter.count == update.gradient.count, "a gradient for each parameter")
        return ck_update(
            count: Int64(update.parameter.count), parameters: floatPointer(update.parameter),
            gradients: floatPointer(update.gradient), gradient_factor: update.gradientFactor,
            learning_rate: update.learningRate, weight_decay: update.weightDecay, copy_type: CK_F32, copy: nil
        )
    }

    private func bytePointer(_ matrix: Matrix) -> UnsafeMutablePointer<UInt8> {
        precondition(matrix.type == .u8 && matrix.isContiguous, "codes without gaps")
        return matrix.address.assumingMemoryBound(to: UInt8.self)
    }

    package func adamW(_ update: ParameterUpdate, _ numbers: AdamNumbers, m: Matrix, v: Matrix) {
        var kernel = kernelUpdate(update)
        ck_adamw(
            pool.handle, &kernel, numbers.beta1, numbers.beta2, numbers.epsilon, Int64(numbers.step),
            floatPointer(m), floatPointer(v))
    }

    package func beginAdamW8bit(count: Int, m: QuantizedState, v: QuantizedState) {
        ck_adamw_8bit_begin(
            Int64(count), bytePointer(m.codes), floatPointer(m.scales), bytePointer(v.codes),
            floatPointer(v.scales))
    }

    package func adamW8bit(
        _ update: ParameterUpdate, _ numbers: AdamNumbers, m: QuantizedState, v: QuantizedState
    ) {
        var kernel = kernelUpdate(update)
        ck_adamw_8bit(
            pool.handle, &kernel, numbers.beta1, numbers.beta2, numbers.epsilon, Int64(numbers.step),
            bytePointer(m.codes), floatPointer(m.scales), bytePointer(v.codes), floatPointer(v.scales))
    }

    package func sgd(_ update: ParameterUpdate, momentum: Float, step: Int, velocity: Matrix?) {
        var kernel = kernelUpdate(update)
        ck_sgd(pool.handle, &kernel, momentum, Int64(step), floatPointer(velocity))
    }

    package func lion(_ update: ParameterUpdate, beta1: Float, beta2: Float, m: Matrix) {
        var kernel = kernelUpdate(update)
        ck_lion(pool.handle, &kernel, beta1, beta2, floatPointer(m))
    }

    package func movingAverage(of parameter: Matrix, decay: Float, into average: Matrix) {
        ck_moving_average(
            pool.handle, Int64(parameter.count), decay, floatPointer(parameter), floatPointer(average))
    }
}

// MARK: Frozen weights in codes

extension CPUBackend {
    private func vector(
        _ count: Int, _ type: ElementType, _ purpose: String
    ) throws(OutOfMemory) -> Matrix {
        Matrix(
            memory: try allocate(byteCount: count * type.byteCount, purpose: purpose), type: type, rows: 1,
            columns: count)
    }

    package func quantize(
        _ source: Matrix, as format: BlockFormat
    ) throws(OutOfMemory) -> BlockQuantizedMatrix {
        precondition(source.isContiguous, "a matrix without gaps")
        let purpose = "quantized weights"
        switch format {
        case .int8:
            let codes = try vector(source.count, .i8, purpose)
            let scales = try vector(source.rows, .f32, purpose)
            ck_int8_quantize_rows(
                pool.handle, kernelType(source), source.address, Int64(source.rows), Int64(source.columns),
                codes.address.assumingMemoryBound(to: Int8.self), floatPointer(scales))
            return BlockQuantizedMatrix(
                format: format, rows: source.rows, columns: source.columns, codes: codes, scales: scales)
        case .nf4(let doubleQuantization):
            let blocks = (source.count + Int(CK_NF4_BLOCK) - 1) / Int(CK_NF4_BLOCK)
            let codes = try vector((source.count + 1) / 2, .u8, purpose)
            let scales = try vector(blocks, .f32, purpose)
            ck_nf4_quantize(
                pool.handle, kernelType(source), source.address, Int64(source.count), bytePointer(codes),
                floatPointer(scales))
            guard doubleQuantization else {
                return BlockQuantizedMatrix(
                    format: format, rows: source.rows, columns: source.columns, codes: codes, scales: scales)
            }
            let outer = (blocks + Int(CK_NF4_SCALES_BLOCK) - 1) / Int(CK_NF4_SCALES_BLOCK)
            let scaleCodes = try vector(blocks, .u8, purpose)
            let blockScales = try vector(outer, .f32, purpose)
            var offset: Float = 0
            ck_nf4_quantize_scales(
                floatPointer(scales), Int64(blocks), bytePointer(scaleCodes), floatPointer(blockScales),
                &offset)
            return BlockQuantizedMatrix(
                format: format, rows: source.rows, columns: source.columns, codes: codes, scales: scaleCodes,
                blockScales: blockScales, offset: offset)
        }
    }

    package func dequantize(_ source: BlockQuantizedMatrix, into destination: Matrix) {
        precondition(
            destination.rows == source.rows && destination.columns == source.columns
                && destination.isContiguous, "equal shapes")
        switch source.format {
        case .int8:
            ck_int8_dequantize_rows(
                pool.handle, source.codes.address.assumingMemoryBound(to: Int8.self),
                floatPointer(source.scales), Int64(source.rows), Int64(source.columns),
                kernelType(destination), destination.address)
        case .nf4:
            let blocks = source.scales.count
            guard let blockScales = source.blockScales else {
                ck_nf4_dequantize(
                    pool.handle, bytePointer(source.codes), floatPointer(source.scales), 0,
                    Int64(source.rows * source.columns), kernelType(destination), destination.address)
                return
            }
            // A scale for 64 elements: small enough to be made anew each time.
            let scales = [Float](unsafeUninitializedCapacity: blocks) { buffer, count in
                ck_nf4_dequantize_scales(
                    bytePointer(source.scales), floatPointer(blockScales), source.offset, Int64(blocks),
                    buffer.baseAddress)
                count = blocks
            }
            ck_nf4_dequantize(
                pool.handle, bytePointer(source.codes), scales, 0, Int64(source.rows * source.columns),
                kernelType(destination), destination.address)
        }
    }
}
