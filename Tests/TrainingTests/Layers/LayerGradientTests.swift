// Every layer's way back against central differences.

import Tensors
import TestSupport
import Testing

@testable import Training

@Suite("Gradients of layers")
struct LayerGradientTests {
    /// A group of linear layers of 3 kinds: plain, with an adapter, with one and magnitudes.
    private func group(
        _ fixture: inout LayerFixture, inputs: Int, outputs: [Int], ranks: [Int], magnitudes: Bool = false,
        biased: Bool = true, dropout: Float = 0
    ) throws -> LinearGroup {
        let total = ranks.reduce(0, +)
        let a = total > 0 ? try fixture.parameter(total, inputs, scale: 0.4) : nil
        var parts: [LinearPart] = []
        var row = 0
        for (outputs, rank) in zip(outputs, ranks) {
            var adapter: LowRankAdapter?
            if rank > 0, let a, let gradient = a.gradient {
                let rows = row..<row + rank
                adapter = LowRankAdapter(
                    a: Parameter(
                        name: "a", shape: [], value: a.value.rows(rows), gradient: gradient.rows(rows)),
                    b: try fixture.parameter(outputs, rank, scale: 0.4),
                    magnitude: magnitudes ? try fixture.parameter(1, outputs, scale: 0.3, around: 1) : nil,
                    scaling: 1.5, rows: rows)
            }
            row += rank
            // A magnitude's norm is a constant to the gradient, so that the weight below must stay as it is.
            let weight = try fixture.parameter(outputs, inputs, scale: 0.5)
            let frozen = Parameter(name: "w", shape: [], value: weight.value)
            parts.append(
                LinearPart(
                    name: "part", outputs: outputs, weight: .dense(magnitudes ? frozen : weight),
                    bias: biased ? try fixture.parameter(1, outputs) : nil, adapter: adapter))
        }
        return LinearGroup(
            inputs: inputs, parts: parts, stackedA: a?.value, stackedGradient: a?.gradient, dropout: dropout,
            number: 3)
    }

    private func trained(_ parameters: [Parameter]) -> [(name: String, value: Matrix, gradient: Matrix)] {
        parameters.enumerated().compactMap { index, parameter in
            parameter.gradient.map { ("parameter \(index) (\(parameter.name))", parameter.value, $0) }
        }
    }

    @Test("Normalization, one vector a row or several", arguments: [1, 3])
    func norm(groups: Int) throws {
        var fixture = try LayerFixture(seed: 1)
        let (count, size) = (fixture.batch.count, 10)
        let layer = try fixture.norm(size, groups: groups)
        let x = try fixture.matrix(count, size * groups)
        let weights = try fixture.matrix(count, size * groups)
        let dx = try fixture.matrix(count, size * groups)
        let (context, y) = (fixture.context, try fixture.matrix(count, size * groups))
        let inverseRMS = try layer.room(context)
        let loss = {
            layer.forward(x, into: y, inverseRMS: inverseRMS, context)
            return 0.0
        }
        _ = loss()
        layer.backward(weights, x: x, inverseRMS: inverseRMS, into: dx, accumulate: false, context)
        let frozen = fixture
        try fixture.check(
            {
                _ = loss()
                return frozen.weighted(y, weights)
            }, [("x", x, dx)] + trained([layer.weight]))
    }

    @Test(
        "Linear layers that share an input",
        arguments: [
            ([0, 0, 0], false, Float(0)), ([3, 0, 2], false, 0), ([3, 2, 2], false, 0.4),
            ([2, 0, 3], true, 0),
        ])
    func linear(ranks: [Int], magnitudes: Bool, dropout: Float) throws {
        var fixture = try LayerFixture(seed: 2, dropoutSeed: 77)
        let (count, inputs, outputs) = (fixture.batch.count, 9, [6, 4, 5])
        let layer = try group(
            &fixture, inputs: inputs, outputs: outputs, ranks: ranks, magnitudes: false, dropout: dropout)
        let context = fixture.context
        let x = try fixture.matrix(count, inputs)
        let dx = try fixture.matrix(count, inputs)
        let ys = try outputs.map { try fixture.matrix(count, $0) }
        let weights = try outputs.map { try fixture.matrix(count, $0) }
        let saved = try layer.room(.f32, context)
        try layer.forward(x, into: ys, saved, context)
        try layer.backward(weights, x: x, saved, into: dx, context)
        let frozen = fixture
        try fixture.check(
            {
                try layer.forward(x, into: ys, saved, context)
                return zip(ys, weights).reduce(0) { $0 + frozen.weighted($1.0, $1.1) }
            }, [("x", x, dx)] + trained(layer.parameters))
    }

    @Test("DoRA's magnitudes, adapters and input, with the norm held as the method says")
    func magnitudes() throws {
        var fixture = try LayerFixture(seed: 3)
        let (count, inputs, outputs) = (fixture.batch.count, 9, [6, 4])
        let layer = try group(&fixture, inputs: inputs, outputs: outputs, ranks: [2, 3], magnitudes: true)
        let context = fixture.context
        let x = try fixture.matrix(count, inputs)
        let dx = try fixture.matrix(count, inputs)
        let ys = try outputs.map { try fixture.matrix(count, $0) }
        let weights = try outputs.map { try fixture.matrix(count, $0) }
        let saved = try layer.room(.f32, context)
        try layer.forward(x, into: ys, saved, context)
        try layer.backward(weights, x: x, saved, into: dx, context)
        // With the norms of the beginning as constants, written out in double precision.
        let norms = saved.scaled.map { fixture.backend.floats(of: $0?.inverseNorms ?? x) }
        let frozen = fixture
        func loss() -> Double {
            var sum = 0.0
            for (index, part) in layer.parts.enumerated() {
                guard let adapter = part.adapter, let magnitude = adapter.magnitude,
                    case .dense(let weight) = part.weight
                else { continue }
                let (w, a) = (
                    frozen.backend.floats(of: weight.value), frozen.backend.floats(of: adapter.a.value)
                )
                let (b, m) = (
                    frozen.backend.floats(of: adapter.b.value), frozen.backend.floats(of: magnitude.value)
                )
                let (input, c) = (frozen.backend.floats(of: x), frozen.backend.floats(of: weights[index]))
                let bias = part.bias.map { frozen.backend.floats(of: $0.value) } ?? []
                let rank = adapter.a.value.rows
                for row in 0..<count {
                    for output in 0..<part.outputs {
                        var z = 0.0
                        for i in 0..<inputs {
                            var entry = Double(w[output * inputs + i])
                            for r in 0..<rank {
                                entry += 1.5 * Double(b[output * rank + r]) * Double(a[r * inputs + i])
                            }
                            z += entry * Double(input[row * inputs + i])
                        }
                        let y = z * Double(m[output]) * Double(norms[index][output]) + Double(bias[output])
                        sum += y * Double(c[row * part.outputs + output])
                    }
                }
            }
            return sum
        }
        let forward = zip(ys, weights).reduce(0) { $0 + fixture.weighted($1.0, $1.1) }
        #expect(abs(loss() - forward) < 1e-4)
        try fixture.check({ loss() }, [("x", x, dx)] + trained(layer.parameters))
    }

    @Test(
        "Attention with grouped heads, windows and normalized heads",
        arguments: [(4, 2, 0, false), (3, 3, 3, false), (4, 1, 0, true), (2, 2, 2, true)])
    func attention(heads: Int, keyValueHeads: Int, window: Int, normalized: Bool) throws {
        var fixture = try LayerFixture(seed: 4)
        let (count, hidden, headDim) = (fixture.batch.count, 8, 6)
        let (query, keyValue) = (heads * headDim, keyValueHeads * headDim)
        let layer = SelfAttention(
            qkv: try group(
                &fixture, inputs: hidden, outputs: [query, keyValue, keyValue], ranks: [0, 2, 0]),
            output: try group(&fixture, inputs: query, outputs: [hidden], ranks: [0], biased: false),
            queryNorm: normalized ? try fixture.norm(headDim, groups: heads) : nil,
            keyNorm: normalized ? try fixture.norm(headDim, groups: keyValueHeads) : nil,
            shape: AttentionShape(
                heads: heads, keyValueHeads: keyValueHeads, headDim: headDim, window: window))
        let context = fixture.context
        let (x, dx) = (try fixture.matrix(count, hidden), try fixture.matrix(count, hidden))
        let (y, weights) = (try fixture.matrix(count, hidden), try fixture.matrix(count, hidden))
        let saved = try layer.room(context)
        let forward = {
            context.backend.zero(y)
            try layer.forward(x, addingTo: y, saved, context)
        }
        try forward()
        try layer.backward(weights, x: x, saved, into: dx, context)
        let parameters =
            layer.qkv.parameters + layer.output.parameters
            + [layer.queryNorm, layer.keyNorm].compactMap { $0?.weight }
        let frozen = fixture
        try fixture.check(
            {
                try forward()
                return frozen.weighted(y, weights)
            }, [("x", x, dx)] + trained(parameters))
    }

    @Test("The gated feed-forward network")
    func feedForward() throws {
        var fixture = try LayerFixture(seed: 5)
        let (count, hidden, intermediate) = (fixture.batch.count, 8, 13)
        let layer = GatedFeedForward(
            gateUp: try group(
                &fixture, inputs: hidden, outputs: [intermediate, intermediate], ranks: [2, 0]),
            down: try group(&fixture, inputs: intermediate, outputs: [hidden], ranks: [3]),
            intermediateSize: intermediate)
        let context = fixture.context
        let (x, dx) = (try fixture.matrix(count, hidden), try fixture.matrix(count, hidden))
        let (y, weights) = (try fixture.matrix(count, hidden), try fixture.matrix(count, hidden))
        let saved = try layer.room(context)
        let forward = {
            context.backend.zero(y)
            try layer.forward(x, addingTo: y, saved, context)
        }
        try forward()
        try layer.backward(weights, x: x, saved, into: dx, context)
        let frozen = fixture
        try fixture.check(
            {
                try forward()
                return frozen.weighted(y, weights)
            }, [("x", x, dx)] + trained(layer.gateUp.parameters + layer.down.parameters))
    }

    @Test("The output layer's log-probabilities, with and without coefficients", arguments: [true, false])
    func output(weighted: Bool) throws {
        var fixture = try LayerFixture(seed: 6)
        let (count, hidden, vocabulary) = (fixture.batch.count, 7, 19)
        let layer = OutputLayer(weight: try fixture.parameter(vocabulary, hidden))
        let (x, dx) = (try fixture.matrix(count, hidden), try fixture.matrix(count, hidden))
        let targets = (0..<count).map { Int32(($0 * 7) % vocabulary) }
        let coefficients = weighted ? fixture.numbers(count) : nil
        let context = fixture.context
        _ = try layer.forward(
            x, targets: targets, coefficients: coefficients, dHidden: dx, addsWeightGradient: true, context)
        let (value, gradient) = (layer.weight.value, try #require(layer.weight.gradient))
        try fixture.check(
            {
                let scores = try layer.forward(
                    x, targets: targets, coefficients: nil, dHidden: nil, addsWeightGradient: false, context)
                return scores.logProbs.enumerated().reduce(0) {
                    $0 + Double($1.element) * Double(coefficients?[$1.offset] ?? 1)
                }
            }, [("x", x, dx), ("weight", value, gradient)])
    }
}
