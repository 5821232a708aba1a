/// Codes that say why a stream or a connection ends (RFC 9113, section 7).
enum HTTP2ErrorCode: UInt32 {
    case noError = 0
    case protocolError = 1
    case internalError = 2
    case flowControlError = 3
    case streamClosed = 5
    case frameSizeError = 6
    case refusedStream = 7
    case cancel = 8
    case compressionError = 9
    case enhanceYourCalm = 11
}

/// What a peer did that ends its connection. The text goes to the log and holds nothing of the peer's.
struct HTTP2ConnectionError: Error {
    let code: HTTP2ErrorCode
    let reason: String

    /// A frame that RFC 9113 does not allow.
    static func protocolError(_ reason: String) -> Self { .init(code: .protocolError, reason: reason) }

    /// What is allowed, but too much of it.
    static func excess(_ reason: String) -> Self { .init(code: .enhanceYourCalm, reason: reason) }
}

/// Kinds of frames (RFC 9113, section 6).
enum HTTP2FrameType {
    static let data: UInt8 = 0
    static let headers: UInt8 = 1
    static let priority: UInt8 = 2
    static let reset: UInt8 = 3
    static let settings: UInt8 = 4
    static let pushPromise: UInt8 = 5
    static let ping: UInt8 = 6
    static let goAway: UInt8 = 7
    static let windowUpdate: UInt8 = 8
    static let continuation: UInt8 = 9
}

/// Flags of frames; which ones there are depends on the kind.
enum HTTP2FrameFlags {
    static let ack: UInt8 = 0x1
    static let endStream: UInt8 = 0x1
    static let endHeaders: UInt8 = 0x4
    static let padded: UInt8 = 0x8
    static let priority: UInt8 = 0x20
}

/// Names of settings (RFC 9113, section 6.5.2).
enum HTTP2SettingName {
    static let headerTableSize: UInt16 = 1
    static let enablePush: UInt16 = 2
    static let maxConcurrentStreams: UInt16 = 3
    static let initialWindowSize: UInt16 = 4
    static let maxFrameSize: UInt16 = 5
    static let maxHeaderListSize: UInt16 = 6
}

/// The nine bytes before each frame's payload (RFC 9113, section 4.1).
struct HTTP2FrameHead {
    static let byteCount = 9

    /// Bytes of the payload.
    let length: Int
    let type: UInt8
    let flags: UInt8
    let stream: UInt32

    /// - Parameter bytes: at least `byteCount`.
    init(_ bytes: UnsafeRawBufferPointer) {
        length = Int(bytes[0]) << 16 | Int(bytes[1]) << 8 | Int(bytes[2])
        type = bytes[3]
        flags = bytes[4]
        stream = HTTP2Wire.uint32(bytes, at: 5) & 0x7FFF_FFFF
    }

    func has(_ flag: UInt8) -> Bool { flags & flag != 0 }
}

/// Numbers in frames: most significant byte first.
enum HTTP2Wire {
    /// Largest window and stream id.
    static let mostWindow = 0x7FFF_FFFF

    static func uint16(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> UInt16 {
        UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
    }

    static func uint32(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> UInt32 {
        UInt32(bytes[offset]) << 24 | UInt32(bytes[offset + 1]) << 16 | UInt32(bytes[offset + 2]) << 8
            | UInt32(bytes[offset + 3])
    }
}
