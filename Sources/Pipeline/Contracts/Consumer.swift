package import OTLP

/// Anything in a pipeline that takes batches: a processor, a connector, an exporter's queue, a fan-out.
package protocol Consumer: AnyObject, Sendable {
    /// Takes the batch, or refuses it, and says so on `receipt`: exactly once, now or later, on any thread.
    ///
    /// The caller gives up the batch: it may not read or change it afterwards. Until the callee hands the batch on or
    /// stores it, the callee may change it. Called on an event loop: it must not block, sleep or wait for a lock that
    /// is held during I/O.
    func consume(_ batch: TelemetryBatch, context: RequestContext, receipt: Receipt)

    /// Whether `consume`, or anyone whom it hands the same batch to, may change it. A fan-out then gives it a batch of
    /// its own. A stage that changes nothing says what the next one says.
    var mutatesBatches: Bool { get }
}

/// Gives each batch to several consumers. The request's bytes are shared; a consumer that changes batches gets a fork.
package final class FanOut: Consumer {
    private let consumers: [any Consumer]

    package init(_ consumers: [any Consumer]) { self.consumers = consumers }

    package var mutatesBatches: Bool { consumers.count == 1 && consumers[0].mutatesBatches }

    package func consume(_ batch: TelemetryBatch, context: RequestContext, receipt: Receipt) {
        guard !consumers.isEmpty else {
            receipt.refuse(ConsumeError(.internal, "no pipeline takes \(batch.signal.rawValue)"))
            return
        }
        receipt.expect(consumers.count - 1)
        // Forks are made before anyone gets the batch: a consumer may change or share it at once.
        let branches = consumers.map { consumers.count > 1 && $0.mutatesBatches ? batch.fork() : batch }
        for (consumer, branch) in zip(consumers, branches) {
            consumer.consume(branch, context: context, receipt: receipt)
        }
    }

    /// The cheapest consumer over `consumers`: the one itself, or a fan-out.
    package static func joining(_ consumers: [any Consumer]) -> any Consumer {
        if consumers.count == 1, let only = consumers.first { return only }
        return FanOut(consumers)
    }
}
