import NIOCore
import TestSupport
import Testing

@testable import Transport

@Suite struct HTTP2FrameReaderTests {
    /// What a reader saw: other frames as they are, DATA with its content joined.
    private struct Seen: Equatable {
        var frames: [HTTP2TestFrame] = []
        var isOpen = false
    }

    private func read(_ chunks: [[UInt8]]) throws(HTTP2ConnectionError) -> Seen {
        var reader = HTTP2FrameReader(frameSize: 1 << 20, headSize: 32 << 10)
        var seen = Seen()
        for chunk in chunks {
            var problem: HTTP2ConnectionError?
            chunk.withUnsafeBytes { bytes in
                var offset = 0
                do throws(HTTP2ConnectionError) {
                    while let event = try reader.next(bytes, &offset) {
                        switch event {
                        case .data(let head):
                            seen.frames.append(.init(type: 0, flags: head.flags, stream: head.stream))
                            seen.isOpen = true
                        case .content(let content): seen.frames[seen.frames.count - 1].payload += content
                        case .dataEnd: seen.isOpen = false
                        case .frame(let head, let payload):
                            seen.frames.append(
                                .init(type: head.type, flags: head.flags, stream: head.stream, payload: Array(payload)))
                        }
                    }
                } catch {
                    problem = error
                }
                if problem == nil { #expect(offset == bytes.count) }
            }
            if let problem { throw problem }
        }
        return seen
    }

    /// However the bytes are cut, the same frames are seen.
    @Test(arguments: 0..<60) func anyCut(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var bytes = HTTP2Client.preface
        var expected: [HTTP2TestFrame] = []
        for _ in 0..<60 {
            let stream = UInt32.random(in: 0...0x7FFF_FFFF, using: &random)
            let content = (0..<Int.random(in: 0...600, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            var frame = HTTP2TestFrame(
                type: UInt8.random(in: 0...12, using: &random), flags: UInt8.random(in: 0...255, using: &random),
                stream: stream, payload: content)
            expected.append(frame)
            if frame.type == 0, frame.flags & 8 != 0 {
                let padding = UInt8.random(in: 0...40, using: &random)
                frame.payload = [padding] + content + [UInt8](repeating: 0, count: Int(padding))
            }
            bytes += frame.bytes
        }
        var chunks: [[UInt8]] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = seed < 3 ? 1 : Int.random(in: 1...(seed % 2 == 0 ? 30 : 3000), using: &random)
            chunks.append(Array(rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
        #expect(try read(chunks) == Seen(frames: expected))
    }

    @Test func whatIsNoPreface() {
        for index in [0, 3, 23] {
            var preface = HTTP2Client.preface
            preface[index] ^= 1
            #expect(throws: HTTP2ConnectionError.self) { try read([preface]) }
            #expect(throws: HTTP2ConnectionError.self) { try read(preface.map { [$0] }) }
        }
    }

    @Test func sizesOutOfBounds() throws {
        func code(_ bytes: [UInt8]) -> HTTP2ErrorCode? {
            do throws(HTTP2ConnectionError) {
                _ = try read([HTTP2Client.preface + bytes])
                return nil
            } catch {
                return error.code
            }
        }
        // Only the heads come: what is too large is refused before it is there.
        #expect(code([0x10, 0, 1, 0, 0, 0, 0, 0, 1]) == .frameSizeError)
        #expect(code([0x10, 0, 0, 0, 0, 0, 0, 0, 1]) == nil)
        #expect(code([0, 0x80, 1, 1, 0, 0, 0, 0, 1]) == .enhanceYourCalm)
        #expect(code([0, 0x80, 0, 1, 0, 0, 0, 0, 1]) == nil)
        #expect(code([0, 0x40, 1, 4, 0, 0, 0, 0, 0]) == .enhanceYourCalm)
        #expect(code([0, 0x40, 1, 0x77, 0, 0, 0, 0, 0]) == .enhanceYourCalm)
        // Padding must lie within the frame, and its length as well.
        #expect(code([0, 0, 0, 0, 8, 0, 0, 0, 1]) == .frameSizeError)
        #expect(code([0, 0, 2, 0, 8, 0, 0, 0, 1, 2, 0]) == .protocolError)
        #expect(code([0, 0, 2, 0, 8, 0, 0, 0, 1, 1, 0]) == nil)
    }
}

@Suite struct HTTP2FrameCreditTests {
    private func at(_ seconds: Int) -> NIODeadline { .uptimeNanoseconds(UInt64(seconds) * 1_000_000_000) }

    @Test func framesWithoutWorkMustBePaid() {
        var credit = HTTP2FrameCredit(now: at(0))
        var taken = 0
        while taken < 100_000, credit.pay(1, at(0)) { taken += 1 }
        #expect(taken == HTTP2FrameCredit.most)
        let goesOn = credit.pay(HTTP2FrameCredit.reset, at(0))
        #expect(!goesOn)
    }

    @Test func workAndTimePay() {
        var credit = HTTP2FrameCredit(now: at(0))
        var isTaken = true
        // Requests with what belongs to them, for ever.
        for _ in 0..<20_000 {
            credit.earnRequest()
            isTaken = credit.pay(HTTP2FrameCredit.perRequest, at(0)) && isTaken
        }
        // A ping each second, for ever.
        for second in 0..<20_000 { isTaken = credit.pay(1, at(second)) && isTaken }
        // A body in frames of 16 KiB with a ping for each.
        for _ in 0..<5000 {
            credit.earn(bytes: 16 << 10)
            isTaken = credit.pay(1, at(20_000)) && isTaken
        }
        #expect(isTaken)
    }

    @Test func resetsAreDearerThanRequests() {
        var credit = HTTP2FrameCredit(now: at(0))
        var taken = 0
        while taken < 100_000 {
            guard credit.pay(2, at(0)) else { break }
            credit.earnRequest()
            guard credit.pay(HTTP2FrameCredit.reset, at(0)) else { break }
            taken += 1
        }
        #expect((100...250).contains(taken))
    }
}

@Suite struct HTTP2ConnectionClockTests {
    private func at(_ seconds: Int) -> NIODeadline { .uptimeNanoseconds(UInt64(seconds) * 1_000_000_000) }

    private func clock(_ change: (inout HTTP2ServerSettings) -> Void) -> HTTP2ConnectionClock {
        var settings = HTTP2ServerSettings()
        change(&settings)
        return HTTP2ConnectionClock(settings, idle: .seconds(60), now: at(0))
    }

    private func actions(_ clock: inout HTTP2ConnectionClock, _ seconds: Int...) -> [HTTP2ConnectionClock.Action] {
        var actions: [HTTP2ConnectionClock.Action] = []
        for second in seconds { actions.append(clock.tick(at(second))) }
        return actions
    }

    @Test func idleness() {
        var clock = clock { $0.maximumIdle = .seconds(30) }
        let first = actions(&clock, 29)
        clock.becameBusy()
        let busy = actions(&clock, 1000)
        clock.becameIdle(at(1000))
        let idle = actions(&clock, 1029, 1030)
        clock.drained(at(1030))
        // Nobody is waiting: the client has ten seconds to take note.
        let drained = actions(&clock, 1039, 1040)
        #expect(first + busy + idle + drained == [.nothing, .nothing, .nothing, .drain, .nothing, .close])
        var server = self.clock { _ in }
        let times = actions(&server, 59, 60)
        #expect(times == [.nothing, .drain])
    }

    @Test func ageAndGrace() {
        var clock = clock {
            $0.maximumAge = .seconds(100)
            $0.maximumGrace = .seconds(20)
        }
        clock.becameBusy()
        let young = actions(&clock, 99, 100)
        clock.drained(at(100))
        clock.drained(at(110))
        let old = actions(&clock, 119, 120)
        #expect(young + old == [.nothing, .drain, .nothing, .close])
    }

    @Test func silence() {
        var clock = clock {
            $0.pingInterval = .seconds(10)
            $0.pingTimeout = .seconds(5)
        }
        clock.becameBusy()
        let answered = actions(&clock, 9, 10, 14)
        clock.read(at(14))
        let unanswered = actions(&clock, 23, 24, 29)
        #expect(answered + unanswered == [.nothing, .ping, .nothing, .nothing, .ping, .close])
    }
}
