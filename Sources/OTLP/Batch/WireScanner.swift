/// Walks every field of a request once: checks structure, wire types, depth, UTF-8, ids and oneofs against the
/// schema, and records where resources, scopes and items lie. It allocates nothing but those records.
///
/// Two kinds of fault are told apart: a malformed request fails as a whole; an item that is well-formed but invalid
/// (bad ids) is counted in `rejectedItems` and not recorded.
struct WireScanner {
    private let base: UnsafePointer<UInt8>
    private let fields: UnsafePointer<FieldSpec>
    private let oneofs: UnsafePointer<UInt32>
    private let limits: DecodeLimits
    private let requiresIDs: Bool

    private(set) var resources: [ResourceRecord] = []
    private(set) var scopes: [ScopeRecord] = []
    private(set) var items: [ItemRecord] = []
    /// Data points of each accepted metric; empty for the other signals.
    private(set) var points: [UInt32] = []
    /// Well-formed items that were refused for invalid ids.
    private(set) var rejectedItems = 0
    /// Data points of refused metrics.
    private(set) var rejectedPoints = 0
    private(set) var error: OTLPDecodeError?

    private var itemIsInvalid = false
    private var seenIDs: UInt8 = 0
    private var itemPoints = 0
    private var itemsSeen = 0

    private typealias Cursor = UnsafePointer<UInt8>

    /// Fields 1 and 2 of a span, both required.
    private static let bothIDs: UInt8 = 0b11

    init(bytes: UnsafeRawBufferPointer, signal: Signal, limits: DecodeLimits) {
        let schema = WireSchema.of(signal)
        self.fields = schema.fields
        self.oneofs = schema.oneofs
        self.limits = limits
        self.requiresIDs = signal == .traces
        // Without bytes nothing is read: any address serves.
        let nothing = UnsafeRawPointer(schema.oneofs).assumingMemoryBound(to: UInt8.self)
        guard bytes.count <= ItemRecord.maximumOffset else {
            base = nothing
            error = OTLPDecodeError(reason: .tooLarge(limit: ItemRecord.maximumOffset), offset: 0)
            return
        }
        guard let start = bytes.bindMemory(to: UInt8.self).baseAddress else {
            base = nothing
            return
        }
        base = start
        items.reserveCapacity(min(limits.maximumItems, bytes.count / 384 + 1))
        _ = scan(.request, start, start + bytes.count, depth: 0)
    }

    @inline(never)
    private mutating func fail(_ reason: OTLPDecodeError.Reason, at cursor: Cursor) -> Bool {
        if error == nil { error = OTLPDecodeError(reason: reason, offset: cursor - base) }
        return false
    }

    /// Scans one message of the given type in `cursor..<end`. False after a fault.
    private mutating func scan(_ message: WireMessage, _ start: Cursor, _ end: Cursor, depth: Int) -> Bool {
        guard depth <= limits.maximumDepth else { return fail(.tooDeep(limit: limits.maximumDepth), at: start) }
        let specs = fields + Int(message.rawValue) &* WireSchema.fieldsPerMessage
        let oneof = oneofs[Int(message.rawValue)]
        var seen: UInt32 = 0
        var cursor = start
        while cursor < end {
            guard let key = readVarint(&cursor, end) else { return fail(.overlongVarint, at: cursor) }
            let number = UInt32(truncatingIfNeeded: key &>> 3)
            guard number != 0, key &>> 3 <= 0x1FFF_FFFF else { return fail(.invalidTag, at: cursor) }
            let spec = number < 32 ? specs[Int(number)] : FieldSpec()
            if number < 32, oneof & (1 &<< number) != 0 {
                if seen & oneof != 0 { return fail(.duplicateOneof(field: number), at: cursor) }
                seen |= 1 &<< number
            }
            let done: Bool
            switch key & 7 {
            case 2:
                guard let length = readVarint(&cursor, end), length <= UInt64(end - cursor) else {
                    return fail(.truncated, at: cursor)
                }
                let payload = cursor
                cursor += Int(length)
                done = scanPayload(spec, number, payload, cursor, depth: depth)
            case 0:
                guard readVarint(&cursor, end) != nil else { return fail(.overlongVarint, at: cursor) }
                done = spec.kind == .varint || spec.kind == .unknown || spec.kind == .packedVarint
            case 1:
                guard end - cursor >= 8 else { return fail(.truncated, at: cursor) }
                cursor += 8
                done = spec.kind == .fixed64 || spec.kind == .unknown || spec.kind == .packedFixed64
            case 5:
                guard end - cursor >= 4 else { return fail(.truncated, at: cursor) }
                cursor += 4
                done = spec.kind == .fixed32 || spec.kind == .unknown
            default:
                return fail(.invalidTag, at: cursor)
            }
            guard done else { return fail(.wrongWireType(field: number), at: cursor) }
        }
        return true
    }

    /// Checks the payload of a length-delimited field. False after a fault or on a wire type mismatch.
    @inline(__always)
    private mutating func scanPayload(
        _ spec: FieldSpec, _ number: UInt32, _ start: Cursor, _ end: Cursor, depth: Int
    ) -> Bool {
        switch spec.kind {
        case .keyValue:
            if isPlainAttribute(start, end) { return true }
            return scan(.keyValue, start, end, depth: depth &+ 1)
        case .string:
            return isValidUTF8(start, count: end - start) || fail(.invalidUTF8(field: number), at: start)
        case .bytes, .unknown:
            return true
        case .message:
            return scan(spec.child, start, end, depth: depth &+ 1)
        case .item:
            return scanItem(spec.child, start, end, depth: depth)
        case .point:
            itemPoints &+= 1
            return scan(spec.child, start, end, depth: depth &+ 1)
        case .traceID:
            if end - start == 16, !isZero(start, 16) { seenIDs |= 1 } else { itemIsInvalid = true }
            return true
        case .spanID:
            if end - start == 8, !isZero(start, 8) { seenIDs |= 2 } else { itemIsInvalid = true }
            return true
        case .optionalTraceID:
            if end != start, end - start != 16 { itemIsInvalid = true }
            return true
        case .optionalSpanID:
            if end != start, end - start != 8 { itemIsInvalid = true }
            return true
        case .packedFixed64:
            return (end - start) % 8 == 0 || fail(.truncated, at: start)
        case .packedVarint:
            return scanPackedVarints(start, end)
        case .resourceEnvelope:
            return scanResource(start, end, depth: depth)
        case .scopeEnvelope:
            return scanScope(start, end, depth: depth)
        case .varint, .fixed64, .fixed32:
            return false
        }
    }

    private mutating func scanPackedVarints(_ start: Cursor, _ end: Cursor) -> Bool {
        var cursor = start
        while cursor < end {
            guard readVarint(&cursor, end) != nil else { return fail(.overlongVarint, at: cursor) }
        }
        return true
    }

    private mutating func scanItem(_ message: WireMessage, _ start: Cursor, _ end: Cursor, depth: Int) -> Bool {
        itemsSeen &+= 1
        guard itemsSeen <= limits.maximumItems else {
            return fail(.tooManyItems(limit: limits.maximumItems), at: start)
        }
        itemIsInvalid = false
        seenIDs = 0
        itemPoints = 0
        guard scan(message, start, end, depth: depth &+ 1) else { return false }
        if itemIsInvalid || requiresIDs && seenIDs != Self.bothIDs {
            rejectedItems &+= 1
            rejectedPoints &+= itemPoints
        } else {
            if message == .metric { points.append(UInt32(clamping: itemPoints)) }
            items.append(ItemRecord(offset: UInt32(start - base), count: UInt32(end - start)))
        }
        return true
    }

    private mutating func scanResource(_ start: Cursor, _ end: Cursor, depth: Int) -> Bool {
        let firstScope = scopes.count
        guard scan(.resourceEnvelope, start, end, depth: depth &+ 1) else { return false }
        if scopes.count > firstScope {
            resources.append(
                ResourceRecord(
                    offset: UInt32(start - base), count: UInt32(end - start),
                    firstScope: UInt32(firstScope), scopeCount: UInt32(scopes.count - firstScope)))
        }
        return true
    }

    private mutating func scanScope(_ start: Cursor, _ end: Cursor, depth: Int) -> Bool {
        let firstItem = items.count
        guard scan(.scopeEnvelope, start, end, depth: depth &+ 1) else { return false }
        if items.count > firstItem {
            scopes.append(
                ScopeRecord(
                    offset: UInt32(start - base), count: UInt32(end - start),
                    firstItem: UInt32(firstItem), itemCount: UInt32(items.count - firstItem)))
        }
        return true
    }

    /// The common shape of an attribute: one-byte lengths, key, then a string, bool or int value, nothing else.
    /// True only when it is wholly checked; false means "look closer", not "invalid".
    @inline(__always)
    private func isPlainAttribute(_ start: Cursor, _ end: Cursor) -> Bool {
        let size = end - start
        guard size >= 6, start[0] == 0x0A else { return false }
        let keyLength = Int(start[1])
        guard keyLength < 0x80, keyLength &+ 6 <= size else { return false }
        let value = start + (2 &+ keyLength)
        guard value[0] == 0x12, value[1] < 0x80, end - value == 2 &+ Int(value[1]), value[1] >= 2 else { return false }
        guard isValidUTF8(start + 2, count: keyLength) else { return false }
        switch value[2] {
        case 0x0A:
            let length = Int(value[3])
            return length < 0x80 && length &+ 2 == Int(value[1]) && isValidUTF8(value + 4, count: length)
        case 0x10, 0x18:
            var cursor = value + 3
            return readVarint(&cursor, end) != nil && cursor == end
        case 0x21:
            return value[1] == 9
        default:
            return false
        }
    }

    @inline(__always)
    private func isZero(_ start: Cursor, _ count: Int) -> Bool {
        let raw = UnsafeRawPointer(start)
        var bits = raw.loadUnaligned(as: UInt64.self)
        if count == 16 { bits |= raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self) }
        return bits == 0
    }
}
