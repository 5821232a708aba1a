internal import Pipeline

/// What has been taken and is not settled: the boundary between the queue's rules and where its content is kept.
///
/// The state machine inserts a batch when it takes it, and finishes its pieces one by one. This store keeps the
/// content in memory, so an entry is gone when its last piece is finished. An entry that is on a disk too has its
/// sequence there, and leaves the disk when its settlement says so.
struct PendingStore<Token: Sendable>: Sendable {
    /// The end of an entry: whom to answer, if nobody has yet, and with what.
    struct Settlement {
        let token: Token?
        let failure: ConsumeError?
        /// To be released on the disk.
        let sequence: UInt64?
        let client: ClientKey
        let units: Int
        let bytes: Int
    }

    private struct Entry {
        var units: Int
        var bytes: Int
        /// Parts of the batch that are still on their way; 0 marks a free slot.
        var pieces: Int
        var token: Token?
        var failure: ConsumeError?
        /// Where it is on the disk.
        var sequence: UInt64?
        var client = ClientKey.none
        /// A part of it is not delivered and stays on the disk.
        var isKept = false
    }

    private var entries: [Entry] = []
    private var free: [Int] = []
    /// Held, in units of the queue's sizer.
    private(set) var units = 0
    /// Held, in bytes of memory.
    private(set) var bytes = 0
    /// Units that have left since the beginning.
    private(set) var settledUnits = 0

    var isEmpty: Bool { entries.count == free.count }

    /// Takes a batch of one piece. `token` is kept when the answer waits for the delivery.
    mutating func insert(
        units: Int, bytes: Int, token: Token?, client: ClientKey, sequence: UInt64? = nil
    ) -> Int {
        self.units += units
        self.bytes += bytes
        let entry = Entry(units: units, bytes: bytes, pieces: 1, token: token, sequence: sequence, client: client)
        if let slot = free.popLast() {
            entries[slot] = entry
            return slot
        }
        entries.append(entry)
        return entries.count - 1
    }

    /// One piece of the entry became two.
    mutating func addPiece(of entry: Int) { entries[entry].pieces += 1 }

    /// One piece is delivered (`failure` nil), given up, or stays on the disk (`keeping`). Returns the settlement when it
    /// was the last.
    mutating func finishPiece(of entry: Int, failure: ConsumeError?, keeping: Bool = false) -> Settlement? {
        if keeping { entries[entry].isKept = true }
        entries[entry].pieces -= 1
        if let failure, entries[entry].failure.map({ failure.isRetryable && !$0.isRetryable }) ?? true {
            entries[entry].failure = failure
        }
        guard entries[entry].pieces == 0 else { return nil }
        let done = entries[entry]
        units -= done.units
        bytes -= done.bytes
        settledUnits &+= done.units
        entries[entry] = Entry(units: 0, bytes: 0, pieces: 0)
        free.append(entry)
        return Settlement(
            token: done.token, failure: done.failure, sequence: done.isKept ? nil : done.sequence,
            client: done.client, units: done.units, bytes: done.bytes)
    }
}
