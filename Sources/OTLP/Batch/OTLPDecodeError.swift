/// Why the bytes of an OTLP request were refused as a whole. The answer is 400 or INVALID_ARGUMENT; a retry of the
/// same bytes cannot succeed.
package struct OTLPDecodeError: Error, Equatable, CustomStringConvertible {
    package enum Reason: Equatable, Sendable {
        /// A length or a value runs past the end of its message.
        case truncated
        /// A varint of more than ten bytes, or of more than 64 bits.
        case overlongVarint
        /// A field of the schema has another wire type.
        case wrongWireType(field: UInt32)
        /// Field number 0, wire types 6 and 7, or a group.
        case invalidTag
        case invalidUTF8(field: UInt32)
        /// Two values for a oneof.
        case duplicateOneof(field: UInt32)
        /// Nesting beyond `DecodeLimits.maximumDepth`.
        case tooDeep(limit: Int)
        /// More items than `DecodeLimits.maximumItems`.
        case tooManyItems(limit: Int)
        /// More bytes than the records can address.
        case tooLarge(limit: Int)
    }

    package var reason: Reason
    /// Position in the (inflated) body, in bytes, at or after which the fault lies.
    package var offset: Int

    package var description: String {
        let what =
            switch reason {
            case .truncated: "truncated message"
            case .overlongVarint: "overlong varint"
            case .wrongWireType(let field): "field \(field) has the wrong wire type"
            case .invalidTag: "invalid tag"
            case .invalidUTF8(let field): "field \(field) is not valid UTF-8"
            case .duplicateOneof(let field): "field \(field) repeats a oneof that is already set"
            case .tooDeep(let limit): "nested deeper than \(limit) levels"
            case .tooManyItems(let limit): "more than \(limit) items in one request"
            case .tooLarge(let limit): "larger than \(limit) bytes"
            }
        return "invalid OTLP protobuf near byte \(offset): \(what)"
    }
}

/// Bounds on what one request may make the decoder do.
package struct DecodeLimits: Sendable, Equatable {
    /// Deepest nesting of messages that is followed, counted from the request. A plain attribute lies at depth 6.
    package var maximumDepth: Int
    /// Most items (spans, metrics, log records) in one request.
    package var maximumItems: Int

    /// Depth 64; 262,144 items, that is one for every 256 bytes of the default body limit.
    package static let `default` = DecodeLimits(maximumDepth: 64, maximumItems: 262_144)

    package init(maximumDepth: Int, maximumItems: Int) {
        self.maximumDepth = maximumDepth
        self.maximumItems = maximumItems
    }
}
