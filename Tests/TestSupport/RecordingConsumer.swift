package import OTLP
package import Pipeline
internal import Synchronization

/// Keeps what it is given, and settles by a rule or leaves that to the test.
package final class RecordingConsumer: Consumer {
    package enum Answer: Sendable {
        case accept
        case refuse(ConsumeError)
        /// The test settles the receipt.
        case nothing
        /// The receipt is let go of unsettled.
        case drop
    }

    package struct Call: Sendable {
        package let batch: TelemetryBatch
        package let context: RequestContext
        package let receipt: Receipt?
    }

    package let mutatesBatches: Bool
    private let answer: @Sendable (TelemetryBatch) -> Answer
    private let log = Mutex<[Call]>([])

    package init(
        mutatesBatches: Bool = false, _ answer: @escaping @Sendable (TelemetryBatch) -> Answer = { _ in .accept }
    ) {
        self.mutatesBatches = mutatesBatches
        self.answer = answer
    }

    package var calls: [Call] { log.withLock { $0 } }
    package var batches: [TelemetryBatch] { calls.map(\.batch) }
    /// Items of all batches.
    package var itemCount: Int { batches.reduce(0) { $0 + $1.itemCount } }

    package func consume(_ batch: TelemetryBatch, context: RequestContext, receipt: Receipt) {
        let answer = answer(batch)
        var kept: Receipt?
        if case .nothing = answer { kept = receipt }
        let call = Call(batch: batch, context: context, receipt: kept)
        log.withLock { $0.append(call) }
        switch answer {
        case .accept: receipt.accept()
        case .refuse(let error): receipt.refuse(error)
        case .nothing, .drop: break
        }
    }
}

/// The results of receipts, in the order in which they complete.
package final class Outcomes: Sendable {
    private let log = Mutex<[ConsumeError?]>([])

    package init() {}

    /// nil stands for accepted.
    package var all: [ConsumeError?] { log.withLock { $0 } }

    package func receipt() -> Receipt {
        Receipt { [self] error in log.withLock { $0.append(error) } }
    }
}
