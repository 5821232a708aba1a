package import OTLP

/// Stands before an exporter's queue and tells the sender at once which items the exporter will leave out, as far as they
/// show it themselves. Changes nothing: the exporter leaves them out and counts them.
package final class CheckStage: Consumer {
    /// What the exporter will leave out of a batch; nil for nothing. Any thread; must not block.
    package typealias Check = @Sendable (_ batch: TelemetryBatch) -> RejectedItems?

    private let check: Check
    private let next: any Consumer

    package init(_ check: @escaping Check, next: any Consumer) {
        self.check = check
        self.next = next
    }

    package var mutatesBatches: Bool { next.mutatesBatches }

    package func consume(_ batch: TelemetryBatch, context: RequestContext, receipt: Receipt) {
        if let rejected = check(batch) { receipt.reject(rejected) }
        next.consume(batch, context: context, receipt: receipt)
    }
}
