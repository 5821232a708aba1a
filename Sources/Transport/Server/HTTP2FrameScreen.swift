internal import NIOCore

/// Walks the frames of one HTTP/2 connection (RFC 9113, section 4.1) before they are taken apart: joins small DATA
/// frames, and finds clients that send frames without work in them.
///
/// Every frame costs some microseconds, however little is in it. Clients of gRPC send bodies in frames of 16 KiB; those
/// that come together are joined to one. Frames that carry nothing (PING, SETTINGS, WINDOW_UPDATE, RST_STREAM, empty or
/// tiny DATA …) must be paid for: requests, body bytes and time give credit, each such frame takes one. Who has none
/// left is ended.
struct HTTP2FrameScreen {
    /// What a client may not do. The text goes to the log.
    enum Violation: String, Error {
        case idleFrames = "too many frames without data"
        case largeFrame = "a frame larger than its kind may be"
    }

    /// Most credit of a connection, and what it begins with: frames.
    static let mostCredit = 1000
    /// Credit for each second.
    static let creditPerSecond = 50
    /// Credit for a request: what belongs to one, such as an acknowledgement, a window update and a ping.
    static let creditPerRequest = 8
    /// Bytes of bodies, in or out, for which there is one more frame of credit.
    static let bytesPerCredit = 1 << 10
    /// DATA frames with fewer bytes than this cost credit, unless they end a body.
    static let tinyData = 128
    /// Most bytes of frames that carry neither a body nor a head.
    static let largestControlFrame = 16 << 10
    /// Bytes before a frame's payload.
    static let headBytes = 9
    private static let prefaceBytes = 24
    /// Most bytes of a frame until the client has agreed to more.
    private static let initialFrameSize = 16 << 10

    /// Most bytes of a DATA frame that is made by joining, once the client has agreed to it.
    private let frameSize: Int
    private var joinLimit = HTTP2FrameScreen.initialFrameSize
    private var credit = HTTP2FrameScreen.mostCredit
    private var creditedAt: NIODeadline
    /// Bytes of the preface or of a payload that are still to come.
    private var remaining = HTTP2FrameScreen.prefaceBytes
    /// The bytes of a frame's head that came at the end of a chunk.
    private var partial: [UInt8] = []

    /// - Parameter frameSize: what the server's settings allow for a frame, in bytes.
    init(frameSize: Int, now: NIODeadline) {
        self.frameSize = frameSize
        creditedAt = now
        partial.reserveCapacity(Self.headBytes)
    }

    /// Adds credit for bytes that the client asked for.
    mutating func addCredit(bytes: Int) { addCredit(bytes / Self.bytesPerCredit) }

    private mutating func addCredit(_ frames: Int) { credit = min(Self.mostCredit, credit &+ frames) }

    private mutating func pay(_ now: NIODeadline) throws(Violation) {
        if credit <= 0 {
            let seconds = (now - creditedAt).nanoseconds / 1_000_000_000
            if seconds > 0 {
                creditedAt = now
                addCredit(
                    Int(clamping: seconds.multipliedReportingOverflow(by: Int64(Self.creditPerSecond)).partialValue))
            }
        }
        guard credit > 0 else { throw .idleFrames }
        credit -= 1
    }

    private struct Head {
        let length: Int
        let type: UInt8
        let flags: UInt8
        let stream: UInt32

        init(_ bytes: UnsafeRawBufferPointer.SubSequence) {
            let start = bytes.startIndex
            length = Int(bytes[start]) << 16 | Int(bytes[start + 1]) << 8 | Int(bytes[start + 2])
            type = bytes[start + 3]
            flags = bytes[start + 4]
            var stream: UInt32 = 0
            for byte in bytes[(start + 5)..<(start + HTTP2FrameScreen.headBytes)] {
                stream = stream << 8 | UInt32(byte)
            }
            self.stream = stream & 0x7FFF_FFFF
        }

        static let data: UInt8 = 0
        static let headers: UInt8 = 1
        static let settings: UInt8 = 4
        static let continuation: UInt8 = 9

        /// END_STREAM of DATA and HEADERS, ACK of SETTINGS.
        var isLast: Bool { flags & 0x1 != 0 }
        var isPadded: Bool { flags & 0x8 != 0 }
        /// A DATA frame that may be a part of a larger one.
        var isPlainData: Bool { type == Self.data && !isPadded }
    }

    /// Looks at the next bytes of the connection.
    ///
    /// - Returns: the bytes to go on with: the same ones, or with DATA frames joined.
    mutating func take(_ chunk: ByteBuffer, now: NIODeadline, allocator: ByteBufferAllocator) throws(Violation)
        -> ByteBuffer
    {
        // Heads that are dropped because their frames continue the one before, and by how much that one grows.
        var joins: [Join] = []
        let problem: Violation? = chunk.withUnsafeReadableBytes { bytes in
            do throws(Violation) {
                try walk(bytes, now, &joins)
                return nil
            } catch {
                return error
            }
        }
        if let problem { throw problem }
        guard !joins.isEmpty else { return chunk }
        return Self.joined(chunk, joins, allocator)
    }

    /// Frames that become one.
    private struct Join {
        /// Offset of the head that stays.
        let start: Int
        /// Offsets of the heads that go.
        var dropped: [Int] = []
        var length: Int
        var flags: UInt8
    }

    private mutating func walk(
        _ bytes: UnsafeRawBufferPointer, _ now: NIODeadline, _ joins: inout [Join]
    ) throws(Violation) {
        var offset = 0
        // The plain DATA frame just before, when it can grow.
        var open: (join: Join, stream: UInt32)?
        func close(_ joins: inout [Join]) {
            if let join = open?.join, !join.dropped.isEmpty { joins.append(join) }
            open = nil
        }
        while offset < bytes.count {
            if remaining > 0 {
                let step = min(remaining, bytes.count - offset)
                remaining -= step
                offset += step
                continue
            }
            let missing = Self.headBytes - partial.count
            guard bytes.count - offset >= missing else {
                partial.append(contentsOf: bytes[offset...])
                break
            }
            let isWhole = partial.isEmpty
            let head: Head
            if isWhole {
                head = Head(bytes[offset..<(offset + Self.headBytes)])
            } else {
                partial.append(contentsOf: bytes[offset..<(offset + missing)])
                head = partial.withUnsafeBytes { Head($0[...]) }
                partial.removeAll(keepingCapacity: true)
            }
            let start = offset
            offset += missing
            remaining = head.length
            try account(head, now)
            guard head.isPlainData, isWhole else {
                close(&joins)
                continue
            }
            if var known = open, known.stream == head.stream, known.join.length + head.length <= joinLimit {
                known.join.dropped.append(start)
                known.join.length += head.length
                known.join.flags = head.flags
                open = known
            } else {
                close(&joins)
                open = (Join(start: start, length: head.length, flags: head.flags), head.stream)
            }
            if head.isLast { close(&joins) }
        }
        close(&joins)
    }

    private mutating func account(_ head: Head, _ now: NIODeadline) throws(Violation) {
        switch head.type {
        case Head.data:
            addCredit(bytes: head.length)
            if head.length < Self.tinyData, !head.isLast { try pay(now) }
        case Head.headers: addCredit(Self.creditPerRequest)
        default:
            // NIOHTTP2 bounds a head with its continuations.
            if head.type != Head.continuation, head.length > Self.largestControlFrame { throw .largeFrame }
            // The client has read our settings.
            if head.type == Head.settings, head.isLast { joinLimit = frameSize }
            try pay(now)
        }
    }

    private static func joined(_ chunk: ByteBuffer, _ joins: [Join], _ allocator: ByteBufferAllocator) -> ByteBuffer {
        var result = allocator.buffer(capacity: chunk.readableBytes)
        chunk.withUnsafeReadableBytes { bytes in
            var copied = 0
            for join in joins {
                result.writeBytes(bytes[copied..<join.start])
                result.writeInteger(UInt8(truncatingIfNeeded: join.length >> 16))
                result.writeInteger(UInt16(truncatingIfNeeded: join.length))
                result.writeInteger(Head.data)
                result.writeInteger(join.flags)
                result.writeBytes(bytes[(join.start + 5)..<(join.start + headBytes)])
                copied = join.start + headBytes
                for dropped in join.dropped {
                    result.writeBytes(bytes[copied..<dropped])
                    copied = dropped + headBytes
                }
            }
            result.writeBytes(bytes[copied...])
        }
        return result
    }
}

/// Has every byte of a connection looked at before NIOHTTP2 gets it.
final class HTTP2FrameGuard: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private var screen: HTTP2FrameScreen
    private let violation: (HTTP2FrameScreen.Violation) -> Void
    private var isEnded = false

    /// - Parameter violation: called at most once; nothing is passed on after it.
    init(frameSize: Int, violation: @escaping (HTTP2FrameScreen.Violation) -> Void) {
        screen = HTTP2FrameScreen(frameSize: frameSize, now: .now())
        self.violation = violation
    }

    func addCredit(bytes: Int) { screen.addCredit(bytes: bytes) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isEnded else { return }
        do throws(HTTP2FrameScreen.Violation) {
            let chunk = try screen.take(
                unwrapInboundIn(data), now: .now(), allocator: context.channel.allocator)
            context.fireChannelRead(wrapInboundOut(chunk))
        } catch {
            isEnded = true
            violation(error)
        }
    }
}
