internal import NIOCore
internal import OTLP
package import Pipeline
package import Storage

// The queue's disk log. Durable means: as the log's synchronisation policy promises.
extension DeliveryStateMachine {
    /// The log is open. Call once, before the first batch.
    ///
    /// - Parameters:
    ///   - sequences: of the records that it may hold.
    ///   - units: what they count, in the queue's sizer.
    package mutating func recovered(_ sequences: Range<UInt64>, units: Int, now: Instant) -> [Action] {
        disk?.next = sequences.lowerBound
        disk?.end = sequences.upperBound
        disk?.units = units
        var actions: [Action] = []
        finishEvent(now, &actions)
        return actions
    }

    /// What the queue holds, in memory and on the disk, in units of its sizer.
    var heldUnits: Int { store.units + (disk.map { $0.units + $0.appendingUnits } ?? 0) }

    func hasRoom(for arrival: Arrival, _ disk: DiskQueue<Token>) -> Bool {
        guard disk.appendsAfter == nil else { return false }
        // A batch that is larger than the bound goes alone.
        let fits = disk.appending.isEmpty || disk.appendingBytes + arrival.bytes <= settings.queue.maximumBytes
        return fits && (settings.queue.dropsOldest || heldUnits + arrival.units <= settings.queue.size)
    }

    mutating func append(_ arrival: Arrival, deadline: Instant? = nil, _ actions: inout [Action]) {
        lastID += 1
        disk?.appending[lastID] = DiskQueue.Append(arrival: arrival, deadline: deadline)
        disk?.appendingBytes += arrival.bytes
        disk?.appendingUnits += arrival.units
        shares.add(units: arrival.units, bytes: 0, arrival.client)
        actions.append(.append(id: lastID, BatchOnDisk(arrival.batch, partition: arrival.partition)))
    }

    /// A batch is durable. Sequences come in order.
    package mutating func appended(_ id: UInt64, sequence: UInt64, now: Instant) -> [Action] {
        guard let arrival = removeAppend(id)?.arrival else { return [] }
        var actions: [Action] = []
        let waits = settings.queue.acknowledgesOnDelivery
        if !waits { actions.append(.accept(arrival.token)) }
        guard phase != .finished else {
            // It is delivered after the next start; whoever wants to see that has to send it again.
            if waits {
                actions.append(.refuse(arrival.token, ConsumeError(.shuttingDown, "shut down before delivery")))
            }
            return actions
        }
        let isNext = disk.map { $0.next == $0.end && !$0.isLoading } ?? false
        let isBehindLast = disk?.end == sequence
        disk?.end = sequence + 1
        if isNext, store.isEmpty || store.bytes + arrival.bytes <= settings.queue.maximumBytes,
            accumulator?.hasRoom(for: arrival.partition) ?? true
        {
            disk?.next = sequence + 1
            let entry = store.insert(
                units: arrival.units, bytes: arrival.bytes, token: waits ? arrival.token : nil, client: arrival.client,
                sequence: sequence)
            let slice = BatchSlice(arrival.batch)
            let piece = Piece(slice: slice, entry: entry, size: arrival.batchSize, arrived: now)
            take(piece, of: arrival.partition, with: arrival.metadata)
        } else {
            if isNext { disk?.next = sequence }
            disk?.units += arrival.units
            disk?.keep(arrival.client, isNext: isBehindLast)
            if waits { disk?.tokens[sequence] = arrival.token }
        }
        finishEvent(now, &actions)
        return actions
    }

    /// A batch is not durable, and nothing of it is on the disk.
    ///
    /// - Parameters:
    ///   - error: for the sender.
    ///   - isFull: the disk or the log has no room; with `block_on_overflow` the batch waits for it.
    package mutating func appendFailed(_ id: UInt64, _ error: ConsumeError, isFull: Bool, now: Instant) -> [Action] {
        guard let append = removeAppend(id) else { return [] }
        shares.remove(units: append.arrival.units, bytes: 0, append.arrival.client)
        var actions: [Action] = []
        let deadline = append.deadline ?? now + settings.queue.overflowTimeout
        if isFull, settings.queue.blocksOnOverflow, phase == .running, deadline > now {
            waiters.prepend(.init(arrival: append.arrival, deadline: deadline))
            disk?.appendsAfter = now + QueueSettings.storageRetry
            note(min(deadline, now + QueueSettings.storageRetry))
        } else {
            refuse(append.arrival, error, &actions)
        }
        finishEvent(now, &actions)
        return actions
    }

    private mutating func removeAppend(_ id: UInt64) -> DiskQueue<Token>.Append? {
        guard let append = disk?.appending.removeValue(forKey: id) else { return nil }
        disk?.appendingBytes -= append.arrival.bytes
        disk?.appendingUnits -= append.arrival.units
        return append
    }

    // MARK: Reading back

    /// Asks for more from the disk when memory has room. A drain takes only what is in memory: the rest is safe.
    mutating func load(_ actions: inout [Action]) {
        guard phase == .running, let disk, !disk.isLoading, disk.loadsAfter == nil, disk.next < disk.end else { return }
        let maximum = settings.queue.maximumBytes
        guard store.isEmpty || store.bytes <= maximum / 2 else { return }
        self.disk?.isLoading = true
        actions.append(
            .load(from: disk.next, maximumBytes: max(1, min(maximum - store.bytes, QueueSettings.loadBytes))))
    }

    /// Batches came from the disk, in order.
    ///
    /// - Parameters:
    ///   - next: where to go on.
    ///   - lost: sequences that could not be read, which are released already.
    package mutating func loaded(_ batches: [BatchOnDisk], next: UInt64, lost: [UInt64], now: Instant) -> [Action] {
        guard let before = disk, before.isLoading else { return [] }
        disk?.isLoading = false
        guard phase == .running else { return [] }
        var actions: [Action] = []
        for found in batches where found.sequence >= before.next {
            let token = disk?.tokens.removeValue(forKey: found.sequence)
            let units = settings.queue.units(of: found.batch)
            disk?.units -= units
            let entry = store.insert(
                units: units, bytes: found.batch.heldBytes, token: token,
                client: before.client(of: found.sequence), sequence: found.sequence)
            let size = settings.queue.batch.map { BatchPolicy.size(of: BatchSlice(found.batch), in: $0.sizer) } ?? 0
            let piece = Piece(slice: BatchSlice(found.batch), entry: entry, size: size, arrived: now)
            take(piece, of: found.partition, with: found.partition)
        }
        for sequence in lost {
            guard let token = disk?.tokens.removeValue(forKey: sequence) else { continue }
            actions.append(.refuse(token, ConsumeError(.unavailable, "the data could not be read back")))
        }
        advance(to: max(before.next, next))
        finishEvent(now, &actions)
        return actions
    }

    /// The disk could not be read; it is asked again in a while.
    package mutating func loadFailed(now: Instant) -> [Action] {
        guard disk?.isLoading ?? false else { return [] }
        disk?.isLoading = false
        disk?.loadsAfter = now + QueueSettings.storageRetry
        note(now + QueueSettings.storageRetry)
        var actions: [Action] = []
        finishEvent(now, &actions)
        return actions
    }

    /// The log removed its oldest records to make room. Those that are in memory are delivered all the same.
    ///
    /// - Parameters:
    ///   - next: everything below is gone.
    ///   - records: those that were not released, with their number of items.
    package mutating func dropped(
        below next: UInt64, _ records: [LogDrop.Record], now: Instant
    ) -> [Action] {
        guard let disk, phase != .finished else { return [] }
        var actions: [Action] = []
        var items = 0
        for record in records where record.sequence >= disk.next {
            items += record.items
            let units = settings.queue.units(items: record.items, bytes: record.bytes)
            self.disk?.units -= units
            shares.remove(units: units, bytes: 0, disk.client(of: record.sequence))
            guard let token = self.disk?.tokens.removeValue(forKey: record.sequence) else { continue }
            actions.append(.refuse(token, ConsumeError(.unavailable, "newer data took the place of this")))
        }
        if items > 0 {
            tally.lost[.overflow, default: 0] += items
            actions.append(
                .report(.sendFailed(items: items, .overflow, reason: "the queue's disk is full; the oldest data went")))
        }
        advance(to: max(disk.next, next))
        return actions
    }

    private mutating func advance(to next: UInt64) {
        guard var changed = disk else { return }
        changed.next = min(next, max(changed.end, changed.next))
        // Damaged records never say what they counted: at the end the sum is right again.
        changed.units = changed.next == changed.end ? 0 : max(0, changed.units)
        changed.forgetClients()
        disk = changed
    }
}
