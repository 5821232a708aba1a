internal import COTLP

/// The two encodings of OTLP bodies.
package enum OTLPEncoding: Sendable, CaseIterable {
    case protobuf
    case json
}

/// Why a peer's answer could not be read.
package enum OTLPAnswerError: Error, Equatable, CustomStringConvertible {
    /// The answer has `bytes`, more than `OTLPAnswerLimits.bytes`.
    case tooLarge(bytes: Int)
    /// Not the message it should be, or one that needs too much memory.
    case malformed

    package var description: String {
        switch self {
        case .tooLarge(let bytes): "the answer has \(bytes) bytes, more than \(OTLPAnswerLimits.bytes)"
        case .malformed: "the answer is not a valid OTLP message"
        }
    }
}

/// Bounds of answers, in both directions.
package enum OTLPAnswerLimits {
    /// Most bytes of an answer that is read: 4 MiB, as the OTLP specification recommends.
    package static let bytes = 4 << 20
    /// Most bytes of UTF-8 of a message that is sent or kept; the rest is cut off.
    package static let messageBytes = 4 << 10
    /// Memory for unpacking one answer, in bytes.
    static let arenaBytes = 16 << 20
}

/// An `Export…ServiceResponse`: what a server accepted. The three signals differ in one JSON name only.
package struct ExportResponse: Equatable, Sendable {
    /// Spans, data points or log records that were refused and must not be sent again.
    package var rejectedItems: Int64
    /// Why, or a warning when nothing was refused. English; may come from a peer.
    package var errorMessage: String

    /// Everything was accepted, without a warning.
    package static let accepted = ExportResponse()

    /// - Parameter errorMessage: the first `OTLPAnswerLimits.messageBytes` bytes are kept.
    package init(rejectedItems: Int64 = 0, errorMessage: String = "") {
        self.rejectedItems = rejectedItems
        self.errorMessage = errorMessage.cut(toUTF8: OTLPAnswerLimits.messageBytes)
    }

    /// The body: empty or `{}` when all was accepted without a warning.
    package func encoded(_ signal: Signal, as encoding: OTLPEncoding) -> [UInt8] {
        var writer = WireWriter()
        if self != .accepted {
            let start = writer.count
            if rejectedItems != 0 {
                writer.append(tag: 1, .varint)
                writer.append(varint: UInt64(bitPattern: rejectedItems))
            }
            writer.append(field: 2, text: errorMessage)
            writer.wrap(since: start, field: 1)
        }
        return encoding == .protobuf ? Array(writer.bytes) : jsonText(of: writer, as: .responseOf(signal))
    }

    /// Reads a server's body.
    package init(
        decoding body: UnsafeRawBufferPointer, _ signal: Signal, as encoding: OTLPEncoding
    ) throws(OTLPAnswerError) {
        let answer = try AnswerBytes(body, as: encoding, .responseOf(signal))
        // The trace message stands for all three: same numbers, same types.
        guard
            let message = answer.arena.unpack(
                answer.wire.bytes,
                opentelemetry__proto__collector__trace__v1__export_trace_service_response__unpack)
        else { throw .malformed }
        guard let partial = message.pointee.partial_success else {
            self = .accepted
            return
        }
        self.init(
            rejectedItems: partial.pointee.rejected_spans,
            errorMessage: String(decoding: partial.pointee.error_message.slice, as: UTF8.self))
    }
}

extension OTLPMessage {
    fileprivate static func responseOf(_ signal: Signal) -> OTLPMessage {
        switch signal {
        case .traces: .traceResponse
        case .metrics: .metricsResponse
        case .logs: .logsResponse
        }
    }
}

/// A peer's answer in wire form, with memory to unpack it into.
struct AnswerBytes: ~Copyable {
    let wire: WireWriter
    let arena = WireArena(limit: OTLPAnswerLimits.arenaBytes)

    init(
        _ body: UnsafeRawBufferPointer, as encoding: OTLPEncoding, _ message: OTLPMessage
    ) throws(OTLPAnswerError) {
        guard body.count <= OTLPAnswerLimits.bytes else { throw .tooLarge(bytes: body.count) }
        var wire = WireWriter(limit: 2 * OTLPAnswerLimits.bytes)
        switch encoding {
        case .protobuf: wire.append(body)
        case .json:
            do throws(OTLPJSONError) {
                try OTLPJSONDecoder.decode(body, as: message, into: &wire)
            } catch {
                throw .malformed
            }
        }
        self.wire = wire
    }
}

/// The JSON text of a message that was encoded here.
func jsonText(of wire: borrowing WireWriter, as message: OTLPMessage) -> [UInt8] {
    var text = WireWriter()
    do throws(OTLPJSONEncodingError) {
        try OTLPJSONEncoder.encode(wire.bytes, as: message, into: &text)
    } catch {
        // Only memory can be short. The empty object is a valid answer of every kind.
        return Array("{}".utf8)
    }
    return Array(text.bytes)
}

extension WireWriter {
    /// A string field, left out when empty.
    mutating func append(field: UInt32, text: String) {
        guard !text.isEmpty else { return }
        var text = text
        text.withUTF8 { append(field: field, bytes: UnsafeRawBufferPointer($0)) }
    }
}

extension String {
    /// The longest beginning that has at most `limit` bytes and no broken character.
    func cut(toUTF8 limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var end = utf8.index(utf8.startIndex, offsetBy: limit)
        while end > startIndex, end.samePosition(in: unicodeScalars) == nil { end = utf8.index(before: end) }
        return String(self[..<end])
    }
}
