/// Why wire bytes could not be written as JSON.
package enum OTLPJSONEncodingError: Error, Equatable, CustomStringConvertible {
    /// The bytes are not a message of protobuf's wire format.
    case malformedMessage
    /// Messages nest deeper than allowed.
    case tooDeep
    /// The writer's limit was reached, or memory was refused.
    case outputLimit
    /// Parts of messages that protobuf merges, at several levels at once, add up to far more than the input.
    case tooManyFragments

    package var description: String {
        switch self {
        case .malformedMessage: "the message is not valid protobuf"
        case .tooDeep: "messages are nested too deeply"
        case .outputLimit: "the JSON text is larger than its limit"
        case .tooManyFragments: "the message is split into too many overlapping parts"
        }
    }
}

/// Writes OTLP messages as OTLP JSON: lowerCamelCase names, ids in lower-case hex, 64-bit integers as strings, enums
/// as numbers, no default values, one line without spaces.
///
/// The rules of protobuf hold whatever the order on the wire: entries of a repeated field that stand apart are
/// gathered, the last scalar wins, messages given twice are merged, the last member of a oneof wins. Unknown fields are
/// dropped. Bytes in strings that are not UTF-8 become U+FFFD.
package enum OTLPJSONEncoder {
    /// Nesting that is allowed unless the caller says otherwise, counted in messages from the root.
    package static let defaultDepth = 100

    /// Appends one JSON object for `bytes`, the encoded `message`, to `writer`.
    ///
    /// - Parameters:
    ///   - bytes: not kept after the call.
    ///   - writer: its limit bounds the text. Up to 128 bytes below the limit may remain unused. After an error it
    ///     holds what it held before, unless the error is `outputLimit`: then it must not be used.
    package static func encode(
        _ bytes: UnsafeRawBufferPointer, as message: OTLPMessage, into writer: inout WireWriter,
        maximumDepth: Int = defaultDepth
    ) throws(OTLPJSONEncodingError) {
        let before = writer.count
        let failure = withUnsafeMutablePointer(to: &writer) { writer -> OTLPJSONEncodingError? in
            guard let text = JSONTextWriter(writer) else { return .outputLimit }
            var transcription = WireToJSON(text: text, input: bytes, maximumDepth: maximumDepth)
            return transcription.run(message)
        }
        if let failure {
            writer.truncate(to: before)
            throw failure
        }
    }
}

/// One run of the encoder.
struct WireToJSON: ~Copyable {
    var text: JSONTextWriter
    /// Memory up to here may be read.
    var readableEnd: UnsafePointer<UInt8>
    var failure = OTLPJSONEncodingError.malformedMessage
    /// True until a message turns out to be scattered: until then, each is first written as if it were not.
    private var expectsOrder = true
    let schema: JSONSchema
    let input: UnsafeRawBufferPointer
    let maximumDepth: Int
    /// Bytes that merged copies may still take.
    var mergeBudget: Int
    /// Some address for messages of no bytes; never read.
    let nothing: UnsafePointer<UInt8>

    /// Messages deeper than a span's attribute value are not tried in order: a hostile nest that is scattered at every
    /// level would be written once more for each.
    private static let deepestOrderedAttempt = 7
    /// Bytes that merged copies may take on top of twice the input.
    private static let mergeAllowance = 256 << 10

    init(text: consuming JSONTextWriter, input: UnsafeRawBufferPointer, maximumDepth: Int) {
        self.text = text
        self.input = input
        self.maximumDepth = maximumDepth
        schema = JSONSchema.shared
        mergeBudget = input.count * 2 + Self.mergeAllowance
        nothing = UnsafeRawPointer(schema[.anyValue]).assumingMemoryBound(to: UInt8.self)
        readableEnd = nothing
    }

    /// Nil when the text is complete.
    mutating func run(_ message: OTLPMessage) -> OTLPJSONEncodingError? {
        let start = input.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? nothing
        readableEnd = start + input.count
        guard encode(schema[message], start, start + input.count, depth: 1) else { return failure }
        // The comma after the root object.
        text.removeLast(1)
        text.finish()
        return nil
    }

    /// Writes one message as an object, and a comma.
    mutating func encode(
        _ message: UnsafePointer<JSONMessageSchema>, _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>,
        depth: Int
    ) -> Bool {
        guard depth <= maximumDepth else { return fail(.tooDeep) }
        if expectsOrder, depth <= Self.deepestOrderedAttempt, message.pointee.repeatedNumbers == 0 {
            let mark = text.position
            switch encodeInOrder(message, start, end, depth: depth) {
            case .written: return true
            case .failed: return false
            case .scattered:
                expectsOrder = false
                text.rewind(to: mark)
            }
        }
        guard let scattered = scatteredFields(of: message, start, end) else { return fail(.malformedMessage) }
        guard text.ensure(JSONTextWriter.fieldRoom) else { return fail(.outputLimit) }
        text.put(UInt8(ascii: "{"))
        var cursor = start
        var openArray: UInt64 = 0
        var written: UInt32 = 0
        while cursor < end {
            let fieldStart = cursor
            guard let tag = readVarint(&cursor, end) else { return fail(.malformedMessage) }
            let number = tag >> 3
            let field = message.pointee.field(number)
            guard field.pointee.isKnown, let wireType = WireType(rawValue: UInt8(tag & 7)),
                Self.fits(field, wireType)
            else {
                guard Self.skip(tag, &cursor, end) else { return fail(.malformedMessage) }
                continue
            }
            if openArray != 0, openArray != number {
                text.putClosing(UInt8(ascii: "]"))
                openArray = 0
            }
            let bit: UInt32 = 1 << UInt32(truncatingIfNeeded: number)
            if scattered & bit != 0 {
                if written & bit == 0 {
                    written |= bit | (message.pointee.oneofFields & bit != 0 ? message.pointee.oneofFields : 0)
                    guard encodeScattered(message, field, number, fieldStart, end, depth: depth) else { return false }
                }
                guard Self.skip(tag, &cursor, end) else { return fail(.malformedMessage) }
                continue
            }
            guard text.ensure(JSONTextWriter.fieldRoom) else { return fail(.outputLimit) }
            if field.pointee.isRepeated, openArray != number {
                text.put(field.pointee.prefix, length: field.pointee.prefixLength)
                openArray = number
            }
            guard encodeValue(field, &cursor, end, depth: depth) else { return false }
        }
        guard text.ensure(JSONTextWriter.fieldRoom) else { return fail(.outputLimit) }
        if openArray != 0 { text.putClosing(UInt8(ascii: "]")) }
        text.putClosing(UInt8(ascii: "}"))
        return true
    }

    private enum OrderedAttempt {
        case written, failed, scattered
    }

    /// Writes a message whose fields can all be written where they stand, as nearly every writer orders them.
    private mutating func encodeInOrder(
        _ message: UnsafePointer<JSONMessageSchema>, _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>,
        depth: Int
    ) -> OrderedAttempt {
        guard text.ensure(JSONTextWriter.fieldRoom) else { return failed(.outputLimit) }
        text.put(UInt8(ascii: "{"))
        var cursor = start
        var openArray: UInt64 = 0
        var seen: UInt32 = 0
        while cursor < end {
            guard let tag = readVarint(&cursor, end) else { return failed(.malformedMessage) }
            let number = tag >> 3
            let field = message.pointee.field(number)
            if field.pointee.isKnown {
                let bit: UInt32 = 1 << UInt32(truncatingIfNeeded: number)
                let rivals = bit & message.pointee.oneofFields != 0 ? message.pointee.oneofFields : bit
                if seen & rivals != 0, openArray != number { return .scattered }
                seen |= bit
            }
            guard field.pointee.isKnown, let wireType = WireType(rawValue: UInt8(tag & 7)),
                Self.fits(field, wireType)
            else {
                guard Self.skip(tag, &cursor, end) else { return failed(.malformedMessage) }
                continue
            }
            if openArray != 0, openArray != number {
                text.putClosing(UInt8(ascii: "]"))
                openArray = 0
            }
            guard text.ensure(JSONTextWriter.fieldRoom) else { return failed(.outputLimit) }
            if field.pointee.isRepeated, openArray != number {
                text.put(field.pointee.prefix, length: field.pointee.prefixLength)
                openArray = number
            }
            guard encodeValue(field, &cursor, end, depth: depth) else { return .failed }
        }
        guard text.ensure(JSONTextWriter.fieldRoom) else { return failed(.outputLimit) }
        if openArray != 0 { text.putClosing(UInt8(ascii: "]")) }
        text.putClosing(UInt8(ascii: "}"))
        return .written
    }

    private mutating func failed(_ reason: OTLPJSONEncodingError) -> OrderedAttempt {
        failure = reason
        return .failed
    }

    /// The fields that cannot be written where they stand, as bits by number: entries stand apart, a single field
    /// occurs twice, several members of the oneof occur, or the field is a repeated number. Nil when malformed.
    @inline(__always)
    private func scatteredFields(
        of message: UnsafePointer<JSONMessageSchema>, _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) -> UInt32? {
        var cursor = start
        var seen: UInt32 = 0
        var scattered: UInt32 = 0
        // Repeated fields that may go on here.
        var open: UInt32 = 0
        while cursor < end {
            guard let tag = readVarint(&cursor, end), Self.skip(tag, &cursor, end) else { return nil }
            let number = tag >> 3
            let bit: UInt32 = number <= UInt64(JSONMessageSchema.highestNumber) ? 1 << UInt32(number) : 0
            scattered |= seen & bit & ~open
            seen |= bit
            open = bit & message.pointee.repeatedFields
        }
        let members = seen & message.pointee.oneofFields
        if members & (members &- 1) != 0 { scattered |= members }
        return scattered | message.pointee.repeatedNumbers
    }

    /// Whether a field of this wire type is the schema's field; otherwise it counts as unknown.
    @inline(__always)
    static func fits(_ field: UnsafePointer<JSONField>, _ wireType: WireType) -> Bool {
        wireType == field.pointee.wireType || (wireType == .lengthDelimited && field.pointee.isRepeatedNumber)
    }

    /// Moves past the value of a field; false when it is malformed or a group, which OTLP never has.
    @inline(__always)
    static func skip(_ tag: UInt64, _ cursor: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> Bool {
        guard tag >= 8, tag <= 0xFFFF_FFFF else { return false }
        switch tag & 7 {
        case 2:
            guard let length = readVarint(&cursor, end), length <= UInt64(end - cursor) else { return false }
            cursor += Int(length)
        case 0:
            guard readVarint(&cursor, end) != nil else { return false }
        case 1:
            guard end - cursor >= 8 else { return false }
            cursor += 8
        case 5:
            guard end - cursor >= 4 else { return false }
            cursor += 4
        default: return false
        }
        return true
    }

    @inline(__always)
    mutating func fail(_ reason: OTLPJSONEncodingError) -> Bool {
        failure = reason
        return false
    }
}
