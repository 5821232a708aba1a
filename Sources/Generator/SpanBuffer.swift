internal import OTLP

/// Finished spans, encoded, in the order in which they ended, until a request takes them. One owner.
struct SpanBuffer: ~Copyable {
    /// SpanKind of OTLP.
    enum Kind: UInt8 {
        case `internal` = 1
        case server = 2
        case client = 3
    }

    /// What every span has. Times are nanoseconds since 1970.
    struct Head {
        var trace: (UInt64, UInt64)
        var id: UInt64
        /// 0 for the root.
        var parent: UInt64
        var kind: Kind
        /// Index of the resource.
        var service: Int
        var start: UInt64
        var end: UInt64
        /// The parent is in another process.
        var isParentRemote = false
    }

    private struct Record {
        var service: Int
        var offset: Int
        var size: Int

        var range: Range<Int> { offset..<offset + size }

        /// As a field of its ScopeSpans.
        var fieldSize: Int { 1 + varintSize(UInt64(size)) + size }
    }

    /// W3C trace flag: sampled; OTLP's: it is known whether the parent is remote; and it is.
    private static let flags: (sampled: UInt32, known: UInt32, remote: UInt32) = (0x1, 0x100, 0x200)

    private var bytes = WireWriter()
    private var spare = WireWriter()
    private var records: [Record] = []
    /// Where the span that is being written began.
    private var opened = 0
    private var openService = 0

    init() {}

    /// Spans that wait.
    var count: Int { records.count }

    // MARK: Writing a span

    /// Starts a span; its fields follow, then `end`.
    mutating func begin(_ head: Head, name: StaticString, _ second: StaticString = "") {
        opened = bytes.count
        openService = head.service
        bytes.append(tag: 1, .lengthDelimited)
        bytes.append(varint: 16)
        bytes.append(bigEndian: head.trace.0)
        bytes.append(bigEndian: head.trace.1)
        bytes.append(tag: 2, .lengthDelimited)
        bytes.append(varint: 8)
        bytes.append(bigEndian: head.id)
        if head.parent != 0 {
            bytes.append(tag: 4, .lengthDelimited)
            bytes.append(varint: 8)
            bytes.append(bigEndian: head.parent)
        }
        let hasSecond = second.utf8CodeUnitCount > 0
        bytes.append(tag: 5, .lengthDelimited)
        bytes.append(varint: UInt64(name.utf8CodeUnitCount + (hasSecond ? 1 : 0) + second.utf8CodeUnitCount))
        bytes.append(name)
        if hasSecond {
            bytes.append(byte: UInt8(ascii: " "))
            bytes.append(second)
        }
        bytes.append(tag: 6, .varint)
        bytes.append(varint: UInt64(head.kind.rawValue))
        bytes.append(tag: 7, .fixed64)
        bytes.append(fixed64: head.start)
        bytes.append(tag: 8, .fixed64)
        bytes.append(fixed64: head.end)
        bytes.append(tag: 16, .fixed32)
        bytes.append(fixed32: Self.flags.sampled | Self.flags.known | (head.isParentRemote ? Self.flags.remote : 0))
    }

    mutating func attribute(_ key: StaticString, _ value: StaticString) {
        bytes.append(attribute: 9, key, text: value, hex: nil)
    }

    /// The value is `prefix` and 16 hexadecimal digits.
    mutating func attribute(_ key: StaticString, prefix: StaticString, hex: UInt64) {
        bytes.append(attribute: 9, key, text: prefix, hex: hex)
    }

    mutating func attribute(_ key: StaticString, _ value: Int) {
        bytes.append(attributeStart: 9, key, valueSize: 1 + varintSize(UInt64(bitPattern: Int64(value))))
        bytes.append(tag: 3, .varint)
        bytes.append(varint: UInt64(bitPattern: Int64(value)))
    }

    mutating func attribute(_ key: StaticString, _ value: Double) {
        bytes.append(attributeStart: 9, key, valueSize: 9)
        bytes.append(tag: 4, .fixed64)
        bytes.append(fixed64: value.bitPattern)
    }

    mutating func attribute(_ key: StaticString, _ value: Bool) {
        bytes.append(attributeStart: 9, key, valueSize: 2)
        bytes.append(tag: 2, .varint)
        bytes.append(varint: value ? 1 : 0)
    }

    /// An array of one string.
    mutating func attribute(_ key: StaticString, array element: StaticString) {
        let text = fieldSize(element.utf8CodeUnitCount)
        let array = fieldSize(text)
        bytes.append(attributeStart: 9, key, valueSize: fieldSize(array))
        bytes.append(tag: 5, .lengthDelimited)
        bytes.append(varint: UInt64(array))
        bytes.append(tag: 1, .lengthDelimited)
        bytes.append(varint: UInt64(text))
        bytes.append(field: 1, text: element)
    }

    /// The event that SDKs record for an exception.
    mutating func exception(at time: UInt64, type: StaticString, message: StaticString) {
        let start = bytes.count
        bytes.append(tag: 1, .fixed64)
        bytes.append(fixed64: time)
        bytes.append(field: 2, text: "exception")
        bytes.append(attribute: 3, "exception.type", text: type, hex: nil)
        bytes.append(attribute: 3, "exception.message", text: message, hex: nil)
        bytes.wrap(since: start, field: 11)
    }

    /// The status error.
    mutating func fail(_ message: StaticString) {
        let start = bytes.count
        bytes.append(field: 2, text: message)
        bytes.append(tag: 3, .varint)
        bytes.append(varint: 2)
        bytes.wrap(since: start, field: 15)
    }

    mutating func end() {
        records.append(Record(service: openService, offset: opened, size: bytes.count - opened))
    }

    // MARK: Requests

    /// Takes the oldest spans, `maximum` at most, as an `ExportTraceServiceRequest`: a ResourceSpans for each service.
    ///
    /// - Parameters:
    ///   - resources: encoded Resource messages, by service.
    ///   - scope: an encoded InstrumentationScope.
    /// - Returns: a request that has overflowed when memory was refused.
    mutating func takeRequest(maximum: Int, resources: [[UInt8]], scope: [UInt8]) -> GeneratedRequest {
        let taken = min(maximum, records.count)
        let size = records[..<taken].reduce(0) { $0 + $1.fieldSize }
        var request = WireWriter(capacity: size + resources.reduce(0) { $0 + $1.count + scope.count + 64 })
        for (service, resource) in resources.enumerated() {
            let spans = records[..<taken].reduce(0) { $0 + ($1.service == service ? $1.fieldSize : 0) }
            guard spans > 0 else { continue }
            let scopeSpans = fieldSize(scope.count) + spans
            request.append(tag: 1, .lengthDelimited)
            request.append(varint: UInt64(fieldSize(resource.count) + fieldSize(scopeSpans)))
            resource.withUnsafeBytes { request.append(field: 1, bytes: $0) }
            request.append(tag: 2, .lengthDelimited)
            request.append(varint: UInt64(scopeSpans))
            scope.withUnsafeBytes { request.append(field: 1, bytes: $0) }
            for record in records[..<taken] where record.service == service {
                request.append(
                    field: 2, bytes: UnsafeRawBufferPointer(rebasing: bytes.bytes[record.range]))
            }
        }
        drop(taken)
        return GeneratedRequest(bytes: request, spans: taken)
    }

    /// Forgets the first spans and moves the others to the front.
    private mutating func drop(_ taken: Int) {
        let cut = records[taken...].first?.offset ?? bytes.count
        spare.removeAll()
        spare.append(UnsafeRawBufferPointer(rebasing: bytes.bytes[cut...]))
        swap(&bytes, &spare)
        records.removeFirst(taken)
        for index in records.indices { records[index].offset -= cut }
    }

    /// Bytes of a length-delimited field with a one-byte tag.
    private func fieldSize(_ payload: Int) -> Int { 1 + varintSize(UInt64(payload)) + payload }
}

extension WireWriter {
    mutating func append(bigEndian value: UInt64) { append(fixed64: value.byteSwapped) }

    mutating func append(field: UInt32, text: StaticString) {
        append(tag: field, .lengthDelimited)
        append(varint: UInt64(text.utf8CodeUnitCount))
        append(text)
    }

    /// A KeyValue up to its AnyValue, of which `valueSize` bytes follow.
    mutating func append(attributeStart field: UInt32, _ key: StaticString, valueSize: Int) {
        let keySize = key.utf8CodeUnitCount
        let total = 2 + varintSize(UInt64(keySize)) + keySize + varintSize(UInt64(valueSize)) + valueSize
        append(tag: field, .lengthDelimited)
        append(varint: UInt64(total))
        append(field: 1, text: key)
        append(tag: 2, .lengthDelimited)
        append(varint: UInt64(valueSize))
    }

    /// A KeyValue with a string: `text`, then the digits of `hex` if any.
    mutating func append(attribute field: UInt32, _ key: StaticString, text: StaticString, hex: UInt64?) {
        let size = text.utf8CodeUnitCount + (hex == nil ? 0 : 16)
        append(attributeStart: field, key, valueSize: 1 + varintSize(UInt64(size)) + size)
        append(tag: 1, .lengthDelimited)
        append(varint: UInt64(size))
        append(text)
        guard let hex else { return }
        for shift in stride(from: 60, through: 0, by: -4) {
            let digit = UInt8(truncatingIfNeeded: hex >> UInt64(shift)) & 0xF
            append(byte: digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
    }

    /// A KeyValue with a string.
    mutating func append(attribute field: UInt32, _ key: StaticString, string: String) {
        var string = string
        string.withUTF8 { text in
            append(attributeStart: field, key, valueSize: 1 + varintSize(UInt64(text.count)) + text.count)
            append(field: 1, bytes: UnsafeRawBufferPointer(text))
        }
    }
}
