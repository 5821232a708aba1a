import NIOCore
import TestSupport
import Testing

@testable import Transport

@Suite struct HTTP2FrameScreenTests {
    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    private let allocator = ByteBufferAllocator()

    private func frame(_ type: UInt8, _ flags: UInt8, _ stream: UInt8, _ payload: [UInt8]) -> [UInt8] {
        let count = payload.count
        return [UInt8(count >> 16), UInt8(count >> 8 & 255), UInt8(count & 255), type, flags, 0, 0, 0, stream] + payload
    }

    private func take(_ screen: inout HTTP2FrameScreen, _ bytes: [UInt8], at now: NIODeadline = .uptimeNanoseconds(0))
        throws -> [UInt8]
    {
        let chunk = try screen.take(ByteBuffer(bytes: bytes), now: now, allocator: allocator)
        return Array(chunk.readableBytesView)
    }

    private func screen(acknowledged: Bool = true) throws -> HTTP2FrameScreen {
        var screen = HTTP2FrameScreen(frameSize: 1 << 20, now: .uptimeNanoseconds(0))
        _ = try take(&screen, Self.preface + frame(4, 0, 0, []))
        if acknowledged { _ = try take(&screen, frame(4, 1, 0, [])) }
        return screen
    }

    /// (type, flags, stream, payload) of whole frames.
    private func parse(_ bytes: [UInt8]) -> [[UInt8]] {
        var frames: [[UInt8]] = []
        var rest = bytes[...]
        while rest.count >= 9 {
            let start = rest.startIndex
            let length = Int(rest[start]) << 16 | Int(rest[start + 1]) << 8 | Int(rest[start + 2])
            frames.append(Array(rest.dropFirst(3).prefix(6 + length)))
            rest = rest.dropFirst(9 + length)
        }
        return frames
    }

    @Test func joinsDataOfOneStream() throws {
        var screen = try screen()
        let part = [UInt8](repeating: 7, count: 16 << 10)
        let out = try take(
            &screen,
            frame(1, 4, 1, [1, 2]) + frame(0, 0, 1, part) + frame(0, 0, 1, part) + frame(0, 1, 1, [9])
                + frame(0, 0, 3, part) + frame(0, 0, 5, part) + frame(8, 0, 0, [0, 0, 0, 1]) + frame(0, 0, 5, part))
        let expected = [
            [1, 4, 0, 0, 0, 1, 1, 2], [0, 1, 0, 0, 0, 1] + part + part + [9], [0, 0, 0, 0, 0, 3] + part,
            [0, 0, 0, 0, 0, 5] + part, [8, 0, 0, 0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 5] + part,
        ]
        #expect(parse(out) == expected)
    }

    @Test func neverLargerThanAgreed() throws {
        let part = [UInt8](repeating: 7, count: 16 << 10)
        let two = frame(0, 0, 1, part) + frame(0, 0, 1, part)
        var early = try screen(acknowledged: false)
        let unchanged = try take(&early, two)
        #expect(unchanged == two)
        var small = HTTP2FrameScreen(frameSize: 40_000, now: .uptimeNanoseconds(0))
        _ = try take(&small, Self.preface + frame(4, 1, 0, []))
        let bounded = parse(try take(&small, two + two)).map(\.count)
        #expect(bounded == [6 + 32_768, 6 + 32_768])
        // Padding says where data ends, and END_STREAM ends it.
        var screen = try screen()
        let apart = frame(0, 8, 1, [1, 1, 0]) + frame(0, 8, 1, [1, 1, 0]) + frame(0, 1, 1, [1]) + frame(0, 0, 1, [1])
        let left = try take(&screen, apart)
        #expect(left == apart)
    }

    /// However the bytes are cut, the same data arrives.
    @Test(arguments: 0..<40) func anyCut(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var bytes = Self.preface + frame(4, 1, 0, [])
        var expected: [UInt8: [UInt8]] = [:]
        for _ in 0..<60 {
            let stream = UInt8.random(in: 1...3, using: &random)
            let payload = (0..<Int.random(in: 0...600, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            let isData = Bool.random(using: &random)
            bytes += frame(isData ? 0 : 9, 0, stream, payload)
            if isData { expected[stream, default: []] += payload }
        }
        var screen = HTTP2FrameScreen(frameSize: 1 << 20, now: .uptimeNanoseconds(0))
        var out: [UInt8] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Int.random(in: 1...(seed % 2 == 0 ? 30 : 3000), using: &random)
            out += try take(&screen, Array(rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
        #expect(Array(out.prefix(24)) == Self.preface)
        var found: [UInt8: [UInt8]] = [:]
        for frame in parse(Array(out.dropFirst(24))) where frame[0] == 0 { found[frame[5], default: []] += frame[6...] }
        #expect(found == expected)
    }

    @Test func framesWithoutWorkMustBePaid() throws {
        for junk in [
            frame(6, 0, 0, [UInt8](repeating: 0, count: 8)), frame(0, 0, 1, []), frame(8, 0, 0, [0, 0, 0, 1]),
        ] {
            var screen = try screen()
            var taken = 0
            while taken < 100_000, (try? take(&screen, junk)) != nil { taken += 1 }
            #expect(taken >= HTTP2FrameScreen.mostCredit - 2 && taken <= HTTP2FrameScreen.mostCredit)
            #expect(throws: HTTP2FrameScreen.Violation.idleFrames) {
                var copy = screen
                _ = try take(&copy, junk)
            }
        }
    }

    @Test func workAndTimePay() throws {
        let ping = frame(6, 0, 0, [UInt8](repeating: 0, count: 8))
        var screen = try screen()
        // Requests with what belongs to them, for ever.
        for _ in 0..<20_000 {
            let request =
                frame(1, 4, 1, []) + frame(0, 1, 1, [1]) + ping + frame(8, 0, 0, [0, 0, 0, 1]) + frame(4, 1, 0, [])
            _ = try take(&screen, request)
        }
        // A ping each second, for ever.
        for second in 0..<20_000 { _ = try take(&screen, ping, at: .uptimeNanoseconds(UInt64(second) * 1_000_000_000)) }
        // A body in frames of 16 KiB with a ping for each.
        let data = frame(0, 0, 1, [UInt8](repeating: 0, count: 16 << 10))
        for _ in 0..<5000 { _ = try take(&screen, data + ping) }
    }

    @Test func largeControlFrames() throws {
        #expect(throws: HTTP2FrameScreen.Violation.largeFrame) {
            var screen = try screen()
            _ = try take(&screen, [0, 0x40, 1, 0x77, 0, 0, 0, 0, 0])
        }
    }
}
