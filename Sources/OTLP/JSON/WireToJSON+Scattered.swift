extension WireToJSON {
    /// Writes a field whose occurrences, from `start` on, do not stand in one row. Called at the first one.
    @inline(never)
    mutating func encodeScattered(
        _ message: UnsafePointer<JSONMessageSchema>, _ field: UnsafePointer<JSONField>, _ number: UInt64,
        _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, depth: Int
    ) -> Bool {
        guard text.ensure(JSONTextWriter.fieldRoom) else { return fail(.outputLimit) }
        if field.pointee.isRepeatedNumber { return encodeNumbers(field, number, start, end) }
        if field.pointee.isRepeated { return encodeElements(field, number, start, end, depth: depth) }

        var winner = field
        var winnerNumber = number
        var from = start
        if field.pointee.isInOneof {
            (winner, winnerNumber, from) = lastMember(of: message, start, end)
        }
        if winner.pointee.kind == .message { return encodeMerged(winner, winnerNumber, from, end, depth: depth) }
        var occurrences = Occurrences(field: winner, number: winnerNumber, cursor: from, end: end)
        var last = end
        while let value = occurrences.next() { last = value }
        return encodeValue(winner, &last, end, depth: depth)
    }

    private mutating func encodeElements(
        _ field: UnsafePointer<JSONField>, _ number: UInt64, _ start: UnsafePointer<UInt8>,
        _ end: UnsafePointer<UInt8>, depth: Int
    ) -> Bool {
        text.put(field.pointee.prefix, length: field.pointee.prefixLength)
        var occurrences = Occurrences(field: field, number: number, cursor: start, end: end)
        while let value = occurrences.next() {
            var cursor = value
            guard text.ensure(JSONTextWriter.fieldRoom) else { return fail(.outputLimit) }
            guard encodeValue(field, &cursor, end, depth: depth) else { return false }
        }
        guard text.ensure(JSONTextWriter.fieldRoom) else { return fail(.outputLimit) }
        text.putClosing(UInt8(ascii: "]"))
        return true
    }

    /// A repeated number: every occurrence may be one value or a packed row of them.
    private mutating func encodeNumbers(
        _ field: UnsafePointer<JSONField>, _ number: UInt64, _ start: UnsafePointer<UInt8>,
        _ end: UnsafePointer<UInt8>
    ) -> Bool {
        let kind = field.pointee.kind
        text.put(field.pointee.prefix, length: field.pointee.prefixLength)
        var isEmpty = true
        var occurrences = Occurrences(field: field, number: number, cursor: start, end: end)
        while let value = occurrences.next() {
            var cursor = value
            var rowEnd = end
            if occurrences.wireType == .lengthDelimited {
                guard let length = readVarint(&cursor, end) else { return fail(.malformedMessage) }
                rowEnd = cursor + Int(length)
            }
            repeat {
                if cursor == rowEnd { break }
                guard let bits = Self.readNumber(kind, &cursor, rowEnd) else { return fail(.malformedMessage) }
                guard text.ensure(JSONTextWriter.fieldRoom) else { return fail(.outputLimit) }
                if kind.isQuoted { text.put(UInt8(ascii: "\"")) }
                putDigits(kind, bits)
                if kind.isQuoted { text.put(UInt8(ascii: "\"")) }
                text.put(UInt8(ascii: ","))
                isEmpty = false
            } while occurrences.wireType == .lengthDelimited
        }
        if isEmpty {
            text.removeLast(field.pointee.prefixLength)
        } else {
            guard text.ensure(JSONTextWriter.fieldRoom) else { return fail(.outputLimit) }
            text.putClosing(UInt8(ascii: "]"))
        }
        return true
    }

    private static func readNumber(
        _ kind: JSONFieldKind, _ cursor: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) -> UInt64? {
        guard kind.wireType == .fixed64 else { return readVarint(&cursor, end) }
        guard end - cursor >= 8 else { return nil }
        defer { cursor += 8 }
        return UInt64(littleEndian: UnsafeRawPointer(cursor).loadUnaligned(as: UInt64.self))
    }

    /// The member of the oneof that holds in the end, and where its last unbroken run starts: an earlier one was
    /// cleared by another member.
    private func lastMember(
        of message: UnsafePointer<JSONMessageSchema>, _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) -> (UnsafePointer<JSONField>, UInt64, UnsafePointer<UInt8>) {
        var winner = message.pointee.fields
        var number: UInt64 = 0
        var runStart = start
        var cursor = start
        while cursor < end {
            let fieldStart = cursor
            guard let tag = readVarint(&cursor, end) else { break }
            let field = message.pointee.field(tag >> 3)
            if field.pointee.isKnown, field.pointee.isInOneof, UInt64(field.pointee.wireType.rawValue) == tag & 7,
                tag >> 3 != number
            {
                winner = field
                number = tag >> 3
                runStart = fieldStart
            }
            guard Self.skip(tag, &cursor, end) else { break }
        }
        return (winner, number, runStart)
    }

    /// A message given several times: protobuf merges the parts, which is to read their concatenation.
    private mutating func encodeMerged(
        _ field: UnsafePointer<JSONField>, _ number: UInt64, _ start: UnsafePointer<UInt8>,
        _ end: UnsafePointer<UInt8>, depth: Int
    ) -> Bool {
        var merged = WireWriter(limit: mergeBudget)
        var occurrences = Occurrences(field: field, number: number, cursor: start, end: end)
        while let value = occurrences.next() {
            var cursor = value
            guard let length = readVarint(&cursor, end) else { return fail(.malformedMessage) }
            merged.append(UnsafeRawBufferPointer(start: cursor, count: Int(length)))
        }
        guard !merged.overflowed else { return fail(.tooManyFragments) }
        let outerEnd = readableEnd
        mergeBudget -= merged.count
        text.put(field.pointee.prefix, length: field.pointee.prefixLength)
        let base = merged.base.map { UnsafePointer($0.assumingMemoryBound(to: UInt8.self)) } ?? nothing
        readableEnd = base + merged.count
        let done = encode(schema[field.pointee.message], base, base + merged.count, depth: depth + 1)
        readableEnd = outerEnd
        mergeBudget += merged.count
        return done
    }
}

/// The values of one field inside a message that is known to be well-formed.
private struct Occurrences {
    let field: UnsafePointer<JSONField>
    let number: UInt64
    var cursor: UnsafePointer<UInt8>
    let end: UnsafePointer<UInt8>
    /// Of the value that `next()` returned last.
    private(set) var wireType = WireType.varint

    init(
        field: UnsafePointer<JSONField>, number: UInt64, cursor: UnsafePointer<UInt8>, end: UnsafePointer<UInt8>
    ) {
        self.field = field
        self.number = number
        self.cursor = cursor
        self.end = end
    }

    /// Where the next value starts, after its tag.
    mutating func next() -> UnsafePointer<UInt8>? {
        while cursor < end {
            guard let tag = readVarint(&cursor, end) else { return nil }
            let value = cursor
            guard WireToJSON.skip(tag, &cursor, end) else { return nil }
            if tag >> 3 == number, let type = WireType(rawValue: UInt8(tag & 7)), WireToJSON.fits(field, type) {
                wireType = type
                return value
            }
        }
        return nil
    }
}
