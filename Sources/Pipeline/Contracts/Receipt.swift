import Synchronization

/// Items that a branch took from a batch but will never deliver, so that the sender can be told: OTLP's partial success.
package struct RejectedItems: Sendable, Equatable {
    package let count: Int
    /// For people; names no telemetry.
    package let reason: String

    package init(count: Int, reason: String) {
        self.count = count
        self.reason = reason
    }
}

/// The acknowledgement of one request. It completes when every branch that the request's batch went down has taken
/// responsibility for it, or has refused.
///
/// Each `Consumer.consume` call owes its receipt exactly one `accept` or `refuse`. A stage that hands the batch to n
/// others first calls `expect(n - 1)`. All methods may be called from any thread; the completion runs once, on the
/// thread of the last settlement. A receipt that is dropped unsettled completes as an internal error, or with
/// the error that a branch gave before, so that no client waits for ever.
package final class Receipt: Sendable {
    private let pending = Atomic<Int>(1)
    private let failure = Mutex<ConsumeError?>(nil)
    private let rejected = Mutex<RejectedItems?>(nil)
    private let completion: @Sendable (ConsumeError?, RejectedItems?) -> Void

    /// - Parameter completion: gets nil when every branch accepted, otherwise the error that matters most: a
    ///   retryable one if there is any, since a part of the data is then held by nobody.
    package convenience init(_ completion: @escaping @Sendable (ConsumeError?) -> Void) {
        self.init(withRejections: { error, _ in completion(error) })
    }

    /// - Parameter completion: as above, and what was told to `reject`.
    package init(withRejections completion: @escaping @Sendable (ConsumeError?, RejectedItems?) -> Void) {
        self.completion = completion
    }

    deinit {
        guard pending.load(ordering: .acquiring) > 0 else { return }
        // What another branch said goes first: when it may be sent again, the client must hear so.
        let known = failure.withLock { $0 }
        completion(known ?? ConsumeError(.internal, "a pipeline stage dropped the batch without an answer"), nil)
    }

    /// Announces `branches` more settlements. Call before the batch is handed on.
    package func expect(_ branches: Int) {
        guard branches > 0 else { return }
        pending.add(branches, ordering: .relaxed)
    }

    /// One branch will leave items out. Call before it settles. Of several branches the one that leaves out the most
    /// counts: the others' may be the same items.
    package func reject(_ items: RejectedItems) {
        rejected.withLock { known in
            if items.count > known?.count ?? 0 { known = items }
        }
    }

    /// One branch has taken responsibility.
    package func accept() { settle() }

    /// One branch has not taken the batch.
    package func refuse(_ error: ConsumeError) {
        failure.withLock { current in
            guard let known = current else {
                current = error
                return
            }
            if error.isRetryable, !known.isRetryable { current = error }
        }
        settle()
    }

    private func settle() {
        let left = pending.subtract(1, ordering: .acquiringAndReleasing).newValue
        guard left == 0 else { return }
        completion(failure.withLock { $0 }, rejected.withLock { $0 })
    }
}
