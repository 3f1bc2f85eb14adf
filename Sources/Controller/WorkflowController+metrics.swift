// What steps write into their metrics files goes into the database, where charts are read from.

package import Executors
import Persistence
import Scheduling
import Text

/// Where the metrics of running steps come from, and who is told that they are kept.
package struct MetricsSource: Sendable {
    package var samples: AsyncStream<MetricSample>
    package var acknowledge: @Sendable (MetricSample) -> Void

    package init(samples: AsyncStream<MetricSample>, acknowledge: @escaping @Sendable (MetricSample) -> Void)
    {
        self.samples = samples
        self.acknowledge = acknowledge
    }
}

extension WorkflowController {
    /// Saves samples as they come until the stream ends. One that cannot be saved stays in its file, and comes again
    /// when the run is taken up the next time.
    func keepMetrics(_ source: MetricsSource) async {
        for await sample in source.samples {
            let moment = now()
            do {
                try await store.saveMetrics(sample.key.workflowUID, Self.points(of: sample, at: moment))
                source.acknowledge(sample)
            } catch {
                continue
            }
        }
    }

    /// The points of one line: each number in it, at the line's step.
    static func points(of sample: MetricSample, at moment: Timestamp) -> [MetricPoint] {
        let members = sample.values.objectValue ?? [:]
        let stepName = ["step", "global_step"].first { members[$0]?.doubleValue != nil }
        // Without a step, lines are told apart by where they stand in the file.
        let step = stepName.flatMap { members[$0]?.doubleValue } ?? Double(sample.endOffset)
        return members.sorted { $0.key < $1.key }.compactMap { name, value in
            guard name != stepName, let number = value.doubleValue else { return nil }
            return MetricPoint(
                nodeID: sample.key.nodeID, attempt: sample.key.attempt, name: name, step: step, value: number,
                at: moment)
        }
    }
}
