internal import Compression
package import OTLP
package import Pipeline
internal import Telemetry

/// What one signal leads to.
package struct OTLPRoute: Sendable {
    package var signal: Signal
    package var consumer: any Consumer
    package var metrics: ReceiverMetrics
    let door = AdmissionDoor()

    package init(signal: Signal, consumer: any Consumer, metrics: ReceiverMetrics) {
        self.signal = signal
        self.consumer = consumer
        self.metrics = metrics
    }
}

/// How bodies become batches, whatever protocol they came over: inflate, scan, account, hand on. Used on all event
/// loops at once.
struct OTLPIntake: Sendable {
    /// How a request ended.
    enum Outcome {
        /// Taken, but for `rejected` items: `reason` says why, when it is not their ids.
        case accepted(rejected: Int, reason: String?)
        /// The pipeline did not take it.
        case failed(ConsumeError)
    }

    /// Most bytes of a message, as sent and inflated.
    let maximumBytes: Int
    let decodeLimits: DecodeLimits
    let budget: MemoryBudget
    private let decompressors = DecompressorPool()

    init(maximumBytes: Int, decodeLimits: DecodeLimits, budget: MemoryBudget) {
        self.maximumBytes = maximumBytes
        self.decodeLimits = decodeLimits
        self.budget = budget
    }

    /// Bytes of a body that are counted before any has come; the rest is counted as it comes.
    private static let firstLease = 64 << 10

    /// Room for a body.
    ///
    /// - Parameters:
    ///   - announced: its length; nil when it is not known.
    ///   - client: who sends it.
    ///   - route: where its data will go.
    /// - Throws: when the memory budget has no room for it, or the route's queue will have none. It is counted.
    func lease(announced: Int?, for client: ClientKey, on route: OTLPRoute) throws(ConsumeError) -> MemoryLease {
        do throws(ConsumeError) {
            let ticket = try route.door.admit(client)
            let first = min(announced ?? Self.firstLease, Self.firstLease)
            if let lease = budget.lease(first, announced: announced ?? 0, for: client, ticket: ticket) { return lease }
            throw overloaded
        } catch {
            route.metrics.requestsRefused.add()
            throw error
        }
    }

    /// The memory budget has no room.
    var overloaded: ConsumeError {
        ConsumeError(.memoryLimit, "memory limit reached, try again later", retryAfter: budget.retryAfter)
    }

    /// The body without its compression. The memory lease goes along.
    func inflate(_ body: WireBytes, _ encoding: ContentEncoding) throws(OTLPRequestError) -> WireBytes {
        guard encoding != .identity, body.count > 0 else { return body }
        let lease = body.accounting as? MemoryLease
        // Inflated bytes are bounded before they exist: by the limit of a body, and by what memory is left.
        let room = lease.map { $0.bytes + budget.room } ?? maximumBytes
        let limit = min(maximumBytes, room)
        let inflated: WireBytes
        do throws(CompressionError) {
            let storage = try decompressors.decompress(body.buffer, encoding, limit: limit).release()
            inflated = WireBytes(adopting: storage.base, count: storage.count, accounting: lease)
        } catch {
            if case .tooLarge = error, limit < maximumBytes { throw memoryLimitReached }
            throw OTLPRequestError(error, limit: maximumBytes)
        }
        if let lease, !lease.resize(to: inflated.count) { throw memoryLimitReached }
        return inflated
    }

    /// The request's batch; the lease counts what it holds from now on, in place of its body.
    func batch(of wire: WireBytes, _ signal: Signal) throws(OTLPRequestError) -> TelemetryBatch {
        let batch: TelemetryBatch
        do throws(OTLPDecodeError) {
            batch = try TelemetryBatch(wire, signal: signal, limits: decodeLimits)
        } catch {
            throw OTLPRequestError(error)
        }
        if let lease = wire.accounting as? MemoryLease, !lease.resize(to: batch.heldBytes) { throw memoryLimitReached }
        return batch
    }

    /// Hands the batch to the route's pipeline and counts how it ended. `completion` runs once, on any thread.
    func deliver(
        _ batch: TelemetryBatch, to route: OTLPRoute, context: RequestContext,
        _ completion: @escaping @Sendable (Outcome) -> Void
    ) {
        let rejected = batch.rejectedCount
        let count = batch.itemCount
        let metrics = route.metrics
        metrics.refusedItems.add(rejected)
        guard !batch.isEmpty else {
            metrics.requestsSucceeded.add()
            completion(.accepted(rejected: rejected, reason: nil))
            return
        }
        let receipt = Receipt(withRejections: { error, left in
            if let error {
                route.door.note(error)
                error.isRetryable ? metrics.refusedItems.add(count) : metrics.failedItems.add(count)
                error.isRetryable ? metrics.requestsRefused.add() : metrics.requestsFailed.add()
                completion(.failed(error))
            } else {
                metrics.acceptedItems.add(count)
                metrics.requestsSucceeded.add()
                completion(.accepted(rejected: rejected + (left?.count ?? 0), reason: left?.reason))
            }
        })
        let ticket = (batch.bytes.accounting as? MemoryLease)?.ticket
        route.consumer.consume(batch, context: context, receipt: receipt)
        ticket?.leave()
    }

    /// Counts a request that was refused before any pipeline saw it.
    func count(_ error: OTLPRequestError, in metrics: ReceiverMetrics) {
        error.retryAfter == nil ? metrics.requestsFailed.add() : metrics.requestsRefused.add()
    }

    var memoryLimitReached: OTLPRequestError {
        let error = overloaded
        return OTLPRequestError(
            status: 503, code: .unavailable, message: error.message, retryAfter: error.retryAfter)
    }
}
