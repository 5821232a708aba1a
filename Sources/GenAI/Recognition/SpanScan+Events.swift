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
        var cursor = message
        var time: UInt64 = 0
        var index = -1
        while let tag = cursor.varint() {
            if tag == 0x09, let value = cursor.fixed64() {
                time = value
            } else if tag == 0x12, let name = cursor.payload() {
                index = mapping.events.find(name.rest)
                if index < 0 { return }
            } else {
                cursor.skipField(tag)
            }
        }
        guard index >= 0 else { return }
        let entry = mapping.eventEntries[index]
        if entry.isEvidence { hasEvidence = true }
        if entry.valueCount > 0 { read(values: entry, of: message, at: time) }
        if entry.repeats { readRepeated(message) }
    }

    private func read(values entry: EventEntry, of message: WireCursor, at time: UInt64) {
        for index in Int(entry.firstValue)..<Int(entry.firstValue) + Int(entry.valueCount) {
            let line = mapping.eventValues[index]
            let best = ranks[Int(line.action.field.rawValue)]
            // Of several events the first counts, or the highest.
            guard line.action.rank < best || line.action.flags.contains(.highest) else { continue }
            if line.key.count == 0 {
                let start = call.pointee.startTime
                guard start > 0, time >= start, line.action.rank < best else { continue }
                set(line.action.field, bits: (Double(time - start) / 1e9).bitPattern)
                ranks[Int(line.action.field.rawValue)] = line.action.rank
                call.pointee.current.remove(CallFields(line.action.field))
            } else if let value = Self.value(of: line.key, in: message) {
                take(AttributeValue(value), line.action, addedRank: 0)
            }
        }
    }

    private static func value(of key: UnsafeRawBufferPointer, in message: WireCursor) -> WireCursor? {
        var cursor = message
        while let tag = cursor.varint() {
            guard tag == 0x1A else {
                cursor.skipField(tag)
                continue
            }
            guard let payload = cursor.payload() else { return nil }
            guard let attribute = WireAttribute(payload), attribute.keyCount == key.count else { continue }
            if sameBytes(UnsafeRawBufferPointer(start: attribute.key, count: attribute.keyCount), key) {
                return attribute.value
            }
        }
        return nil
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
