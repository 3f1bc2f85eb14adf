// From gradients to new parameters: the optimizer's states and its step.

package import Tensors

/// Steps all trained parameters. States are made at the first use of a parameter and belong to its name.
package final class Optimizer {
    /// What does not change from step to step.
    package struct Settings: Sendable {
        package var type: TrainingParameters.OptimizerType
        package var beta1: Double
        package var beta2: Double
        package var epsilon: Double
        package var momentum: Double
        package var weightDecay: Double
        package var emaDecay: Double?

        package init(_ parameters: TrainingParameters) {
            type = parameters.optimizer
            beta1 = parameters.adamBeta1
            beta2 = parameters.adamBeta2
            epsilon = parameters.adamEpsilon
            momentum = parameters.momentum
            weightDecay = parameters.weightDecay
            emaDecay = parameters.emaDecay
        }
    }

    private enum State {
        case none
        case one(Matrix)
        case two(Matrix, Matrix)
        case quantized(QuantizedState, QuantizedState)
    }

    private let settings: Settings
    private let backend: any ComputeBackend
    private let parameters: [Parameter]
    private let decays: (String) -> Bool
    private var states: [State] = []
    private var averages: [Matrix] = []
    /// Steps taken.
    package private(set) var stepCount = 0

    /// - Parameter decays: whether weight decay applies to the parameter of that name.
    package init(
        _ settings: Settings, parameters: [Parameter], decays: @escaping (String) -> Bool,
        backend: any ComputeBackend
    ) throws(OutOfMemory) {
        self.settings = settings
        self.parameters = parameters
        self.decays = decays
        self.backend = backend
        for parameter in parameters {
            states.append(try state(parameter.value.count))
            guard settings.emaDecay != nil else { continue }
            let average = try vector(parameter.value.count, .f32)
            backend.convert(Self.flat(parameter.value), into: average)
            averages.append(average)
        }
    }

    /// The norm of all gradients as one vector, before any clipping. Not finite if a gradient is not.
    package func gradientNorm() -> Double {
        var sum = 0.0
        for parameter in parameters {
            if let gradient = parameter.gradient { sum += backend.sumOfSquares(Self.flat(gradient)) }
        }
        return sum.squareRoot()
    }

    /// One step with gradients that are multiplied by `gradientFactor` first.
    package func step(learningRate: Double, gradientFactor: Double) {
        stepCount += 1
        for (index, parameter) in parameters.enumerated() {
            guard let gradient = parameter.gradient else { continue }
            let update = ParameterUpdate(
                parameter: Self.flat(parameter.value), gradient: Self.flat(gradient),
                gradientFactor: Float(gradientFactor), learningRate: Float(learningRate),
                weightDecay: Float(decays(parameter.name) ? settings.weightDecay : 0))
            apply(update, states[index])
            if let decay = settings.emaDecay {
                backend.movingAverage(of: update.parameter, decay: Float(decay), into: averages[index])
            }
        }
    }

    private func apply(_ update: ParameterUpdate, _ state: State) {
        let numbers = AdamNumbers(
            beta1: Float(settings.beta1), beta2: Float(settings.beta2), epsilon: Float(settings.epsilon),
            step: stepCount)
        switch state {
        case .two(let m, let v): backend.adamW(update, numbers, m: m, v: v)
        case .quantized(let m, let v): backend.adamW8bit(update, numbers, m: m, v: v)
        case .one(let m) where settings.type == .lion:
            backend.lion(update, beta1: numbers.beta1, beta2: numbers.beta2, m: m)
        case .one(let velocity):
            backend.sgd(update, momentum: Float(settings.momentum), step: stepCount, velocity: velocity)
        case .none: backend.sgd(update, momentum: 0, step: stepCount, velocity: nil)
        }
    }

    // MARK: States

    private func vector(_ count: Int, _ type: ElementType) throws(OutOfMemory) -> Matrix {
        Matrix(
            memory: try backend.allocate(
                byteCount: count * type.byteCount, purpose: "the optimizer's states"),
            type: type, rows: 1, columns: count)
    }

    private func state(_ count: Int) throws(OutOfMemory) -> State {
        switch settings.type {
        case .adamw: return .two(try vector(count, .f32), try vector(count, .f32))
        case .lion: return .one(try vector(count, .f32))
        case .sgd: return settings.momentum == 0 ? .none : .one(try vector(count, .f32))
        case .adamw8bit:
            let blocks = (count + Self.stateBlock - 1) / Self.stateBlock
            let m = QuantizedState(codes: try vector(count, .u8), scales: try vector(blocks, .f32))
            let v = QuantizedState(codes: try vector(count, .u8), scales: try vector(blocks, .f32))
            backend.beginAdamW8bit(count: count, m: m, v: v)
            return .quantized(m, v)
        }
    }

    /// Elements that share a scale in 8-bit states.
    private static let stateBlock = 256

    private static func flat(_ matrix: Matrix) -> Matrix {
        precondition(matrix.isContiguous, "parameters have no gaps")
        return Matrix(
            memory: matrix.memory, offset: matrix.offset, type: matrix.type, rows: 1, columns: matrix.count)
    }

    /// The averages of the parameters, by name; empty without `ema_decay`.
    package var movingAverages: [(parameter: Parameter, average: Matrix)] {
        zip(parameters, averages).map { ($0, $1) }
    }

    // MARK: Saving and loading

    /// All states as tensors of a file.
    package var tensors: [(name: String, matrix: Matrix)] {
        var tensors: [(String, Matrix)] = []
        for (parameter, state) in zip(parameters, states) {
            let name = parameter.name
            switch state {
            case .none: break
            case .one(let m): tensors.append((name + ".m", m))
            case .two(let m, let v): tensors += [(name + ".m", m), (name + ".v", v)]
            case .quantized(let m, let v):
                tensors += [
                    (name + ".m_codes", m.codes), (name + ".m_scales", m.scales),
                    (name + ".v_codes", v.codes),
                    (name + ".v_scales", v.scales),
                ]
            }
        }
        for (parameter, average) in zip(parameters, averages) {
            tensors.append((parameter.name + ".ema", average))
        }
        return tensors
    }

    /// Takes the states of a checkpoint, after `stepCount` steps.
    /// - Throws: `SafetensorsError` for a tensor that is missing or of another shape.
    package func load(_ file: SafetensorsFile, stepCount: Int) throws {
        for (name, matrix) in tensors {
            guard let view = file.tensor(name), view.elementType == matrix.type,
                view.elementCount == matrix.count
            else {
                throw SafetensorsError(
                    file: file.path, tensor: name,
                    problem: "the optimizer's state is missing or of another size",
                    remedy:
                        "resume with the parameters that the checkpoint was made with, or with --resume_only_model"
                )
            }
            withExtendedLifetime(view) { backend.upload(view.bytes, to: matrix) }
        }
        self.stepCount = stepCount
    }
}
