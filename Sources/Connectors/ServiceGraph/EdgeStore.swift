/// What an edge is known by until both sides are there: the trace, and the id of the client's span.
struct EdgeKey: Hashable {
    var trace: (UInt64, UInt64)
    var span: UInt64

    static func == (left: EdgeKey, right: EdgeKey) -> Bool {
        left.trace == right.trace && left.span == right.span
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(trace.0)
        hasher.combine(trace.1)
        hasher.combine(span)
    }
}

/// A request from one service to another, or the half of it that is known.
struct Edge {
    enum Connection: UInt8 {
        case direct
        case messaging
        case database
        case virtualNode
    }

    /// Which side is no service that sends spans.
    enum VirtualSide: UInt8 {
        case none
        case client
        case server
    }

    var connection = Connection.direct
    var virtual = VirtualSide.none
    var hasFailed = false
    /// The key's span id is that of no span: the server's span is a root.
    var isRoot = false
    /// Encoded AnyValue messages; empty while unknown.
    var client: [UInt8] = []
    var server: [UInt8] = []
    /// Nanoseconds; nil while unknown.
    var clientLatency: UInt64?
    var serverLatency: UInt64?
    /// What the call cost, in parts of a dollar: as the client says, or else the server.
    var clientCost: Int128?
    var serverCost: Int128?
    /// Further attributes, as fields of number 1; first those of the client.
    var clientDimensions: [UInt8] = []
    var serverDimensions: [UInt8] = []
    /// Encoded AnyValue of what names the server of a span that finds none; empty when nothing does.
    var peer: [UInt8] = []

    var isComplete: Bool { !client.isEmpty && !server.isEmpty }
}

/// Halves of edges that wait for the other one. Holds at most `limit` of them, each for `timeToLive`. A plain state: the
/// caller has the clock and the lock.
struct EdgeStore {
    enum Outcome {
        /// It waits for its other half.
        case waiting
        case completed(Edge)
        /// There was no room.
        case dropped(Edge)
    }

    private struct Slot {
        var key: EdgeKey
        var edge: Edge
        /// Tells slots that were used again from those in `order`.
        var serial: UInt64
    }

    private let limit: Int
    private let timeToLive: UInt64
    private var index: [EdgeKey: Int] = [:]
    private var slots: [Slot?] = []
    private var free: [Int] = []
    /// Slots in the order in which they were filled, from `oldest` on.
    private var order: [(slot: Int, serial: UInt64, end: UInt64)] = []
    private var oldest = 0
    private var serial: UInt64 = 0

    /// - Parameter timeToLive: nanoseconds.
    init(limit: Int, timeToLive: UInt64) {
        self.limit = limit
        self.timeToLive = timeToLive
    }

    /// Edges that wait.
    var count: Int { index.count }

    /// Adds what one span says about an edge: `update` changes what is known. `now` is monotonic, in nanoseconds. Call
    /// `expire` before, so that what is over makes room.
    mutating func update(_ key: EdgeKey, at now: UInt64, _ update: (inout Edge) -> Void) -> Outcome {
        if let slot = index[key], var known = slots[slot] {
            update(&known.edge)
            guard known.edge.isComplete else {
                slots[slot] = known
                return .waiting
            }
            remove(key, slot)
            return .completed(known.edge)
        }
        var edge = Edge()
        update(&edge)
        if edge.isComplete { return .completed(edge) }
        guard index.count < limit else { return .dropped(edge) }
        serial &+= 1
        let slot: Int
        if let reused = free.popLast() {
            slot = reused
            slots[slot] = Slot(key: key, edge: edge, serial: serial)
        } else {
            slot = slots.count
            slots.append(Slot(key: key, edge: edge, serial: serial))
        }
        index[key] = slot
        let (end, overflow) = now.addingReportingOverflow(timeToLive)
        order.append((slot, serial, overflow ? .max : end))
        return .waiting
    }

    private mutating func remove(_ key: EdgeKey, _ slot: Int) {
        index[key] = nil
        slots[slot] = nil
        free.append(slot)
    }

    /// Takes out an edge whose time is over at `now`; nil when there is none. UInt64.max takes out any.
    mutating func expire(at now: UInt64) -> Edge? {
        defer { compact() }
        while oldest < order.count, order[oldest].end <= now || isGone(order[oldest]) {
            let entry = order[oldest]
            oldest += 1
            guard !isGone(entry), let slot = slots[entry.slot] else { continue }
            remove(slot.key, entry.slot)
            return slot.edge
        }
        return nil
    }

    private func isGone(_ entry: (slot: Int, serial: UInt64, end: UInt64)) -> Bool {
        slots[entry.slot]?.serial != entry.serial
    }

    /// Entries of edges that are long completed pile up behind one that waits; both kinds are cut here.
    private mutating func compact() {
        if oldest == order.count {
            order.removeAll(keepingCapacity: true)
            oldest = 0
        } else if oldest > 1024, oldest * 2 > order.count {
            order.removeFirst(oldest)
            oldest = 0
        } else if order.count > 2 * limit + 1024 {
            order = order[oldest...].filter { !isGone($0) }
            oldest = 0
        }
    }
}
