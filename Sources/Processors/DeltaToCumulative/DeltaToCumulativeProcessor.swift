package import Config
package import OTLP
package import Pipeline
internal import Synchronization
internal import Telemetry
internal import Temporality

/// otelcol's `deltatocumulative`: makes delta metrics cumulative, so that destinations such as Prometheus take them.
package struct DeltaToCumulativeProcessorFactory: ProcessorFactory {
    package init() {}

    package var descriptor: ComponentDescriptor {
        ComponentDescriptor(
            type: "deltatocumulative", aliases: ["delta_to_cumulative"], signals: [.metrics: .alpha])
    }

    package func settings(from section: ConfigSection) -> DeltaToCumulativeSettings {
        DeltaToCumulativeSettings(from: section)
    }

    package func make(
        _ settings: DeltaToCumulativeSettings, id: ComponentID, signal: Signal, next: any Consumer,
        environment: ComponentEnvironment
    ) throws -> any Processor {
        DeltaStage(settings.shared.makeStreams(settings.limits, id: id, environment: environment), next: next)
    }
}

/// What a `deltatocumulative` section sets.
package struct DeltaToCumulativeSettings: Sendable {
    let limits: DeltaLimits
    /// What the pipelines that name this component have in common.
    let shared = DeltaToCumulativeShared()

    init(from section: ConfigSection) {
        limits = DeltaLimits(from: section, overflow: .drop)
        section.refuse("storage", because: "the streams are kept in memory; after a restart they begin anew")
    }
}

/// The streams of one component: each pipeline counts for itself, the gauges are over all.
final class DeltaToCumulativeShared: Sendable {
    private let made = Mutex<[DeltaStreams]>([])

    /// The streams of one more pipeline. Registers the gauges with the first one.
    func makeStreams(_ limits: DeltaLimits, id: ComponentID, environment: ComponentEnvironment) -> DeltaStreams {
        let labels: MetricRegistry.Labels = [("processor", "\(id)")]
        let streams = DeltaStreams(limits, metrics: environment.metrics, labels: labels, budget: environment.budget)
        let isFirst = made.withLock { made in
            made.append(streams)
            return made.count == 1
        }
        if isFirst {
            DeltaStreams.registerGauges(limits, metrics: environment.metrics, labels: labels) { [self] in
                made.withLock { $0 }
            }
        }
        return streams
    }
}
