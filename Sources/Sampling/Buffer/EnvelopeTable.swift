internal import Glibc

/// Resource and scope of spans, each pair kept once however many runs of spans have it.
///
/// An envelope is the fields of a `ResourceSpans` and of a `ScopeSpans` other than their children, encoded. It lives
/// as long as a run holds it. One owner; not thread-safe.
struct EnvelopeTable: ~Copyable {
    struct Envelope {
        /// Resource fields, then scope fields; from `malloc`.
        var bytes: UnsafeMutableRawPointer?
        var resourceBytes: Int
        var scopeBytes: Int
        /// Runs that hold it; 0 for a free slot.
        var references: Int
        var hash: Int
        /// The next envelope of the same hash.
        var next: UInt32
        /// What conditions say about the resource's attributes, once somebody asked.
        var resourceBits: ConditionBits
        var hasBits: Bool

        var resource: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: bytes, count: resourceBytes) }
        var scope: UnsafeRawBufferPointer {
            UnsafeRawBufferPointer(start: bytes.map { UnsafeRawPointer($0) + resourceBytes }, count: scopeBytes)
        }
    }

    static let none = UInt32.max
    private static let slotBytes = MemoryLayout<Envelope>.stride + 32

    private var envelopes: [Envelope] = []
    private var free: [UInt32] = []
    private var index: [Int: UInt32] = [:]
    private var contentBytes = 0

    init() {}

    deinit {
        for envelope in envelopes { Glibc.free(envelope.bytes) }
    }

    /// Envelopes that are held.
    var count: Int { envelopes.count - free.count }
    /// Bytes of memory, about.
    var heldBytes: Int { contentBytes + envelopes.count * Self.slotBytes }

    subscript(index: UInt32) -> Envelope { envelopes[Int(index)] }

    /// A hash of the pair that senders cannot foresee.
    static func hash(_ resource: UnsafeRawBufferPointer, _ scope: UnsafeRawBufferPointer) -> Int {
        var hasher = Hasher()
        hasher.combine(bytes: resource)
        hasher.combine(resource.count)
        hasher.combine(bytes: scope)
        return hasher.finalize()
    }

    /// The pair's index, without a reference to it; `none` when memory is refused.
    mutating func find(_ resource: UnsafeRawBufferPointer, _ scope: UnsafeRawBufferPointer, hash: Int) -> UInt32 {
        var candidate = index[hash] ?? Self.none
        while candidate != Self.none {
            let envelope = envelopes[Int(candidate)]
            if sameBytes(envelope.resource, resource), sameBytes(envelope.scope, scope) { return candidate }
            candidate = envelope.next
        }
        return insert(resource, scope, hash)
    }

    private mutating func insert(
        _ resource: UnsafeRawBufferPointer, _ scope: UnsafeRawBufferPointer, _ hash: Int
    ) -> UInt32 {
        let size = resource.count + scope.count
        guard let bytes = malloc(max(size, 1)), envelopes.count < Int(Self.none) - 1 else { return Self.none }
        if let from = resource.baseAddress, resource.count > 0 { memcpy(bytes, from, resource.count) }
        if let from = scope.baseAddress, scope.count > 0 { memcpy(bytes + resource.count, from, scope.count) }
        let new = Envelope(
            bytes: bytes, resourceBytes: resource.count, scopeBytes: scope.count, references: 0, hash: hash,
            next: index[hash] ?? Self.none, resourceBits: ConditionBits(), hasBits: false)
        contentBytes += size
        let slot: UInt32
        if let reused = free.popLast() {
            slot = reused
            envelopes[Int(slot)] = new
        } else {
            slot = UInt32(envelopes.count)
            envelopes.append(new)
        }
        index[hash] = slot
        return slot
    }

    /// One more run holds the envelope.
    mutating func retain(_ slot: UInt32) { envelopes[Int(slot)].references += 1 }

    /// A run lets go of it.
    mutating func release(_ slot: UInt32) {
        envelopes[Int(slot)].references -= 1
        if envelopes[Int(slot)].references <= 0 { remove(slot) }
    }

    /// Forgets an envelope that was found and never held.
    mutating func releaseIfUnused(_ slot: UInt32) {
        if envelopes[Int(slot)].references == 0, envelopes[Int(slot)].bytes != nil { remove(slot) }
    }

    /// Remembers what conditions say about the resource.
    mutating func setResourceBits(_ bits: ConditionBits, of slot: UInt32) {
        envelopes[Int(slot)].resourceBits = bits
        envelopes[Int(slot)].hasBits = true
    }

    /// Policies have changed: nothing is known about resources.
    mutating func forgetResourceBits() {
        for slot in envelopes.indices { envelopes[slot].hasBits = false }
    }

    private mutating func remove(_ slot: UInt32) {
        let envelope = envelopes[Int(slot)]
        if index[envelope.hash] == slot {
            index[envelope.hash] = envelope.next == Self.none ? nil : envelope.next
        } else {
            var candidate = index[envelope.hash] ?? Self.none
            while candidate != Self.none {
                let next = envelopes[Int(candidate)].next
                if next == slot { envelopes[Int(candidate)].next = envelope.next }
                candidate = next
            }
        }
        Glibc.free(envelope.bytes)
        contentBytes -= envelope.resourceBytes + envelope.scopeBytes
        envelopes[Int(slot)].bytes = nil
        envelopes[Int(slot)].references = 0
        free.append(slot)
        if free.count == envelopes.count {
            envelopes = []
            free = []
            index = [:]
        }
    }
}
