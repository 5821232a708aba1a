internal import OTLP
internal import Pipeline

/// A run of items of one entry of the store.
struct Piece: Sendable {
    var slice: BatchSlice
    /// Entry of `PendingStore`.
    var entry: Int
    /// In units of the batch policy's sizer.
    var size: Int
    /// When the batch was taken.
    var arrived: ContinuousClock.Instant
}

/// What goes to the exporter in one go, with its history.
struct PendingRequest: Sendable {
    var slices: [BatchSlice]
    /// The store's entry of each slice.
    var entries: [Int]
    /// See `ExportRequest.metadata`.
    let metadata: [String: [String]]
    /// As the self-metrics count.
    let itemCount: Int
    var attempts = 0
    var firstAttempt: ContinuousClock.Instant?
    /// Next wait, before jitter; nil before the first failure.
    var interval: Duration?

    init(_ pieces: [Piece], metadata: [String: [String]] = [:]) {
        self.init(slices: pieces.map(\.slice), entries: pieces.map(\.entry), metadata: metadata)
    }

    init(_ piece: Piece, metadata: [String: [String]] = [:]) {
        slices = [piece.slice]
        entries = [piece.entry]
        self.metadata = metadata
        itemCount = piece.slice.itemCount
    }

    private init(slices: [BatchSlice], entries: [Int], metadata: [String: [String]]) {
        self.slices = slices
        self.entries = entries
        self.metadata = metadata
        itemCount = slices.reduce(0) { $0 + $1.itemCount }
    }

    /// The request as two of half the items, with its history; nil when it is a single item. `splitEntry` is the entry
    /// of which both halves hold a part.
    func halved() -> (first: PendingRequest, second: PendingRequest, splitEntry: Int?)? {
        let total = slices.reduce(0) { $0 + $1.items.count }
        guard total > 1 else { return nil }
        var room = total / 2
        var index = 0
        while index < slices.count, slices[index].items.count <= room {
            room -= slices[index].items.count
            index += 1
        }
        var heads = Array(slices[..<index])
        var tails = Array(slices[index...])
        var headEntries = Array(entries[..<index])
        var splitEntry: Int?
        if room > 0, let split = tails.first {
            let middle = split.items.lowerBound + room
            heads.append(BatchSlice(split.batch, items: split.items.lowerBound..<middle))
            tails[0] = BatchSlice(split.batch, items: middle..<split.items.upperBound)
            headEntries.append(entries[index])
            splitEntry = entries[index]
        }
        var first = PendingRequest(slices: heads, entries: headEntries, metadata: metadata)
        var second = PendingRequest(slices: tails, entries: Array(entries[index...]), metadata: metadata)
        (first.attempts, first.firstAttempt, first.interval) = (attempts, firstAttempt, interval)
        (second.attempts, second.firstAttempt, second.interval) = (attempts, firstAttempt, interval)
        return (first, second, splitEntry)
    }
}
