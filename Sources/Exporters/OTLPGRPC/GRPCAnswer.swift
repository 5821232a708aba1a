internal import Glibc
internal import OTLP
internal import Pipeline
internal import Transport

/// What an answer to a unary call says, as in gRPC's `PROTOCOL-HTTP2.md`.
struct GRPCAnswer {
    /// The headers or trailers that say it.
    static let wantedHeaders = ["grpc-status", "grpc-message", "grpc-status-details-bin"]
    /// Bytes before a message: a flag and the length.
    private static let prefixBytes = 5

    private static let resourceExhausted = 8
    /// By code, as the gRPC documentation spells them.
    private static let names = [
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
        "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
        "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
    ]

    private let response: HTTPClientResponse

    init(_ response: HTTPClientResponse) { self.response = response }

    /// What becomes of the data (OTLP specification, "Failures" of OTLP/gRPC).
    func outcome(_ signal: Signal) -> ExportOutcome {
        guard let text = header("grpc-status") else { return withoutStatus }
        let code = Int(text) ?? -1
        if code == 0 { return delivered(signal) }
        let details = details
        let said = details?.message.isEmpty == false ? details?.message : nil
        let message = said ?? header("grpc-message").map(Self.percentDecoded) ?? ""
        let reason = "the destination answered \(Self.name(code))\(message.isEmpty ? "" : ": \(message)")"
        switch code {
        // CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS
        case 1, 4, 10, 11, 14, 15:
            return .retryable(reason, after: details?.retryDelay)
        case Self.resourceExhausted:
            // With a delay it is throttling, without one the message is too large for the server.
            if let delay = details?.retryDelay { return .retryable(reason, after: delay) }
            return .tooLarge(reason)
        default: return .permanent(reason)
        }
    }

    /// A proxy's answer, or that of a server which is not for gRPC, or a connection that broke before the trailers.
    private var withoutStatus: ExportOutcome {
        if response.status == 200, response.contentType?.lowercased().hasPrefix("application/grpc") == true {
            return .retryable("the destination's answer ended without a status", after: nil)
        }
        let reason = "the destination answered HTTP \(response.status), and no gRPC status"
        switch response.status {
        case 429, 502, 503, 504:
            let now = Int64(time(nil))
            return .retryable(reason, after: response.retryAfter.flatMap { RetryAfter.delay($0, now: now) })
        default: return .permanent(reason)
        }
    }

    /// What the message says about the items. A message that cannot be read says nothing: the status has said enough.
    private func delivered(_ signal: Signal) -> ExportOutcome {
        let bytes = response.body
        guard bytes.count >= Self.prefixBytes, bytes[0] == 0 else { return .delivered }
        let answer = try? bytes.withUnsafeBytes {
            try ExportResponse(
                decoding: UnsafeRawBufferPointer(rebasing: $0[Self.prefixBytes...]), signal, as: .protobuf)
        }
        guard let answer else { return .delivered }
        return .delivered(rejected: Int(clamping: answer.rejectedItems), message: answer.errorMessage)
    }

    private var details: RPCStatus? {
        guard let text = header("grpc-status-details-bin"), let bytes = Self.base64Decoded(text) else { return nil }
        return try? bytes.withUnsafeBytes { try RPCStatus(decoding: $0, as: .protobuf) }
    }

    private static func name(_ code: Int) -> String {
        names.indices.contains(code) ? names[code] : "a gRPC status that does not exist"
    }

    private func header(_ name: String) -> String? { response.headers.first { $0.name == name }?.value }

    /// `grpc-timeout`'s form of a duration, at most eight digits and a unit.
    static func timeoutText(_ timeout: Duration) -> String {
        let (seconds, attoseconds) = timeout.components
        let milliseconds = seconds.multipliedReportingOverflow(by: 1000)
        if !milliseconds.overflow, milliseconds.partialValue < 99_999_000 {
            return "\(max(0, milliseconds.partialValue + attoseconds / 1_000_000_000_000_000))m"
        }
        return seconds < 100_000_000 ? "\(seconds)S" : "99999999H"
    }

    /// `%XX` becomes its byte; what is no such thing stays.
    static func percentDecoded(_ text: String) -> String {
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count,
                let byte = UInt8(String(decoding: bytes[index + 1...index + 2], as: UTF8.self), radix: 16)
            {
                result.append(byte)
                index += 3
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// Base64 with or without padding; nil when it is neither.
    static func base64Decoded(_ text: String) -> [UInt8]? {
        var result: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for byte in text.utf8 {
            let value: UInt8
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = byte - 65
            case UInt8(ascii: "a")...UInt8(ascii: "z"): value = byte - 71
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = byte + 4
            case UInt8(ascii: "+"): value = 62
            case UInt8(ascii: "/"): value = 63
            case UInt8(ascii: "="): continue
            default: return nil
            }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                result.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return result
    }
}
