internal import Glibc

extension SpanScan {
    /// Added to the rank of a line when its key stands on an event that repeats the span's attributes.
    private static let rankOfEvents: UInt8 = 100

    /// Reads the span's events for what the span itself does not say.
    func readEvents(_ fields: WireCursor) {
        var cursor = fields
        var count = 0
        while let tag = cursor.varint() {
            guard tag == 0x5A else {
                cursor.skipField(tag)
                continue
            }
            guard let event = cursor.payload() else { return }
            count += 1
            guard count <= SpanRecogniser.maximumEvents else {
                call.pointee.marks.insert(.truncated)
                return
            }
            read(event: event)
        }
    }

    private func read(event message: WireCursor) {
        if eventMemo.isSame(message) { return readAgain(message) }
        eventMemo.begin(message)
        readAnew(message)
        eventMemo.end(message)
    }

    /// What the last event said, on this span.
    private func readAgain(_ message: WireCursor) {
        if eventMemo.isEvidence { hasEvidence = true }
        for index in 0..<eventMemo.count {
            let found = eventMemo.found[index]
            let value = message.at + Int(found.start)
            take(WireCursor(value, value + Int(found.size)), found.action)
        }
    }

    private func readAnew(_ message: WireCursor) {
        var cursor = message
        var time: UInt64 = 0
        var index = -1
        var attributes: Address?
        while cursor.at < cursor.end {
            let start = cursor.at
            guard let tag = cursor.varint() else { break }
            if tag == 0x1A {
                if attributes == nil { attributes = start }
                guard cursor.payload() != nil else { break }
            } else if tag == 0x09, let value = cursor.fixed64() {
                time = value
            } else if tag == 0x12, let name = cursor.payload() {
                index = eventIndex(name.rest)
                if index < 0 { return }
            } else {
                cursor.skipField(tag)
            }
        }
        guard index >= 0 else { return }
        let entry = mapping.eventEntries[index]
        if entry.isEvidence {
            hasEvidence = true
            eventMemo.isEvidence = true
        }
        if entry.repeats { eventMemo.forget() }
        let rest = WireCursor(attributes ?? message.end, message.end)
        if entry.valueCount > 0 { read(values: entry, of: rest, at: time, in: message) }
        if entry.repeats { readRepeated(rest) }
    }

    /// Events of one emitter have the same name mostly.
    @inline(__always)
    private func eventIndex(_ name: UnsafeRawBufferPointer) -> Int {
        if lastEvent >= 0, let base = name.baseAddress, mapping.events.isName(base, name.count, at: lastEvent) {
            return mapping.events.value(at: lastEvent)
        }
        guard name.count > 0, let base = name.baseAddress else { return -1 }
        let position = mapping.events.position(of: base, name.count)
        guard position >= 0 else { return -1 }
        lastEvent = position
        return mapping.events.value(at: position)
    }

    private func read(values entry: EventEntry, of message: WireCursor, at time: UInt64, in event: WireCursor) {
        let first = Int(entry.firstValue)
        for index in first..<first + Int(entry.valueCount) where mapping.eventValues[index].key.count == 0 {
            let action = mapping.eventValues[index].action
            eventMemo.forget()
            let start = call.pointee.startTime
            guard start > 0, time >= start, action.rank < ranks[Int(action.field.rawValue)] else { continue }
            set(action.field, bits: (Double(time - start) / 1e9).bitPattern)
            ranks[Int(action.field.rawValue)] = action.rank
            call.pointee.current.remove(CallFields(action.field))
        }
        guard entry.hasKeys else { return }
        var cursor = message
        while let tag = cursor.varint() {
            guard tag == 0x1A else {
                cursor.skipField(tag)
                continue
            }
            guard let payload = cursor.payload() else { return }
            guard let attribute = WireAttribute(payload) else { continue }
            let key = UnsafeRawBufferPointer(start: attribute.key, count: attribute.keyCount)
            for index in first..<first + Int(entry.valueCount)
            where mapping.eventValues[index].key.count == key.count && sameBytes(key, mapping.eventValues[index].key) {
                let action = mapping.eventValues[index].action
                eventMemo.note(attribute.value, action, in: event)
                take(attribute.value, action)
            }
        }
    }

    /// Of several events the first counts, or the highest.
    @inline(__always)
    private func take(_ value: WireCursor, _ action: FieldAction) {
        guard action.rank < ranks[Int(action.field.rawValue)] || action.flags.contains(.highest) else { return }
        take(AttributeValue(value), action, addedRank: 0)
    }

    private func readRepeated(_ message: WireCursor) {
        var cursor = message
        while let tag = cursor.varint() {
            guard tag == 0x1A else {
                cursor.skipField(tag)
                continue
            }
            guard let payload = cursor.payload() else { return }
            attributeCount &+= 1
            guard attributeCount <= SpanRecogniser.maximumAttributes else {
                call.pointee.marks.insert(.truncated)
                return
            }
            guard let attribute = WireAttribute(payload), attribute.keyCount >= 4 else { continue }
            let index = entryIndex(attribute.key, attribute.keyCount)
            if index >= 0 { apply(entries[index], attribute.value, addedRank: Self.rankOfEvents) }
        }
    }
}

/// The last event that was read, but for its time, and what was found in it: emitters repeat themselves.
struct EventMemo: ~Copyable {
    struct Found {
        var action: FieldAction
        /// The AnyValue, from the start of the event.
        var start: UInt8
        var size: UInt8
    }

    /// Bytes of the longest event that is remembered.
    private static var maximumSize: Int { 160 }
    /// Bytes of the time, with its tag, which stands first.
    private static var timeSize: Int { 9 }

    private let bytes: UnsafeMutableRawPointer
    /// 0: there is none.
    private var size = 0
    private var isKept = false
    var isEvidence = false
    private(set) var found: InlineArray<2, Found>
    private(set) var count = 0

    init() {
        bytes = .allocate(byteCount: Self.maximumSize, alignment: 8)
        found = .init(repeating: Found(action: FieldAction(field: .finish, rank: 0), start: 0, size: 0))
    }

    deinit { bytes.deallocate() }

    @inline(__always)
    func isSame(_ event: WireCursor) -> Bool {
        size > 0 && event.end - event.at == size && event.at[0] == 0x09
            && memcmp(event.at + Self.timeSize, bytes, size &- Self.timeSize) == 0
    }

    /// An event is being read.
    mutating func begin(_ event: WireCursor) {
        let length = event.end - event.at
        isKept = length > Self.timeSize && length <= Self.maximumSize && event.at[0] == 0x09
        size = 0
        count = 0
        isEvidence = false
    }

    /// What this event says depends on more than its bytes, or is too much.
    mutating func forget() { isKept = false }

    /// A value that counts.
    mutating func note(_ value: WireCursor, _ action: FieldAction, in event: WireCursor) {
        guard isKept, count < 2 else { return forget() }
        found[count] = Found(
            action: action, start: UInt8(truncatingIfNeeded: value.at - event.at),
            size: UInt8(truncatingIfNeeded: value.end - value.at))
        count += 1
    }

    /// The event has been read.
    mutating func end(_ event: WireCursor) {
        guard isKept else { return }
        size = event.end - event.at
        memcpy(bytes, event.at + Self.timeSize, size - Self.timeSize)
    }
}
