internal import COTLP

/// A google.rpc.Status: the body of every failed OTLP answer, and the details of a gRPC failure.
package struct RPCStatus: Equatable, Sendable {
    /// A gRPC status code; 0 when the peer left it out, which OTLP/HTTP allows.
    package var code: Int32
    /// For a developer, in English. May come from a peer.
    package var message: String
    /// How long the sender shall wait before it tries again, from the RetryInfo detail. Never zero or negative.
    package var retryDelay: Duration?

    /// Longest delay that is sent or believed: 24 hours.
    package static let maximumRetryDelay = Duration.seconds(86_400)

    private static let retryInfoType = "type.googleapis.com/google.rpc.RetryInfo"

    /// - Parameters:
    ///   - message: the first `OTLPAnswerLimits.messageBytes` bytes are kept.
    ///   - retryDelay: at most `maximumRetryDelay`; zero or less is none.
    package init(code: Int32, message: String, retryDelay: Duration? = nil) {
        self.code = code
        self.message = message.cut(toUTF8: OTLPAnswerLimits.messageBytes)
        self.retryDelay = retryDelay.flatMap { $0 > .zero ? min($0, Self.maximumRetryDelay) : nil }
    }

    /// The body. Details in JSON are objects with `@type`.
    package func encoded(as encoding: OTLPEncoding) -> [UInt8] {
        var writer = WireWriter()
        if code != 0 {
            writer.append(tag: 1, .varint)
            writer.append(varint: UInt64(bitPattern: Int64(code)))
        }
        writer.append(field: 2, text: message)
        if let retryDelay {
            let detail = writer.count
            writer.append(field: 1, text: Self.retryInfoType)
            switch encoding {
            case .protobuf: writer.append(field: 2, retryInfo: retryDelay)
            case .json: writer.append(field: 2, text: DurationText.text(of: retryDelay))
            }
            writer.wrap(since: detail, field: 3)
        }
        return encoding == .protobuf ? Array(writer.bytes) : jsonText(of: writer, as: .statusText)
    }

    /// Reads a body, or the decoded content of `grpc-status-details-bin`. Details of other types are ignored.
    package init(decoding body: UnsafeRawBufferPointer, as encoding: OTLPEncoding) throws(OTLPAnswerError) {
        let answer = try AnswerBytes(body, as: encoding, .statusText)
        // The JSON form of a detail has the numbers of Any, with the delay's text in place of the packed message.
        guard let status = answer.arena.unpack(answer.wire.bytes, google__rpc__status__unpack) else {
            throw .malformed
        }
        var delay: Duration?
        for index in 0..<status.pointee.n_details {
            guard let detail = status.pointee.details[index]?.pointee,
                detail.type_url.slice.elementsEqual(Self.retryInfoType.utf8)
            else { continue }
            delay =
                encoding == .json
                ? DurationText.duration(of: detail.value.slice)
                : Self.retryDelay(in: detail.value.slice, answer.arena)
        }
        self.init(
            code: status.pointee.code, message: String(decoding: status.pointee.message.slice, as: UTF8.self),
            retryDelay: delay)
    }

    private static func retryDelay(in bytes: UnsafeRawBufferPointer, _ arena: WireArena) -> Duration? {
        guard let info = arena.unpack(bytes, google__rpc__retry_info__unpack),
            let delay = info.pointee.retry_delay?.pointee
        else { return nil }
        return DurationText.duration(seconds: delay.seconds, nanoseconds: Int64(delay.nanos))
    }
}

extension WireWriter {
    /// An encoded RetryInfo as a length-delimited field.
    fileprivate mutating func append(field: UInt32, retryInfo delay: Duration) {
        let start = count
        let (seconds, nanoseconds) = DurationText.parts(of: delay)
        if seconds != 0 {
            append(tag: 1, .varint)
            append(varint: UInt64(bitPattern: seconds))
        }
        if nanoseconds != 0 {
            append(tag: 2, .varint)
            append(varint: UInt64(bitPattern: nanoseconds))
        }
        wrap(since: start, field: 1)
        wrap(since: start, field: field)
    }
}

/// google.protobuf.Duration in JSON: seconds with up to nine decimals and the letter s.
enum DurationText {
    /// Most seconds that the type may hold: about 10,000 years.
    private static let maximumSeconds: UInt64 = 315_576_000_000

    static func parts(of duration: Duration) -> (seconds: Int64, nanoseconds: Int64) {
        (duration.components.seconds, duration.components.attoseconds / 1_000_000_000)
    }

    /// Nil when out of the type's range.
    static func duration(seconds: Int64, nanoseconds: Int64) -> Duration? {
        guard seconds.magnitude <= maximumSeconds, nanoseconds.magnitude < 1_000_000_000 else { return nil }
        return .seconds(seconds) + .nanoseconds(nanoseconds)
    }

    /// `duration` must not be negative.
    static func text(of duration: Duration) -> String {
        let (seconds, nanoseconds) = parts(of: duration)
        if nanoseconds == 0 { return "\(seconds)s" }
        var digits = String(nanoseconds + 1_000_000_000).dropFirst()
        while digits.hasSuffix("000") { digits = digits.dropLast(3) }
        return "\(seconds).\(digits)s"
    }

    /// Nil when it is not such a text, or negative.
    static func duration(of text: UnsafeRawBufferPointer) -> Duration? {
        // Nine decimals, the point, the letter and the digits of the most seconds.
        guard text.count <= 23, text.last == UInt8(ascii: "s") else { return nil }
        let parts = text.dropLast().split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count <= 2, let whole = parts.first.flatMap(number) else { return nil }
        guard parts.count == 2 else { return duration(seconds: whole, nanoseconds: 0) }
        guard var fraction = number(parts[1]), parts[1].count <= 9 else { return nil }
        for _ in parts[1].count..<9 { fraction *= 10 }
        return duration(seconds: whole, nanoseconds: fraction)
    }

    private static func number(_ digits: Slice<UnsafeRawBufferPointer>) -> Int64? {
        guard !digits.isEmpty, digits.count <= 18 else { return nil }
        var value: Int64 = 0
        for digit in digits {
            guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { return nil }
            value = value * 10 + Int64(digit - UInt8(ascii: "0"))
        }
        return value
    }
}
