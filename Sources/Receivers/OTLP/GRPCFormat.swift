internal import Compression
internal import OTLP
internal import Pipeline
internal import Transport

/// gRPC over HTTP/2: heads, message prefixes and trailers, as in the protocol's `PROTOCOL-HTTP2.md`.
enum GRPCFormat {
    private static let contentType = (name: "content-type", value: "application/grpc")
    /// The encodings of messages that are read.
    private static let acceptedEncodings = "gzip, zstd, identity"

    /// Whether the head is that of a call with protobuf messages.
    static func isCall(_ head: HTTPHead) -> Bool {
        guard let type = head.headers["content-type"] else { return false }
        let end = type.utf8.firstIndex { $0 == UInt8(ascii: ";") } ?? type.endIndex
        return ["application/grpc", "application/grpc+proto"].contains(type[..<end].lowercased())
    }

    /// How the messages of a call are compressed when they say so.
    ///
    /// - Returns: nil for an encoding that is not read.
    static func encoding(_ head: HTTPHead) -> ContentEncoding? {
        switch head.headers["grpc-encoding"] ?? "identity" {
        case "identity": .identity
        case "gzip": .gzip
        case "zstd": .zstd
        default: nil
        }
    }

    /// The time a caller gives the call, from `grpc-timeout`; nil without one, or when it is not valid.
    static func timeout(_ head: HTTPHead) -> Duration? {
        guard let text = head.headers["grpc-timeout"], (2...9).contains(text.utf8.count), let unit = text.utf8.last,
            let count = Int64(text.dropLast()), count >= 0
        else { return nil }
        switch unit {
        case UInt8(ascii: "H"): return .seconds(count * 3600)
        case UInt8(ascii: "M"): return .seconds(count * 60)
        case UInt8(ascii: "S"): return .seconds(count)
        case UInt8(ascii: "m"): return .milliseconds(count)
        case UInt8(ascii: "u"): return .microseconds(count)
        case UInt8(ascii: "n"): return .nanoseconds(count)
        default: return nil
        }
    }

    /// The one message of a unary call's body.
    ///
    /// - Returns: the message without its prefix, sharing the body's bytes, and whether it is compressed.
    /// - Throws: when there is not exactly one.
    static func message(in body: WireBytes) throws(OTLPRequestError) -> (message: WireBytes, isCompressed: Bool) {
        let bytes = body.buffer
        guard bytes.count >= HTTPBodyFraming.prefixBytes else {
            throw OTLPRequestError(status: 200, code: .internalError, message: "the call has no message")
        }
        let flag = bytes[0]
        var length = 0
        for byte in bytes[1..<HTTPBodyFraming.prefixBytes] { length = length << 8 | Int(byte) }
        guard flag <= 1, length == bytes.count - HTTPBodyFraming.prefixBytes else {
            throw OTLPRequestError(
                status: 200, code: .internalError,
                message: "a call must have one message, of the length that its prefix says")
        }
        return (WireBytes(body, dropping: HTTPBodyFraming.prefixBytes), flag == 1)
    }

    /// A message with its prefix, not compressed.
    static func framed(_ message: [UInt8]) -> [UInt8] {
        var body: [UInt8] = [0]
        let length = UInt32(truncatingIfNeeded: message.count)
        for shift in [24, 16, 8, 0] as [UInt32] { body.append(UInt8(truncatingIfNeeded: length >> shift)) }
        return body + message
    }

    /// What ends an answer of messages.
    static func trailers(_ code: StatusCode, _ message: String) -> [(name: String, value: String)] {
        let status = [(name: "grpc-status", value: String(code.rawValue))]
        return message.isEmpty ? status : status + [(name: "grpc-message", value: percentEncoded(message))]
    }

    /// OK, with one message.
    static func success(_ message: [UInt8]) -> HTTPAnswer {
        let body = framed(message)
        var answer = HTTPAnswer(
            status: 200, headers: [contentType, ("grpc-accept-encoding", acceptedEncodings)], body: body)
        answer.trailers = [("grpc-status", "0")]
        return answer
    }

    /// An error. The head says it, since there is no message ("trailers only").
    ///
    /// - Parameter retryAfter: when the same call may be tried again, as RetryInfo.
    static func failure(_ code: StatusCode, _ message: String, retryAfter: Duration? = nil) -> HTTPAnswer {
        let status = RPCStatus(code: code.rawValue, message: message, retryDelay: retryAfter)
        var answer = HTTPAnswer(
            status: 200, headers: [contentType, ("grpc-accept-encoding", acceptedEncodings)])
        answer.trailers = [
            ("grpc-status", String(code.rawValue)), ("grpc-message", percentEncoded(message)),
            ("grpc-status-details-bin", base64(status.encoded(as: .protobuf))),
        ]
        return answer
    }

    /// Printable ASCII but `%` stays, all else becomes `%XX`.
    static func percentEncoded(_ text: String) -> String {
        var result: [UInt8] = []
        for byte in text.utf8 {
            if (0x20...0x7E).contains(byte), byte != UInt8(ascii: "%") {
                result.append(byte)
            } else {
                result += [UInt8(ascii: "%"), hexDigits[Int(byte >> 4)], hexDigits[Int(byte & 15)]]
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static let hexDigits = Array("0123456789ABCDEF".utf8)

    /// Base64 without padding, as gRPC wants binary fields.
    static func base64(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var result: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits = 0
            for index in 0..<3 { bits = bits << 8 | (index < group.count ? Int(bytes[start + index]) : 0) }
            for index in 0...group.count { result.append(alphabet[bits >> (18 - 6 * index) & 63]) }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
