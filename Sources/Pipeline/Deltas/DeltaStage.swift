package import OTLP
internal import Synchronization

/// Makes the delta metrics of the batches that pass cumulative: a processor, or what stands before the queue of an
/// exporter that takes cumulative metrics only. Before the queue, because adding up twice, at a retry, would be wrong.
package final class DeltaStage: Processor {
    private let streams: DeltaStreams
    private let next: any Consumer
    private let isStarted = Mutex(false)

    /// - Parameter streams: may be shared with other stages.
    package init(_ streams: DeltaStreams, next: any Consumer) {
        self.streams = streams
        self.next = next
    }

    /// True: metrics are rewritten.
    package var mutatesBatches: Bool { true }

    /// Hands the batch on, or accepts it when no point is left: dropped points are counted, and to send them again
    /// would not help.
    package func consume(_ batch: TelemetryBatch, context: RequestContext, receipt: Receipt) {
        if batch.signal == .metrics {
            let wasEmpty = batch.isEmpty
            streams.accumulate(batch)
            if batch.isEmpty, !wasEmpty { return receipt.accept() }
        }
        next.consume(batch, context: context, receipt: receipt)
    }

    /// Begins to look for silent streams.
    package func start() throws {
        isStarted.withLock { isStarted in
            if !isStarted { streams.start() }
            isStarted = true
        }
    }

    /// Holds no batch: ends the looking for silent streams.
    package func stop(deadline: ContinuousClock.Instant) async {
        isStarted.withLock { isStarted in
            if isStarted { streams.stop() }
            isStarted = false
        }
    }
}
