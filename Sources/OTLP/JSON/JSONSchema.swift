internal import Glibc

/// How a field's value is written, on the wire and in JSON.
enum JSONFieldKind: UInt8 {
    case string
    /// `bytes` as base64.
    case bytes
    /// `bytes` as hex digits: trace, span and parent span ids.
    case identifier
    case bool
    /// int32 and enums: varint on the wire, a number in JSON.
    case int32
    case enumeration
    case uint32
    case sint32
    case fixed32
    /// 64-bit integers are strings in JSON.
    case int64
    case uint64
    case fixed64
    case sfixed64
    case double
    case message

    var wireType: WireType {
        switch self {
        case .string, .bytes, .identifier, .message: .lengthDelimited
        case .bool, .int32, .enumeration, .uint32, .sint32, .int64, .uint64: .varint
        case .fixed32: .fixed32
        case .fixed64, .sfixed64, .double: .fixed64
        }
    }

    /// Whether the JSON form stands in quotes whatever the value is.
    var isQuoted: Bool {
        switch self {
        case .string, .bytes, .identifier, .int64, .uint64, .fixed64, .sfixed64: true
        case .bool, .int32, .enumeration, .uint32, .sint32, .fixed32, .double, .message: false
        }
    }
}

/// The enums whose names are accepted from JSON.
enum JSONEnumeration: UInt8 {
    case none
    case spanKind
    case statusCode
    case aggregationTemporality
    case severityNumber
}

/// One field of one message, as the codec's inner loops need it.
struct JSONField {
    /// First, so that the name is found one byte into the field. What comes before the value: `"name":` and an opening bracket or quote where there is one. The rest is zero.
    var prefix = SIMD32<UInt8>()
    /// Bytes of `prefix` in use; zero in the entries of numbers that the message does not have.
    var prefixLength = 0
    /// Length of the name inside the quotes; negative where `prefixLength` is zero.
    var nameLength = -1
    var kind = JSONFieldKind.string
    var wireType = WireType.lengthDelimited
    /// `kind.isQuoted`.
    var isQuoted = true
    var enumeration = JSONEnumeration.none
    var isRepeated = false
    /// Written even when zero or empty: members of a oneof and `optional` fields.
    var hasPresence = false
    /// Member of the message's oneof.
    var isInOneof = false
    /// The type of a message field.
    var message = OTLPMessage.anyValue

    var isKnown: Bool { prefixLength > 0 }
    var isRepeatedNumber: Bool { isRepeated && wireType != .lengthDelimited }
    /// The name, without quotes. Valid as long as the field, which is not moved.
    static func name(of field: UnsafePointer<JSONField>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: UnsafeRawPointer(field) + 1, count: max(0, field.pointee.nameLength))
    }
}

extension JSONField {
    /// Whether `text` is the field's name; `count` must be `nameLength`.
    @inline(__always)
    static func isName(of field: UnsafePointer<JSONField>, _ text: UnsafePointer<UInt8>, _ count: Int) -> Bool {
        memcmp(UnsafeRawPointer(field) + 1, text, count) == 0
    }
}

/// One message type: its fields by number.
struct JSONMessageSchema {
    /// Entry 0 and the entries of numbers that the message lacks are unknown fields.
    var fields: UnsafePointer<JSONField>
    /// Bit n is set when field n is repeated.
    var repeatedFields: UInt32 = 0
    /// Bit n is set when field n is a member of the oneof. No message has more than one oneof that is not `optional`.
    var oneofFields: UInt32 = 0
    /// Bit n is set when field n is a repeated number, which may be packed.
    var repeatedNumbers: UInt32 = 0

    /// The highest field number of any message.
    static let highestNumber = 16

    @inline(__always)
    func field(_ number: UInt64) -> UnsafePointer<JSONField> {
        fields + (number <= UInt64(Self.highestNumber) ? Int(number) : 0)
    }
}

/// The tables of all messages, built once and never freed.
struct JSONSchema: @unchecked Sendable {
    // Sendable: written in `init` only.
    static let shared = JSONSchema()

    private let messages: UnsafePointer<JSONMessageSchema>

    @inline(__always)
    subscript(_ message: OTLPMessage) -> UnsafePointer<JSONMessageSchema> {
        messages + Int(message.rawValue)
    }

    private init() {
        let stride = JSONMessageSchema.highestNumber + 1
        let all = OTLPMessage.allCases
        let fields = UnsafeMutablePointer<JSONField>.allocate(capacity: stride * all.count)
        fields.initialize(repeating: JSONField(), count: stride * all.count)
        let messages = UnsafeMutablePointer<JSONMessageSchema>.allocate(capacity: all.count)
        for message in all {
            let table = fields + stride * Int(message.rawValue)
            var schema = JSONMessageSchema(fields: UnsafePointer(table))
            for description in message.fieldDescriptions {
                let field = description.makeField()
                table[description.number] = field
                let bit: UInt32 = 1 << UInt32(description.number)
                if field.isRepeated { schema.repeatedFields |= bit }
                if field.isInOneof { schema.oneofFields |= bit }
                if field.isRepeatedNumber { schema.repeatedNumbers |= bit }
            }
            (messages + Int(message.rawValue)).initialize(to: schema)
        }
        self.messages = UnsafePointer(messages)
    }
}

/// One row of the tables in `OTLPMessage.fieldDescriptions`.
struct JSONFieldDescription {
    enum Multiplicity {
        case single
        case optional
        case oneof
        case repeated
    }

    let number: Int
    let name: StaticString
    let kind: JSONFieldKind
    let multiplicity: Multiplicity
    let message: OTLPMessage?
    let enumeration: JSONEnumeration

    static func field(
        _ number: Int, _ name: StaticString, _ kind: JSONFieldKind, _ multiplicity: Multiplicity = .single
    ) -> Self {
        Self(
            number: number, name: name, kind: kind, multiplicity: multiplicity, message: nil, enumeration: .none)
    }

    static func message(
        _ number: Int, _ name: StaticString, _ message: OTLPMessage, _ multiplicity: Multiplicity = .single
    ) -> Self {
        Self(
            number: number, name: name, kind: .message, multiplicity: multiplicity, message: message,
            enumeration: .none)
    }

    static func enumeration(_ number: Int, _ name: StaticString, _ enumeration: JSONEnumeration) -> Self {
        Self(
            number: number, name: name, kind: .enumeration, multiplicity: .single, message: nil,
            enumeration: enumeration)
    }

    func makeField() -> JSONField {
        var field = JSONField()
        field.kind = kind
        field.wireType = kind.wireType
        field.isQuoted = kind.isQuoted
        field.enumeration = enumeration
        field.isRepeated = multiplicity == .repeated
        field.isInOneof = multiplicity == .oneof
        field.hasPresence = multiplicity != .single
        field.message = message ?? .anyValue
        var text: [UInt8] = [UInt8(ascii: "\"")]
        text += UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
        text += [UInt8(ascii: "\""), UInt8(ascii: ":")]
        if field.isRepeated {
            text.append(UInt8(ascii: "["))
        } else if kind.isQuoted {
            text.append(UInt8(ascii: "\""))
        }
        for (index, byte) in text.prefix(32).enumerated() { field.prefix[index] = byte }
        field.prefixLength = min(text.count, 32)
        field.nameLength = name.utf8CodeUnitCount
        return field
    }
}
