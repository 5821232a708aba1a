internal import Aggregation
internal import OTLP

/// Slots of the attributes that are read from a span, in the order of `GenAIMeter.ownKeys`.
enum CallSlot {
    static let operation = 0
    static let provider = 1
    static let requestModel = 2
    static let responseModel = 3
    static let server = 4
    static let errorType = 5
    /// The ones above are attributes of the metrics, too.
    static let ownCount = 6
    static let input = 6
    static let output = 7
    static let cacheRead = 8
    static let cacheWrite = 9
    static let reasoning = 10
    static let cost = 11
    static let savings = 12
    static let status = 13
    static let firstChunk = 14
    static let httpStatus = 15
    static let resent = 16
    // Those of dimensions follow.
}

/// What a span says about a call. Reads one span at a time, in one walk; slices are of the span.
struct CallWalk: ~Copyable {
    var slots: KeySlots
    private var memo = TailMemo()
    private(set) var start: UInt64 = 0
    private(set) var end: UInt64 = 0
    /// Encoded Status; empty when there is none.
    private(set) var status = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The last event named `exception`; empty when there is none.
    private(set) var exception = UnsafeRawBufferPointer(start: nil, count: 0)
    /// Chunks of a streamed answer that have an event, and when the first and the last came.
    private(set) var chunks = 0
    private(set) var firstChunk: UInt64 = 0
    private(set) var lastChunk: UInt64 = 0
    /// What is read.
    private var payload = UnsafeRawBufferPointer(start: nil, count: 0)
    private var tail = UnsafeRawBufferPointer(start: nil, count: 0)

    /// - Parameter keys: in the order of `CallSlot`, then those of dimensions.
    init(_ keys: [String]) { slots = KeySlots(keys) }

    /// Reads a span. False when it has no status of a cost and no operation: it is no AI span.
    @inline(__always)
    mutating func read(_ payload: UnsafeRawBufferPointer, _ tail: UnsafeRawBufferPointer) -> Bool {
        slots.begin()
        self.payload = payload
        self.tail = tail
        status = UnsafeRawBufferPointer(start: nil, count: 0)
        exception = UnsafeRawBufferPointer(start: nil, count: 0)
        chunks = 0
        start = 0
        end = 0
        readSpan(payload)
        if tail.count > 0, !readByMemo(tail) {
            _ = read(tail, from: 0)
            memo.learn(tail, slots, cost: CallSlot.cost)
        }
        return slots.present & (1 << UInt64(CallSlot.status) | 1 << UInt64(CallSlot.operation)) != 0
    }

    @inline(__always)
    private mutating func readSpan(_ message: UnsafeRawBufferPointer) {
        guard message.count > 0, let base = message.baseAddress else { return }
        let first = base.assumingMemoryBound(to: UInt8.self)
        let rest = slots.follow(first + head(of: message), first + message.count)
        _ = read(message, from: rest - first)
    }

    /// Bytes of the span that may be read from an address in it on.
    @inline(__always)
    func room(from address: UnsafeRawPointer) -> Int {
        guard let first = payload.baseAddress else { return 0 }
        let offset = address - first
        if offset >= 0, offset < payload.count { return payload.count &- offset }
        guard let second = tail.baseAddress else { return 0 }
        return tail.count &- (address - second)
    }

    /// Reads a tail that ends as the last one did. False when it does not.
    @inline(__always)
    private mutating func readByMemo(_ tail: UnsafeRawBufferPointer) -> Bool {
        guard memo.fits(tail) else { return false }
        let rest = UnsafeRawBufferPointer(rebasing: tail[..<(tail.count &- memo.size)])
        // What fits is the same attributes only when it begins where one begins.
        guard read(rest, from: 0) else { return false }
        memo.fill(&slots, tail)
        return true
    }

    /// Bytes of what stands before the attributes, as far as it stands there in the order of the fields' numbers, which
    /// is how everybody writes it: a walk without surprises.
    @inline(__always)
    private mutating func head(of message: UnsafeRawBufferPointer) -> Int {
        // Trace id, span id.
        guard message.count >= 28, message[0] == 0x0A, message[1] == 16, message[18] == 0x12, message[19] == 8 else {
            return 0
        }
        var at = 28
        // The parent's id, the name, the kind.
        if message.count &- at >= 10, message[at] == 0x22, message[at &+ 1] == 8 { at &+= 10 }
        if message.count &- at >= 2, message[at] == 0x2A, message[at &+ 1] < 0x80,
            message.count &- at &- 2 >= Int(message[at &+ 1])
        {
            at &+= 2 &+ Int(message[at &+ 1])
        }
        if message.count &- at >= 2, message[at] == 0x30, message[at &+ 1] < 0x80 { at &+= 2 }
        // When it began and ended.
        if message.count &- at >= 18, message[at] == 0x39, message[at &+ 9] == 0x41, let base = message.baseAddress {
            start = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: at &+ 1, as: UInt64.self))
            end = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: at &+ 10, as: UInt64.self))
            at &+= 18
        }
        return at
    }

    /// Reads the fields from a place on. False when they do not end where the message does.
    private mutating func read(_ message: UnsafeRawBufferPointer, from first: Int) -> Bool {
        guard message.count > 0, let base = message.baseAddress else { return true }
        var at = base.assumingMemoryBound(to: UInt8.self) + first
        let last = at + (message.count &- first)
        while at < last {
            let key = at.pointee
            var next = at + 1
            if key & 0x87 == 2 {
                guard let count = Self.varint(&next, last), count <= UInt64(last - next) else { return false }
                if key == 0x4A {
                    slots.take(next, Int(count), room: last - next)
                } else {
                    take(key, next, Int(count))
                }
                at = next + Int(count)
            } else if key == 0x39 || key == 0x41 {
                guard last - next >= 8 else { return false }
                let time = UInt64(littleEndian: UnsafeRawPointer(next).loadUnaligned(as: UInt64.self))
                if key == 0x39 { start = time } else { end = time }
                at = next + 8
            } else {
                guard Self.skip(&at, last) else { return false }
            }
        }
        return true
    }

    @inline(__always)
    private static func varint(_ at: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> UInt64? {
        guard at < end else { return nil }
        let first = at.pointee
        at += 1
        return first < 0x80 ? UInt64(first) : longVarint(first, &at, end)
    }

    private static func longVarint(
        _ first: UInt8, _ at: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) -> UInt64? {
        var value = UInt64(first & 0x7F)
        var shift: UInt64 = 7
        while at < end, shift < 64 {
            let byte = at.pointee
            at += 1
            value |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 { return value }
            shift &+= 7
        }
        return nil
    }

    private static func skip(_ at: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> Bool {
        guard let key = Self.varint(&at, end) else { return false }
        switch key & 7 {
        case 0: return Self.varint(&at, end) != nil
        case 1, 5:
            let size = key & 7 == 1 ? 8 : 4
            guard end - at >= size else { return false }
            at += size
            return true
        case 2:
            guard let count = Self.varint(&at, end), count <= UInt64(end - at) else { return false }
            at += Int(count)
            return true
        default: return false
        }
    }

    @inline(__always)
    private mutating func take(_ key: UInt8, _ bytes: UnsafePointer<UInt8>, _ count: Int) {
        if key == 0x7A {
            status = UnsafeRawBufferPointer(start: bytes, count: count)
        } else if key == 0x5A {
            look(atEvent: UnsafeRawBufferPointer(start: bytes, count: count))
        }
    }

    /// Notes exceptions, and chunks of answers, which have an event of their own in some instrumentations.
    private mutating func look(atEvent event: UnsafeRawBufferPointer) {
        // Time first, then the name: how they are written. Anything else is neither.
        guard event.count > 11, event[0] == 0x09, event[9] == 0x12, let base = event.baseAddress else { return }
        let size = Int(event[10])
        if size == 9 {
            // The last one counts: it is what ended the call.
            if Self.equals(UnsafeRawBufferPointer(rebasing: event[11...].prefix(9)), "exception") { exception = event }
            return
        }
        guard size == 31 || size == 28, event.count >= 11 + size else { return }
        let name = UnsafeRawBufferPointer(rebasing: event[11..<11 + size])
        guard Self.chunkNames.contains(where: { Self.equals(name, $0) }) else { return }
        let time = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: 1, as: UInt64.self))
        if chunks == 0 { firstChunk = time }
        chunks += 1
        lastChunk = time
    }

    private static let chunkNames: [StaticString] = [
        "gen_ai.content.completion.chunk", "llm.content.completion.chunk",
    ]

    static func equals(_ text: UnsafeRawBufferPointer, _ name: StaticString) -> Bool {
        text.elementsEqual(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
    }

    /// Seconds that the span took; 0 when it does not say when it started, or ends before that.
    var duration: Double { start > 0 && end > start ? Double(end - start) / 1e9 : 0 }

    /// Whether the span's status is an error.
    @inline(__always)
    var isError: Bool { status.count > 0 && isErrorOfStatus }

    private var isErrorOfStatus: Bool {
        var fields = WireFields(status)
        while let field = fields.next() {
            if field.number == 3 { return field.bits == 2 }
        }
        return false
    }

    /// What the genai processor says about the call.
    enum Mark {
        /// It did not see the span.
        case none
        /// The call counts here.
        case counted
        /// It counts on another span.
        case aggregate
        /// The span has usage, but is no call to be billed.
        case skipped
    }

    @inline(__always)
    var mark: Mark {
        guard slots.has(CallSlot.status) else { return .none }
        let text = slots.text(CallSlot.status)
        switch text.first {
        // priced, no_model, no_price, no_usage
        case UInt8(ascii: "p"), UInt8(ascii: "n"): return .counted
        case UInt8(ascii: "a"): return .aggregate
        default: return .skipped
        }
    }
}
