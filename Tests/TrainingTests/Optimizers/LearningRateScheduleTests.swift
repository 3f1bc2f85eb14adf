// Learning rates: transformers' values, written out, and the rules for warmup.

import Testing
import Training

@Suite("Learning rate schedules")
struct LearningRateScheduleTests {
    // Of transformers 5.23, with a rate of 0.001.
    @Test(
        "Each schedule has the values of transformers",
        arguments: [
            (TrainingParameters.SchedulerType.cosine, 30, 3, 0, 0.0),
            (.cosine, 30, 3, 1, 0.0003333333333333333),
            (.cosine, 30, 3, 2, 0.0006666666666666666), (.cosine, 30, 3, 3, 0.001),
            (.cosine, 30, 3, 10, 0.0008431208189343669), (.cosine, 30, 3, 29, 3.3808211290284885e-06),
            (.cosine, 20, 0, 0, 0.001), (.cosine, 20, 0, 1, 0.0009938441702975688),
            (.cosine, 20, 0, 10, 0.0005), (.linear, 30, 3, 2, 0.0006666666666666666),
            (.linear, 30, 3, 3, 0.001), (.linear, 30, 3, 17, 0.00048148148148148144),
            (.linear, 30, 3, 29, 3.7037037037037037e-05),
            (.constant, 30, 3, 0, 0.001), (.constantWithWarmup, 30, 3, 0, 0),
            (.constantWithWarmup, 30, 3, 1, 0.0003333333333333333), (.constantWithWarmup, 30, 3, 29, 0.001),
            (.cosineWithMinLR, 30, 3, 1, 0.0003333333333333333),
            (.cosineWithMinLR, 30, 3, 12, 0.0007750000000000001),
            (.cosineWithMinLR, 30, 3, 29, 0.00010304273901612566),
        ])
    func values(
        type: TrainingParameters.SchedulerType, steps: Int, warmup: Int, step: Int, expected: Double
    ) {
        let schedule = LearningRateSchedule(
            type: type, learningRate: 0.001, totalSteps: steps, warmupSteps: warmup, minLR: 0.0001)
        #expect(abs(schedule.rate(step: step) - expected) < 1e-18)
    }

    @Test(
        "Warmup is given in steps, or else as a share that is rounded up",
        arguments: [
            (0, 0.0, 30, 0), (0, 0.1, 30, 3), (0, 0.1, 31, 4), (0, 0.05, 10, 1), (5, 0.5, 30, 5),
            (0, 1, 7, 7),
            (0, 0.1, 0, 0), (0, .nan, 10, 0),
        ])
    func warmup(steps: Int, ratio: Double, total: Int, expected: Int) {
        var parameters = TrainingParameters()
        (parameters.warmupSteps, parameters.warmupRatio) = (steps, ratio)
        #expect(LearningRateSchedule(parameters, totalSteps: total).warmupSteps == expected)
    }

    @Test(
        "The rate that was not given is the tuner's",
        arguments: [(TrainingParameters.TunerType.full, 1e-5), (.lora, 1e-4)])
    func defaults(type: TrainingParameters.TunerType, expected: Double) {
        var parameters = TrainingParameters()
        parameters.tunerType = type
        #expect(LearningRateSchedule(parameters, totalSteps: 9).rate(step: 0) == expected)
        parameters.learningRate = 0.5
        #expect(LearningRateSchedule(parameters, totalSteps: 9).rate(step: 0) == 0.5)
    }

    @Test(
        "Steps beyond the end and runs without steps have rates too",
        arguments: TrainingParameters.SchedulerType.allCases)
    func edges(type: TrainingParameters.SchedulerType) {
        let schedule = LearningRateSchedule(type: type, learningRate: 0.001, totalSteps: 10, minLR: 0.0001)
        let end = schedule.rate(step: 10)
        #expect(schedule.rate(step: 15) == end && end >= 0 && end <= 0.001)
        #expect(LearningRateSchedule(type: type, learningRate: 0, totalSteps: 0).rate(step: 0) == 0)
        let all = LearningRateSchedule(type: type, learningRate: 0.001, totalSteps: 4, warmupSteps: 9)
        #expect((0..<6).allSatisfy { (0...0.001).contains(all.rate(step: $0)) })
    }
}
