extension TelemetryBatch {
    /// Writes the items of `range` as one request message: a sequence of `ResourceX` fields. Requests may be
    /// concatenated in one writer; protobuf reads them as one.
    ///
    /// A whole pristine batch is copied as it came. Otherwise resources and scopes are written anew around the items'
    /// own bytes; every field of theirs that is not an item, known or not, is kept.
    package func encode(_ range: Range<Int>, into writer: inout WireWriter) {
        let range = range.clamped(to: 0..<items.count)
        if isPristine, range.count == items.count {
            writer.append(bytes.buffer)
            return
        }
        for resource in resources {
            guard let first = scopes[resource.scopes].first, let last = scopes[resource.scopes].last,
                first.items.lowerBound < range.upperBound, last.items.upperBound > range.lowerBound
            else { continue }
            encode(resource, range, into: &writer)
        }
    }

    /// Writes the whole batch; see `encode(_:into:)`.
    package func encode(into writer: inout WireWriter) { encode(0..<items.count, into: &writer) }

    /// Bytes that the items of `range` take in a request, without their resources and scopes. Used to split by size.
    package func encodedSize(ofItems range: Range<Int>) -> Int {
        var size = 0
        for item in items[range.clamped(to: 0..<items.count)] { size += Self.fieldSize(item.size) }
        return size
    }

    /// End of the longest run of items from `start` that stays within `maximumItems` (as `count(of:)` counts them) and
    /// `maximumBytes` (as `encodedSize` does). At least one item, even when that one alone is larger.
    package func endOfRun(from start: Int, maximumItems: Int, maximumBytes: Int) -> Int {
        var end = start
        var size = 0
        var count = 0
        while end < items.count {
            size += Self.fieldSize(items[end].size)
            count += self.count(of: end..<end + 1)
            if size > maximumBytes || count > maximumItems, end > start { break }
            end += 1
        }
        return end
    }

    /// Size of an item as field 2 of its scope: a one-byte tag, its length, itself.
    @inline(__always)
    private static func fieldSize(_ payload: Int) -> Int { 1 + varintSize(UInt64(payload)) + payload }

    private func encode(_ resource: ResourceRecord, _ range: Range<Int>, into writer: inout WireWriter) {
        let kept = resource.scopes.filter { scopes[$0].items.overlaps(range) }
        let message = self.message(of: resource)
        var size = EnvelopeFields(message).sizeOfOthers
        for index in kept { size += Self.fieldSize(encodedSize(scopes[index], range)) }
        guard writer.reserve(size + 12) else { return }
        writer.append(tag: 1, .lengthDelimited)
        writer.append(varint: UInt64(size))
        EnvelopeFields(message).appendOthers(to: &writer)
        for index in kept {
            let scope = scopes[index]
            writer.append(tag: 2, .lengthDelimited)
            writer.append(varint: UInt64(encodedSize(scope, range)))
            EnvelopeFields(self.message(of: scope)).appendOthers(to: &writer)
            for item in items[scope.items.clamped(to: range)] {
                writer.append(tag: 2, .lengthDelimited)
                writer.append(varint: UInt64(item.size))
                writer.append(payload(of: item))
                if item.tailCount > 0 { writer.append(tail(of: item)) }
            }
        }
    }

    private func encodedSize(_ scope: ScopeRecord, _ range: Range<Int>) -> Int {
        EnvelopeFields(message(of: scope)).sizeOfOthers + encodedSize(ofItems: scope.items.clamped(to: range))
    }
}

/// The fields of a `ResourceX` or `ScopeX` message other than number 2, its children. The message has been scanned,
/// so a fault here is impossible; the walk still stops at one.
private struct EnvelopeFields {
    private let start: UnsafePointer<UInt8>?
    private let count: Int

    private static let childField: UInt64 = 2

    init(_ message: UnsafeRawBufferPointer) {
        start = message.bindMemory(to: UInt8.self).baseAddress
        count = message.count
    }

    var sizeOfOthers: Int {
        var size = 0
        forEachOther { size += $0.count }
        return size
    }

    func appendOthers(to writer: inout WireWriter) {
        guard let start else { return }
        var cursor = start
        let end = start + count
        while let field = nextOther(&cursor, end) { writer.append(field) }
    }

    private func forEachOther(_ body: (UnsafeRawBufferPointer) -> Void) {
        guard let start else { return }
        var cursor = start
        let end = start + count
        while let field = nextOther(&cursor, end) { body(field) }
    }

    /// The next field, key included, that is not a child.
    private func nextOther(
        _ cursor: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) -> UnsafeRawBufferPointer? {
        while cursor < end {
            let fieldStart = cursor
            guard let key = readVarint(&cursor, end), skipValue(key & 7, &cursor, end) else { return nil }
            if key >> 3 != Self.childField {
                return UnsafeRawBufferPointer(start: fieldStart, count: cursor - fieldStart)
            }
        }
        return nil
    }
}

/// Moves `cursor` over a value of the given wire type. False, with `cursor` unspecified, at malformed bytes.
@inline(__always)
func skipValue(_ wireType: UInt64, _ cursor: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> Bool {
    switch wireType {
    case 0:
        return readVarint(&cursor, end) != nil
    case 1:
        guard end - cursor >= 8 else { return false }
        cursor += 8
        return true
    case 2:
        guard let length = readVarint(&cursor, end), length <= UInt64(end - cursor) else { return false }
        cursor += Int(length)
        return true
    case 5:
        guard end - cursor >= 4 else { return false }
        cursor += 4
        return true
    default:
        return false
    }
}
