/// Reads OTLP JSON and writes the same message in protobuf's wire format, in one pass.
///
/// Accepted as the OTLP specification has it: ids in hex of either case, enums as numbers (names too), 64-bit integers
/// as strings or numbers, doubles as numbers, numeric strings or `NaN`, `Infinity` and `-Infinity`, base64 of either
/// alphabet with or without padding. Unknown names are skipped, null is an absent field. Names in snake_case are
/// unknown. Fields at their default are left out of the result, as protobuf writers do; lengths take the fewest bytes.
package enum OTLPJSONDecoder {
    /// Nesting that is allowed unless the caller says otherwise, counted in messages from the root.
    package static let defaultDepth = 100

    /// Appends `message`, read from the whole of `text`, to `writer`.
    ///
    /// - Parameters:
    ///   - text: UTF-8; not kept after the call.
    ///   - writer: its limit bounds the message. After an error it holds what it held before, unless the error is
    ///     `outputLimit`: then it must not be used.
    package static func decode(
        _ text: UnsafeRawBufferPointer, as message: OTLPMessage, into writer: inout WireWriter,
        maximumDepth: Int = defaultDepth
    ) throws(OTLPJSONError) {
        let before = writer.count
        let failure = withUnsafeMutablePointer(to: &writer) { writer in
            var transcription = JSONToWire(text: text, writer: writer, maximumDepth: maximumDepth)
            return transcription.run(message)
        }
        if let failure {
            writer.truncate(to: before)
            throw failure
        }
    }
}

/// One run of the decoder.
struct JSONToWire: ~Copyable {
    var reader: JSONReader
    let writer: UnsafeMutablePointer<WireWriter>
    let schema: JSONSchema
    let maximumDepth: Int
    /// Bytes that the length of the last message of each type took: a guess for the next one.
    private let lengthSizes: UnsafeMutablePointer<UInt8>
    /// Where the failure happened, innermost first.
    private var failedPath: [(field: UnsafePointer<JSONField>, index: Int?)] = []

    init(text: UnsafeRawBufferPointer, writer: UnsafeMutablePointer<WireWriter>, maximumDepth: Int) {
        self.writer = writer
        self.maximumDepth = maximumDepth
        schema = JSONSchema.shared
        // An empty text needs some address, which is never read.
        let start = text.baseAddress ?? UnsafeRawPointer(schema[.anyValue])
        let first = start.assumingMemoryBound(to: UInt8.self)
        reader = JSONReader(first, first + text.count)
        lengthSizes = .allocate(capacity: OTLPMessage.allCases.count)
        lengthSizes.initialize(repeating: 1, count: OTLPMessage.allCases.count)
    }

    deinit { lengthSizes.deallocate() }

    /// Nil when all of the text is in the writer.
    mutating func run(_ message: OTLPMessage) -> OTLPJSONError? {
        if decodeObject(schema[message], depth: 1) {
            _ = reader.peek()
            if reader.cursor < reader.end {
                _ = reader.fail(.trailingText)
            } else if !writer.pointee.overflowed {
                return nil
            }
        }
        let reason = writer.pointee.overflowed ? .outputLimit : reader.failure
        return OTLPJSONError(reason: reason, offset: reader.cursor - reader.start, path: pathText())
    }

    private func pathText() -> String {
        var text = ""
        for step in failedPath.reversed() {
            if !text.isEmpty { text += "." }
            text += String(decoding: JSONField.name(of: step.field), as: UTF8.self)
            if let index = step.index { text += "[\(index)]" }
        }
        return text
    }

    /// Reads an object and writes its fields, without a length in front.
    private mutating func decodeObject(_ message: UnsafePointer<JSONMessageSchema>, depth: Int) -> Bool {
        guard depth <= maximumDepth else { return reader.fail(.tooDeep) }
        guard reader.take(UInt8(ascii: "{")) else {
            return reader.fail(reader.cursor < reader.end ? .wrongType : .unexpectedEnd)
        }
        if reader.peek() == UInt8(ascii: "}") { return reader.take(UInt8(ascii: "}")) }
        var seen: UInt32 = 0
        var expected = 1
        repeat {
            guard let key = reader.takeString() else {
                if reader.failure == .wrongType { _ = reader.fail(.unexpectedCharacter) }
                return false
            }
            guard reader.take(UInt8(ascii: ":")), let number = match(key, message, &expected) else { return false }
            if number == 0 {
                guard reader.skipValue(depth: maximumDepth - depth) else { return false }
                continue
            }
            if reader.takeNull() { continue }
            let field = message.pointee.fields + number
            let bit: UInt32 = 1 << UInt32(number)
            let members = field.pointee.isInOneof ? message.pointee.oneofFields : bit
            if seen & members != 0 {
                failedPath.append((field, nil))
                return reader.fail(seen & bit != 0 ? .duplicateField : .severalMembers)
            }
            seen |= bit
            guard decodeField(field, UInt32(number), depth: depth) else { return false }
        } while reader.takeComma()
        return reader.take(UInt8(ascii: "}"))
    }

    /// The number of the field that `key` names, 0 for an unknown one, nil when the key is malformed. `expected` is
    /// where the search starts: fields mostly come in the order of their numbers.
    @inline(__always)
    private mutating func match(
        _ key: JSONStringToken, _ message: UnsafePointer<JSONMessageSchema>, _ expected: inout Int
    ) -> Int? {
        guard !key.hasEscapes else { return matchEscaped(key, message) }
        let number = Self.number(of: key.start, key.count, message, from: expected)
        if number != 0 { expected = number < JSONMessageSchema.highestNumber ? number + 1 : 1 }
        return number
    }

    @inline(__always)
    private static func number(
        of key: UnsafePointer<UInt8>, _ count: Int, _ message: UnsafePointer<JSONMessageSchema>, from first: Int
    ) -> Int {
        var number = first
        repeat {
            let field = message.pointee.fields + number
            if field.pointee.nameLength == count, JSONField.isName(of: field, key, count) { return number }
            number = number < JSONMessageSchema.highestNumber ? number + 1 : 1
        } while number != first
        return 0
    }

    private mutating func matchEscaped(
        _ key: JSONStringToken, _ message: UnsafePointer<JSONMessageSchema>
    ) -> Int? {
        guard let plain = plainContent(of: key) else { return nil }
        let start = plain.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? key.start
        return Self.number(of: start, plain.count, message, from: 1)
    }

    private mutating func decodeField(_ field: UnsafePointer<JSONField>, _ number: UInt32, depth: Int) -> Bool {
        guard field.pointee.isRepeated else {
            if decodeValue(field, number, depth: depth) { return true }
            failedPath.append((field, nil))
            return false
        }
        var index = 0
        let before = writer.pointee.count
        let length = field.pointee.isRepeatedNumber ? openLength(number, size: 1) : nil
        guard decodeElements(field, number, &index, depth: depth) else {
            failedPath.append((field, index))
            return false
        }
        if let length {
            if index == 0 {
                writer.pointee.truncate(to: before)
            } else {
                closeLength(length, size: 1)
            }
        }
        return true
    }

    private mutating func decodeElements(
        _ field: UnsafePointer<JSONField>, _ number: UInt32, _ index: inout Int, depth: Int
    ) -> Bool {
        guard reader.take(UInt8(ascii: "[")) else {
            return reader.fail(reader.cursor < reader.end ? .wrongType : .unexpectedEnd)
        }
        if reader.peek() == UInt8(ascii: "]") { return reader.take(UInt8(ascii: "]")) }
        repeat {
            if reader.takeNull() { return reader.fail(.nullElement) }
            guard decodeValue(field, number, depth: depth) else { return false }
            index += 1
        } while reader.takeComma()
        return reader.take(UInt8(ascii: "]"))
    }

    /// Reads the object of a message field and writes it with tag and length.
    mutating func decodeMessage(_ field: UnsafePointer<JSONField>, _ number: UInt32, depth: Int) -> Bool {
        let message = field.pointee.message
        let guess = Int(lengthSizes[Int(message.rawValue)])
        let start = openLength(number, size: guess)
        guard decodeObject(schema[message], depth: depth + 1) else { return false }
        lengthSizes[Int(message.rawValue)] = UInt8(truncatingIfNeeded: closeLength(start, size: guess))
        return true
    }

    // MARK: - Lengths

    /// Writes the tag and leaves `size` bytes for the length. Returns where those start.
    mutating func openLength(_ number: UInt32, size: Int) -> Int {
        writer.pointee.append(tag: number, .lengthDelimited)
        let start = writer.pointee.count
        _ = writer.pointee.appendUninitialized(size)
        return start
    }

    /// Writes the length of what follows the `size` bytes at `start`, moving it when the length needs another size.
    /// Returns that size.
    @discardableResult
    mutating func closeLength(_ start: Int, size: Int) -> Int {
        guard !writer.pointee.overflowed else { return size }
        return writer.pointee.setLength(at: start, reserved: size)
    }
}
