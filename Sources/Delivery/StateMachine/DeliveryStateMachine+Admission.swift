package import Pipeline

// Requests that nobody has read yet. What is refused before it is read costs nothing that the queue's own work needs.
extension DeliveryStateMachine {
    /// Part of the queue that must be free for it to be open again.
    private static var openShare: Int { 8 }

    /// Says whether a request would find room, as large as the last one that did not, beside those on their way. Admitted
    /// ones are on their way until `arrived`.
    package mutating func expect(_ client: ClientKey, now: Instant) -> AdmissionAnswer {
        let queue = settings.queue
        guard phase == .running, !isRetiring, !queue.blocksOnOverflow else { return .open }
        shares.arrived(client, now: now)
        let size = lastRefused
        let free = queue.size - heldUnits - shares.expected * size.units
        // With a disk, what is in memory does not matter.
        let bytes = disk == nil ? queue.maximumBytes - store.bytes - shares.expected * size.bytes : queue.maximumBytes
        if free > queue.size / Self.openShare, bytes > queue.maximumBytes / Self.openShare { return .open }
        guard free >= size.units, bytes >= size.bytes else {
            return .refused(overflow(.queueFull, Self.fullMessage, now))
        }
        let own = shares.expected(from: client)
        if client != .none, shares.areShared(at: now) {
            let held = shares.holdings[client.index]
            guard FairShare.allows(size.units, beside: held.units + own * size.units, free: free),
                disk != nil || FairShare.allows(size.bytes, beside: held.bytes + own * size.bytes, free: bytes)
            else { return .refused(overflow(.queueFull, Self.shareMessage, now)) }
        }
        shares.expect(1, from: client)
        return .admitted
    }

    /// A request that was admitted has come, or never will.
    package mutating func arrived(_ client: ClientKey) { shares.expect(-1, from: client) }
}
