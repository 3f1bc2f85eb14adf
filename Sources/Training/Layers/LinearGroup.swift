// Linear layers that read the same input (queries, keys and values; gate and up; or one alone), with adapters.

package import Tensors

/// The weight matrix of a linear layer, [outputs, inputs].
package enum LinearWeight {
    case dense(Parameter)
    /// Frozen, in 4 or 8 bits.
    case quantized(BlockQuantizedMatrix)
}

/// A low-rank change of a linear layer: y += scaling * (x Aᵀ) Bᵀ, and with magnitudes (DoRA) every output is then
/// scaled to magnitude / ‖row of W + scaling B A‖, the norm taken as a constant by the gradient.
/// Sources: Hu et al., arXiv:2106.09685; Liu et al., arXiv:2402.09353; agrees with PEFT's `lora.Linear`.
package struct LowRankAdapter {
    /// [rank, inputs]: neighboring rows of the group's matrix.
    package let a: Parameter
    /// [outputs, rank].
    package let b: Parameter
    /// [outputs]; nil without DoRA.
    package let magnitude: Parameter?
    package let scaling: Float
    /// Rows of `a` within the group's matrix.
    package let rows: Range<Int>
}

/// One of the layers of a group.
package struct LinearPart {
    /// `model.layers.0.self_attn.q_proj`.
    package let name: String
    package let outputs: Int
    package let weight: LinearWeight
    /// [outputs], F32.
    package let bias: Parameter?
    package let adapter: LowRankAdapter?
}

/// Layers with one input.
package struct LinearGroup {
    package let inputs: Int
    package let parts: [LinearPart]
    /// The A matrices of all adapters, one below the other, and their gradients: three thin products become one.
    let stackedA: Matrix?
    let stackedGradient: Matrix?
    /// The probability that an adapter does not see an input; the adapters of a group miss the same ones.
    let dropout: Float
    /// Tells the dropout of this group from all others'.
    let number: UInt64

    /// What the way back needs besides the input.
    struct Saved {
        /// x Aᵀ of all adapters, [tokens, ranks], F32.
        var reduced: Matrix?
        /// With DoRA, by part.
        var scaled: [Scaled?]
    }

    /// What a DoRA layer keeps.
    struct Scaled {
        /// [tokens, outputs], before scaling and without bias.
        var outputs: Matrix
        /// magnitude / norm, [1, outputs].
        var factors: Matrix
        /// 1 / norm, [1, outputs].
        var inverseNorms: Matrix
    }

    package init(
        inputs: Int, parts: [LinearPart], stackedA: Matrix? = nil, stackedGradient: Matrix? = nil,
        dropout: Float = 0, number: Int = 0
    ) {
        self.inputs = inputs
        self.parts = parts
        self.stackedA = stackedA
        self.stackedGradient = stackedGradient
        self.dropout = dropout
        self.number = UInt64(number)
    }

    /// Whether the way back reads the layers' input.
    var needsInput: Bool {
        stackedGradient != nil
            || parts.contains { part in
                if case .dense(let parameter) = part.weight { parameter.isTrained } else { false }
            }
    }

    /// Room for what the way back needs.
    /// - Parameter type: of the outputs.
    func room(_ type: ElementType, _ context: LayerContext) throws(OutOfMemory) -> Saved {
        var saved = Saved(reduced: nil, scaled: [])
        if let stackedA { saved.reduced = try context.activations(stackedA.rows, .f32) }
        for part in parts {
            guard part.adapter?.magnitude != nil else {
                saved.scaled.append(nil)
                continue
            }
            saved.scaled.append(
                Scaled(
                    outputs: try context.activations(part.outputs, type),
                    factors: try context.arena.matrix(1, part.outputs, .f32),
                    inverseNorms: try context.arena.matrix(1, part.outputs, .f32)))
        }
        return saved
    }

    /// Computes each part's outputs, or adds them.
    /// - Parameters:
    ///   - x: [tokens, inputs].
    ///   - outputs: a matrix [tokens, part.outputs] for each part.
    ///   - saved: filled.
    func forward(
        _ x: Matrix, into outputs: [Matrix], accumulate: Bool = false, _ saved: Saved, _ context: LayerContext
    ) throws(OutOfMemory) {
        if let stackedA, let reduced = saved.reduced {
            let mark = context.arena.mark
            let seen = try dropped(x, context)
            context.multiply(seen, stackedA, transposingB: true, into: reduced)
            context.arena.release(to: mark)
        }
        for (index, part) in parts.enumerated() {
            if let adapter = part.adapter, let scaled = saved.scaled[index] {
                try forwardScaled(
                    part, adapter, x, saved.reduced, scaled, into: outputs[index], accumulate, context)
            } else {
                try forward(part, x, saved.reduced, part.bias, into: outputs[index], accumulate, context)
            }
        }
    }

    private func forward(
        _ part: LinearPart, _ x: Matrix, _ reduced: Matrix?, _ bias: Parameter?, into y: Matrix,
        _ accumulate: Bool, _ context: LayerContext
    ) throws(OutOfMemory) {
        let mark = context.arena.mark
        let weight = try weight(of: part, context)
        context.multiply(x, weight, transposingB: true, into: y, bias: bias?.value, accumulate: accumulate)
        context.arena.release(to: mark)
        guard let adapter = part.adapter, let reduced else { return }
        context.multiply(
            reduced.columns(adapter.rows), adapter.b.value, transposingB: true, into: y,
            alpha: adapter.scaling,
            accumulate: true)
    }

    private func forwardScaled(
        _ part: LinearPart, _ adapter: LowRankAdapter, _ x: Matrix, _ reduced: Matrix?, _ scaled: Scaled,
        into y: Matrix, _ accumulate: Bool, _ context: LayerContext
    ) throws(OutOfMemory) {
        try computeFactors(part, adapter, scaled, context)
        try forward(part, x, reduced, nil, into: scaled.outputs, false, context)
        context.backend.scale(
            scaled.outputs, by: 1, rowFactors: nil, columnFactors: scaled.factors, into: y,
            accumulate: accumulate)
        if let bias = part.bias {
            // A product over nothing is the bias alone.
            context.multiply(
                x.columns(0..<0), adapter.b.value.columns(0..<0), transposingB: true, into: y,
                bias: bias.value,
                accumulate: true)
        }
    }

    private func computeFactors(
        _ part: LinearPart, _ adapter: LowRankAdapter, _ scaled: Scaled, _ context: LayerContext
    ) throws(OutOfMemory) {
        guard let magnitude = adapter.magnitude else { return }
        let mark = context.arena.mark
        let norms = try context.arena.matrix(1, part.outputs, .f32)
        let sum = try context.arena.matrix(part.outputs, inputs, .f32)
        context.backend.convert(try weight(of: part, context), into: sum)
        // Magnitudes are relative to exact norms, so this product is never rounded to bf16.
        context.backend.multiply(
            adapter.b.value, adapter.a.value, transposingA: false, transposingB: false, into: sum,
            alpha: adapter.scaling, bias: nil, accumulate: true, precision: .float32)
        context.backend.rowNorms(sum, into: norms)
        context.backend.reciprocal(of: norms, into: scaled.inverseNorms)
        context.backend.scale(
            magnitude.value, by: 1, rowFactors: nil, columnFactors: scaled.inverseNorms, into: scaled.factors,
            accumulate: false)
        context.arena.release(to: mark)
    }

    /// Adds the gradients of what is trained, and the gradient by x.
    /// - Parameters:
    ///   - gradients: of each part's outputs, [tokens, part.outputs].
    ///   - dx: [tokens, inputs], overwritten, or added to if `accumulate`; nil where nobody needs it.
    func backward(
        _ gradients: [Matrix], x: Matrix, _ saved: Saved, into dx: Matrix?, accumulate: Bool = false,
        _ context: LayerContext
    ) throws(OutOfMemory) {
        let mark = context.arena.mark
        defer { context.arena.release(to: mark) }
        var dReduced: Matrix?
        if let stackedA { dReduced = try context.activations(stackedA.rows, .f32) }
        var isFirst = !accumulate
        for (index, part) in parts.enumerated() {
            let inner = context.arena.mark
            var dy = gradients[index]
            if let bias = part.bias?.gradient { context.backend.addColumnSums(dy, times: nil, into: bias) }
            if let scaled = saved.scaled[index] { dy = try backwardScaled(part, dy, scaled, context) }
            if case .dense(let parameter) = part.weight, let gradient = parameter.gradient {
                context.multiply(dy, x, transposingA: true, into: gradient, accumulate: true)
            }
            if let dx {
                context.multiply(dy, try weight(of: part, context), into: dx, accumulate: !isFirst)
                isFirst = false
            }
            if let adapter = part.adapter, let dReduced, let reduced = saved.reduced {
                context.multiply(
                    dy, adapter.b.value, into: dReduced.columns(adapter.rows), alpha: adapter.scaling)
                if let gradient = adapter.b.gradient {
                    context.multiply(
                        dy, reduced.columns(adapter.rows), transposingA: true, into: gradient,
                        alpha: adapter.scaling, accumulate: true)
                }
            }
            context.arena.release(to: inner)
        }
        if let stackedA, let dReduced {
            try backwardReduced(dReduced, stackedA, x: x, into: dx, context)
        }
    }

    /// The gradient by the outputs before DoRA's scaling; adds the magnitudes' gradient.
    private func backwardScaled(
        _ part: LinearPart, _ dy: Matrix, _ scaled: Scaled, _ context: LayerContext
    ) throws(OutOfMemory) -> Matrix {
        if let gradient = part.adapter?.magnitude?.gradient {
            let sums = try context.arena.matrix(1, part.outputs, .f32)
            context.backend.zero(sums)
            context.backend.addColumnSums(dy, times: scaled.outputs, into: sums)
            context.backend.scale(
                sums, by: 1, rowFactors: nil, columnFactors: scaled.inverseNorms, into: gradient,
                accumulate: true)
        }
        let inner = try context.activations(part.outputs, dy.type)
        context.backend.scale(
            dy, by: 1, rowFactors: nil, columnFactors: scaled.factors, into: inner, accumulate: false)
        return inner
    }

    private func backwardReduced(
        _ dReduced: Matrix, _ a: Matrix, x: Matrix, into dx: Matrix?, _ context: LayerContext
    ) throws(OutOfMemory) {
        if let stackedGradient {
            let mark = context.arena.mark
            let seen = try dropped(x, context)
            context.multiply(dReduced, seen, transposingA: true, into: stackedGradient, accumulate: true)
            context.arena.release(to: mark)
        }
        guard let dx else { return }
        guard let seed = dropoutSeed(context) else {
            context.multiply(dReduced, a, into: dx, accumulate: true)
            return
        }
        let mark = context.arena.mark
        let gradient = try context.activations(inputs, dx.type)
        context.multiply(dReduced, a, into: gradient)
        context.backend.dropout(gradient, probability: dropout, seed: seed, into: dx, accumulate: true)
        context.arena.release(to: mark)
    }

    // MARK: Pieces

    private func dropoutSeed(_ context: LayerContext) -> UInt64? {
        guard dropout > 0, let seed = context.dropoutSeed else { return nil }
        return seed &+ number &* 0x9E37_79B9_7F4A_7C15
    }

    /// What the adapters see of x.
    private func dropped(_ x: Matrix, _ context: LayerContext) throws(OutOfMemory) -> Matrix {
        guard let seed = dropoutSeed(context) else { return x }
        let seen = try context.activations(inputs, x.type)
        context.backend.dropout(x, probability: dropout, seed: seed, into: seen, accumulate: false)
        return seen
    }

    /// The weight as a matrix, made for the moment if it is kept in codes.
    private func weight(of part: LinearPart, _ context: LayerContext) throws(OutOfMemory) -> Matrix {
        switch part.weight {
        case .dense(let parameter): return parameter.value
        case .quantized(let codes):
            let matrix = try context.arena.matrix(codes.rows, codes.columns, context.activationType)
            context.backend.dequantize(codes, into: matrix)
            return matrix
        }
    }
}
