internal import Aggregation

/// Calls that are measured together, because each waits for memory that is far away: their keys, their look-ups and
/// what they add. One owner.
struct CallGroup: ~Copyable {
    /// What a call adds to its series.
    struct Call {
        /// Seconds.
        var duration = 0.0
        /// In the unit of `Money`; -1 without one.
        var cost: Int128 = -1
        /// Tokens; -1 when they are not said.
        var input: Int64 = -1
        var output: Int64 = -1
        /// False for a span that is no call, of which only the duration is measured.
        var isCounted = false
        /// The span, to be read again.
        var payload = UnsafeRawBufferPointer(start: nil, count: 0)
        var tail = UnsafeRawBufferPointer(start: nil, count: 0)
    }

    /// Calls of a group at most: as many as make the waiting short, and no more, as what was asked for leaves the cache
    /// again.
    private static var size: Int { 16 }
    /// Bytes of the longest value whose call is measured in a group; a multiple of 16.
    static var valueRoom: Int { 48 }
    /// Bytes of room for a key, with what is written beyond its end.
    static var keyRoom: Int { CallSlot.ownCount * (1 + valueRoom) + GenAIMeter.usualKey + 10 }

    let calls: UnsafeMutablePointer<Call>
    private let keys: UnsafeMutableRawPointer
    private let allLookups: UnsafeMutablePointer<SeriesLookup>
    private(set) var count = 0

    init() {
        calls = .allocate(capacity: Self.size)
        calls.initialize(repeating: Call(), count: Self.size)
        keys = .allocate(byteCount: Self.size * Self.keyRoom, alignment: 16)
        allLookups = .allocate(capacity: Self.size)
        for place in 0..<Self.size {
            (allLookups + place).initialize(to: SeriesLookup(key: keys + place * Self.keyRoom))
        }
    }

    deinit {
        calls.deallocate()
        keys.deallocate()
        allLookups.deallocate()
    }

    @inline(__always)
    var isFull: Bool { count == Self.size }

    /// Where the key of the next call goes: `keyRoom` bytes. There is a next one unless the group is full.
    @inline(__always)
    var nextKey: UnsafeMutableRawPointer { keys + count &* Self.keyRoom }

    /// Where the next call goes.
    @inline(__always)
    var next: UnsafeMutablePointer<Call> { calls + count }

    /// Takes the next call, whose key and values are in place.
    @inline(__always)
    mutating func add(_ resource: MetricRecorder.Resource, tag: UInt32, keyCount: Int) {
        allLookups[count].set(resource, tag: tag, keyCount: keyCount)
        count &+= 1
    }

    /// The look-ups of the calls.
    var lookups: UnsafeMutableBufferPointer<SeriesLookup> {
        UnsafeMutableBufferPointer(start: allLookups, count: count)
    }

    mutating func removeAll() { count = 0 }
}
