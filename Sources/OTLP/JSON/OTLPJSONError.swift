/// Why a text is not an OTLP JSON message. Never holds content of the text, only where it went wrong.
package struct OTLPJSONError: Error, Equatable, CustomStringConvertible {
    /// What was wrong.
    package enum Reason: Equatable, Sendable {
        case unexpectedEnd
        case unexpectedCharacter
        case trailingText
        /// A value of another JSON type than the field takes.
        case wrongType
        case invalidString
        case invalidUTF8
        case loneSurrogate
        case invalidNumber
        case numberOutOfRange
        case invalidHex
        case invalidBase64
        case unknownEnumName
        case duplicateField
        /// Two members of a oneof.
        case severalMembers
        case nullElement
        case tooDeep
        /// The message is larger than the writer's limit, or memory was refused.
        case outputLimit
    }

    /// What was wrong.
    package let reason: Reason
    /// Byte of the text at which it was noticed, from 0.
    package let offset: Int
    /// The field, such as `resourceSpans[0].scopeSpans[0].spans[3].traceId`; empty at the root.
    package let path: String

    /// One sentence for the sender: what, where, and for the frequent mistakes what to send instead.
    package var description: String {
        let place = path.isEmpty ? "" : " in \(path)"
        return "\(reason.sentence) at byte \(offset)\(place)"
    }
}

extension OTLPJSONError.Reason {
    fileprivate var sentence: String {
        switch self {
        case .unexpectedEnd: "the JSON text ends too early"
        case .unexpectedCharacter: "unexpected character"
        case .trailingText: "text after the end of the JSON object"
        case .wrongType: "value of the wrong JSON type"
        case .invalidString: "invalid escape or control character in a string"
        case .invalidUTF8: "string that is not UTF-8"
        case .loneSurrogate: "surrogate escape without its other half"
        case .invalidNumber: "invalid number"
        case .numberOutOfRange: "number out of the field's range"
        case .invalidHex: "id that is not an even number of hex digits (OTLP JSON writes ids in hex, not base64)"
        case .invalidBase64: "invalid base64"
        case .unknownEnumName: "unknown enum name (send the number)"
        case .duplicateField: "field given twice"
        case .severalMembers: "more than one kind of value given"
        case .nullElement: "null as an element of an array"
        case .tooDeep: "too many nested values"
        case .outputLimit: "message larger than the limit"
        }
    }
}
