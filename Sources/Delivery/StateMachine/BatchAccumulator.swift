internal import Pipeline

/// Pieces that gather until they make a request, by metadata partition.
struct BatchAccumulator: Sendable {
    private struct Partition {
        /// In order of arrival; never empty.
        var pieces: [Piece] = []
        /// Sum of the pieces' sizes.
        var size = 0
    }

    let policy: BatchPolicy
    private var partitions: [PartitionKey: Partition] = [:]

    init(_ policy: BatchPolicy) { self.policy = policy }

    /// Whether data of this partition can be added within the cardinality limit.
    func hasRoom(for key: PartitionKey) -> Bool {
        policy.cardinalityLimit == 0 || partitions.count < policy.cardinalityLimit || partitions[key] != nil
    }

    /// Adds a piece and passes on the requests that are complete by size.
    ///
    /// - Returns: when the rest has to be flushed, if this piece is the oldest of a rest.
    mutating func add<Token>(
        _ piece: Piece, to key: PartitionKey, store: inout PendingStore<Token>, send: (PendingRequest) -> Void
    ) -> ContinuousClock.Instant? {
        var partition = partitions.removeValue(forKey: key) ?? Partition()
        let wasEmpty = partition.pieces.isEmpty
        partition.pieces.append(piece)
        partition.size += piece.size
        var isCut = false
        while partition.size >= policy.minSize, !partition.pieces.isEmpty {
            send(PendingRequest(cut(&partition, &store), metadata: key))
            isCut = true
        }
        guard let oldest = partition.pieces.first else { return nil }
        partitions[key] = partition
        return wasEmpty || isCut ? oldest.arrived + policy.flushTimeout : nil
    }

    /// Passes on what has been held back long enough; everything when `now` is nil.
    mutating func flush<Token>(
        _ now: ContinuousClock.Instant?, store: inout PendingStore<Token>, send: (PendingRequest) -> Void
    ) {
        for key in Array(partitions.keys) {
            guard var partition = partitions[key], let oldest = partition.pieces.first else { continue }
            if let now, oldest.arrived + policy.flushTimeout > now { continue }
            partitions[key] = nil
            while !partition.pieces.isEmpty {
                send(PendingRequest(cut(&partition, &store), metadata: key))
            }
        }
    }

    /// When the next partition has to be flushed.
    var nextFlush: ContinuousClock.Instant? {
        partitions.values.lazy.compactMap(\.pieces.first?.arrived).min().map { $0 + policy.flushTimeout }
    }

    /// Takes the oldest pieces up to `maxSize`; at least one item.
    private func cut<Token>(_ partition: inout Partition, _ store: inout PendingStore<Token>) -> [Piece] {
        guard policy.maxSize > 0, partition.size > policy.maxSize else {
            let all = partition.pieces
            partition = Partition()
            return all
        }
        var taken: [Piece] = []
        var room = policy.maxSize
        var used = 0
        while used < partition.pieces.count, room > 0 {
            var piece = partition.pieces[used]
            if piece.size > room {
                let parts = BatchPolicy.split(piece.slice, room: room, in: policy.sizer)
                let headSize = parts.rest == nil ? piece.size : BatchPolicy.size(of: parts.head, in: policy.sizer)
                if headSize > room, !taken.isEmpty { break }
                if let rest = parts.rest {
                    partition.pieces[used].slice = rest
                    // At least 1: a rest always counts for something.
                    partition.pieces[used].size = max(1, piece.size - headSize)
                    store.addPiece(of: piece.entry)
                    used -= 1
                }
                piece.slice = parts.head
                piece.size = headSize
                room = 0
            } else {
                room -= piece.size
            }
            taken.append(piece)
            used += 1
        }
        partition.pieces.removeFirst(used)
        partition.size = partition.pieces.reduce(0) { $0 + $1.size }
        return taken
    }
}
