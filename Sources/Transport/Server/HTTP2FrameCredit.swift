internal import NIOCore

/// What a client may still ask for without giving work: frames that carry nothing (PING, SETTINGS, WINDOW_UPDATE,
/// RST_STREAM, empty or tiny DATA …) must be paid for. Requests, body bytes and time give credit, each such frame takes
/// one. Who has none left is ended.
struct HTTP2FrameCredit {
    /// Most credit of a connection, and what it begins with: frames.
    static let most = 1000
    /// Credit for each second.
    static let perSecond = 50
    /// Credit for a request: its head, and what belongs to one, such as an acknowledgement, a window update and a ping.
    static let perRequest = 9
    /// Bytes of bodies, in or out, for which there is one more frame of credit.
    static let bytesPerFrame = 1 << 10
    /// DATA frames with fewer bytes than this cost credit, unless they end a body.
    static let tinyData = 128
    /// What it costs to take back a request that is not answered: all that it gave, and some more.
    static let reset = perRequest + 5
    /// What a stream costs that has to be ended for an error.
    static let streamError = 10

    private var credit = HTTP2FrameCredit.most
    private var creditedAt: NIODeadline

    init(now: NIODeadline) { creditedAt = now }

    mutating func earn(bytes: Int) { earn(bytes / Self.bytesPerFrame) }

    mutating func earnRequest() { earn(Self.perRequest) }

    private mutating func earn(_ frames: Int) { credit = min(Self.most, credit &+ frames) }

    /// - Returns: false when there is not that much left: the connection is to end.
    mutating func pay(_ frames: Int, _ now: NIODeadline) -> Bool {
        if credit < frames {
            let seconds = (now - creditedAt).nanoseconds / 1_000_000_000
            if seconds > 0 {
                creditedAt = now
                earn(Int(clamping: seconds.multipliedReportingOverflow(by: Int64(Self.perSecond)).partialValue))
            }
        }
        guard credit >= frames else { return false }
        credit -= frames
        return true
    }
}
