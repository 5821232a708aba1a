/// Why a stage did not take responsibility for a batch. Retryability is part of the type: it decides the answer that
/// the client gets, in one place for each protocol.
package struct ConsumeError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// The exporter's queue is at its bound.
        case queueFull = "queue_full"
        /// The memory budget is at its bound.
        case memoryLimit = "memory_limit"
        /// The collector is going down.
        case shuttingDown = "shutting_down"
        /// The batch waited for room or for its delivery longer than it may.
        case deadlineExceeded = "deadline_exceeded"
        /// The destination failed, in a way that may pass.
        case unavailable
        /// The destination, or a component, will never take this batch.
        case refused
        /// A fault of Martlet's own.
        case `internal`
    }

    package var code: Code
    /// What happened, for the client and the log; holds no telemetry content and no secret.
    package var message: String
    /// Least time the client should wait before it sends the batch again; nil leaves it to the client.
    package var retryAfter: Duration?
    /// The queue that was full, to be asked before further requests are read.
    package var gate: (any AdmissionGate)?

    package init(_ code: Code, _ message: String, retryAfter: Duration? = nil) {
        self.code = code
        self.message = message
        self.retryAfter = retryAfter
    }

    /// Whether sending the same batch again may succeed.
    package var isRetryable: Bool {
        switch code {
        case .queueFull, .memoryLimit, .shuttingDown, .deadlineExceeded, .unavailable: true
        case .refused, .internal: false
        }
    }

    package var description: String { "\(code.rawValue): \(message)" }

    package static func == (left: Self, right: Self) -> Bool {
        left.code == right.code && left.message == right.message && left.retryAfter == right.retryAfter
            && left.gate === right.gate
    }
}
