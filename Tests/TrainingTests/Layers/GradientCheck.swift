// Gradients compared with central differences of the forward pass.

import Glibc
import Tensors
import TestSupport
import Testing

@testable import Training

/// A backend, an arena and the surroundings of a pass over random sequences, in fp32.
struct LayerFixture {
    let backend: CPUBackend
    let arena: ActivationArena
    var generator: SeededGenerator
    let batch: TrainingBatch
    let context: LayerContext

    /// - Parameter lengths: of the sequences.
    init(seed: UInt64, lengths: [Int] = [5, 1, 7], headDim: Int = 6, dropoutSeed: UInt64? = nil) throws {
        let backend = try CPUBackend(pool: ThreadPool(threads: 2))
        self.backend = backend
        arena = try ActivationArena(byteCount: 64 << 20, backend: backend)
        generator = SeededGenerator(seed: seed)
        batch = TrainingBatch(
            lengths.map { TokenSequence(ids: Array(0..<Int32($0)), labels: Array(0..<Int32($0))) })
        let length = lengths.max() ?? 1
        let angles = (0..<length * headDim / 2).map { Float($0) * 0.37 }
        func table(_ values: [Float]) throws -> Matrix {
            let memory = try backend.allocate(byteCount: values.count * 4, purpose: "a test")
            let matrix = Matrix(memory: memory, type: .f32, rows: length, columns: headDim / 2)
            values.withUnsafeBytes { backend.upload($0, to: matrix) }
            return matrix
        }
        context = LayerContext(
            backend: backend, arena: arena, precision: .float32, batch: batch,
            angles: RotaryAngles(
                cosines: try table(angles.map { cosf($0) }), sines: try table(angles.map { sinf($0) })),
            dropoutSeed: dropoutSeed)
    }

    mutating func numbers(_ count: Int, scale: Float = 1) -> [Float] {
        (0..<count).map { _ in Float.random(in: -scale...scale, using: &generator) }
    }

    mutating func matrix(_ rows: Int, _ columns: Int, scale: Float = 1) throws -> Matrix {
        let memory = try backend.allocate(byteCount: rows * columns * 4, purpose: "a test")
        let matrix = Matrix(memory: memory, type: .f32, rows: rows, columns: columns)
        set(matrix, numbers(rows * columns, scale: scale))
        return matrix
    }

    func set(_ matrix: Matrix, _ values: [Float]) {
        values.withUnsafeBytes { backend.upload($0, to: matrix) }
    }

    /// A trained parameter of random values.
    mutating func parameter(_ rows: Int, _ columns: Int, scale: Float = 1, around: Float = 0) throws
        -> Parameter
    {
        let value = try matrix(rows, columns, scale: scale)
        set(value, backend.floats(of: value).map { $0 + around })
        let gradient = Matrix(
            memory: try backend.allocate(byteCount: rows * columns * 4, purpose: "a test"), type: .f32,
            rows: rows, columns: columns)
        return Parameter(name: "p", shape: [rows, columns], value: value, gradient: gradient)
    }

    mutating func norm(_ size: Int, groups: Int = 1) throws -> RMSNormLayer {
        RMSNormLayer(weight: try parameter(1, size, scale: 0.5, around: 1), epsilon: 1e-5, groups: groups)
    }

    /// Compares the gradients of a loss with central differences along random directions, matrix by matrix.
    /// - Parameters:
    ///   - loss: the loss as a function of what the matrices hold now.
    ///   - matrices: what the loss depends on, with its gradients.
    mutating func check(
        _ loss: () throws -> Double, _ matrices: [(name: String, value: Matrix, gradient: Matrix)],
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        for (name, value, gradient) in matrices {
            let before = backend.floats(of: value)
            let slopes = backend.floats(of: gradient)
            // Along its own gradient a loss changes most, so that noise hides least; a random part is added so that
            // elements with no gradient are looked at too.
            let size = max(slopes.map(abs).max() ?? 0, 1e-3)
            let direction = zip(slopes, numbers(slopes.count)).map { $0 / size + 0.3 * $1 }
            // Single precision leaves about 1e-7 of the loss as noise; a step of 1e-2 of the direction keeps both
            // noise and curvature near a thousandth of the slope.
            let step: Float = 4e-3
            set(value, zip(before, direction).map { $0 + step * $1 })
            let above = try loss()
            set(value, zip(before, direction).map { $0 - step * $1 })
            let below = try loss()
            set(value, before)
            let measured = (above - below) / Double(2 * step)
            let expected = zip(slopes, direction).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
            #expect(
                abs(measured - expected) <= 0.01 * abs(expected) + 2e-3,
                "\(name): the difference quotient is \(measured), the gradient says \(expected)",
                sourceLocation: sourceLocation)
            #expect(
                slopes.contains { $0 != 0 }, "\(name) has no gradient at all", sourceLocation: sourceLocation)
        }
    }

    /// Σ weights * y.
    func weighted(_ y: Matrix, _ weights: Matrix) -> Double {
        zip(backend.floats(of: y), backend.floats(of: weights)).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
}
