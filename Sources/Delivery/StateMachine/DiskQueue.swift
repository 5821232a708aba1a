internal import NIOCore
package import OTLP
internal import Pipeline

/// A batch with what a disk log keeps beside it.
package struct BatchOnDisk: Sendable {
    /// Position in the log; 0 for a batch that is on its way there.
    package var sequence: UInt64
    package let batch: TelemetryBatch
    /// The combination of metadata that it belongs to.
    package let partition: PartitionKey

    package init(sequence: UInt64 = 0, _ batch: TelemetryBatch, partition: PartitionKey) {
        self.sequence = sequence
        self.batch = batch
        self.partition = partition
    }
}

/// What a queue knows about its disk log: the records from `next` to `end` are on the disk only, those before are in
/// memory or done with, those in `appending` are not durable yet.
struct DiskQueue<Token: Sendable>: Sendable {
    struct Append {
        let arrival: DeliveryStateMachine<Token>.Arrival
        /// Until when its sender waits for room, if it had to wait.
        var deadline: ContinuousClock.Instant?
    }

    var appending: [UInt64: Append] = [:]
    /// Sums over `appending`: in memory, and in units of the queue's sizer.
    var appendingBytes = 0
    var appendingUnits = 0
    var next: UInt64 = 0
    var end: UInt64 = 0
    /// Of the records from `next` to `end`, in units of the queue's sizer.
    var units = 0
    var isLoading = false
    /// The disk was full: batches wait for room until then.
    var appendsAfter: ContinuousClock.Instant?
    /// The disk could not be read: not asked again before.
    var loadsAfter: ContinuousClock.Instant?
    /// Who waits for the delivery of records that are on the disk only.
    var tokens: [UInt64: Token] = [:]
    /// Whose the records before `end` are, as far back as they are on the disk only and were taken by this process.
    private var clients = CircularBuffer<ClientKey>()

    /// A record is on the disk only.
    ///
    /// - Parameter isNext: it came right behind the last one; otherwise nobody knows any more whose those before are.
    mutating func keep(_ client: ClientKey, isNext: Bool) {
        if !isNext { clients.removeAll() }
        clients.append(client)
    }

    /// Whose a record is that is on the disk only.
    func client(of sequence: UInt64) -> ClientKey {
        let behind = end &- sequence
        guard behind > 0, behind <= UInt64(clients.count) else { return .none }
        return clients[clients.index(clients.startIndex, offsetBy: clients.count - Int(behind))]
    }

    /// Records before `next` are not on the disk only any more.
    mutating func forgetClients() {
        while UInt64(clients.count) > end &- next { clients.removeFirst() }
    }
}
