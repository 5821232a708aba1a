package import OTLP
package import Pipeline

/// Hands each batch to an exporter that answers at once, without a queue, on the caller's thread.
package final class ImmediateDelivery: Consumer {
    private let exporter: any Exporter

    /// - Parameter exporter: must not block in `export`.
    package init(_ exporter: any Exporter) { self.exporter = exporter }

    package var mutatesBatches: Bool { false }

    /// Exports the batch at once, and settles the receipt with the exporter's answer.
    package func consume(_ batch: TelemetryBatch, context: RequestContext, receipt: Receipt) {
        let request = ExportRequest(
            signal: batch.signal, slices: [BatchSlice(batch)], timeout: DeliverySettings.unlimitedAttempt,
            metadata: context.metadata)
        exporter.export(request) { outcome in
            switch outcome {
            case .delivered: receipt.accept()
            case .retryable(let reason, let delay):
                receipt.refuse(ConsumeError(.unavailable, reason, retryAfter: delay))
            case .permanent(let reason), .tooLarge(let reason): receipt.refuse(ConsumeError(.refused, reason))
            }
        }
    }
}
