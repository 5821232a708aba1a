import OTLP
import Testing

@testable import Sampling

@Suite struct TraceStateTests {
    private func error(_ text: String) -> TraceStateError? {
        Array(text.utf8).withUnsafeBytes { bytes in
            do throws(TraceStateError) {
                _ = try TraceState(bytes)
                return nil
            } catch {
                return error
            }
        }
    }

    private func edited(
        _ text: String, _ digits: String?, adding random: String? = nil
    ) throws -> (result: TraceStateEdit, text: String) {
        let bytes = Array(text.utf8)
        var writer = WireWriter()
        writer.append("|")
        let result = try bytes.withUnsafeBytes { bytes in
            try TraceState(bytes).append(
                threshold: digits.flatMap { threshold($0) }, addingRandomness: random.flatMap { randomness($0) },
                to: &writer)
        }
        return (result, String(decoding: writer.bytes.dropFirst(), as: UTF8.self))
    }

    private func expect(
        _ text: String, _ digits: String?, adding random: String? = nil, gives wanted: String,
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        let (result, found) = try edited(text, digits, adding: random)
        #expect(result == .written, sourceLocation: location)
        #expect(found == wanted, sourceLocation: location)
    }

    @Test func reads() throws {
        let text = Array(" foo=1,\tot=p:8;rv:0123456789abcd;th:c ,, bar@x=a b".utf8)
        try text.withUnsafeBytes { bytes in
            let state = try TraceState(bytes)
            #expect(state.threshold == threshold("c"))
            #expect(state.randomness == randomness("0123456789abcd"))
        }
        #expect(error("") == nil)
        #expect(error(",") == nil)
        #expect(error("ot=th:0") == nil)
        #expect(error("ot=a:") == nil)
    }

    @Test func refuses() {
        for text in [
            "foo", "=1", "foo=", "Foo=1", "1foo=1", "foo=a=b", "a@=1", "@a=1", "a@1=1", "a@b@c=1", "ot=th", "ot=th:8;",
            "ot=;th:8", "ot=TH:8", "ot=1a:8", "ot=a:b:c", "ot=a:~", "foo=\u{7F}", "foo=é", "ot=a: b",
        ] {
            #expect(error(text) == .malformed, "\(text)")
        }
        for text in ["ot=th:", "ot=th:000000000000000", "ot=th:-1", "ot=th:g", "ot=rv:1", "ot=rv:0123456789abcde"] {
            #expect(error(text) == .invalidValue, "\(text)")
        }
    }

    @Test func limits() {
        let members = (0..<32).map { "k\($0)=v" }
        #expect(error(members.joined(separator: ",")) == nil)
        #expect(error((members + ["l=v"]).joined(separator: ",")) == .tooManyMembers)
        #expect(error("k=" + String(repeating: "v", count: 256)) == nil)
        #expect(error("k=" + String(repeating: "v", count: 257)) == .tooLong)
        #expect(error(String(repeating: "k", count: 256) + "=v") == nil)
        #expect(error(String(repeating: "k", count: 257) + "=v") == .tooLong)
        #expect(error(String(repeating: "k", count: 241) + "@" + String(repeating: "s", count: 14) + "=v") == nil)
        #expect(error("k@" + String(repeating: "s", count: 15) + "=v") == .tooLong)
        #expect(error(String(repeating: ",", count: 1024)) == nil)
        #expect(error(String(repeating: ",", count: 1025)) == .tooLong)
    }

    @Test func writes() throws {
        try expect("", "8", gives: "ot=th:8")
        try expect("", "8", adding: "0123456789abcd", gives: "ot=rv:0123456789abcd;th:8")
        try expect("", nil, gives: "")
        try expect("ot=th:80000000000000", "c", gives: "ot=th:c")
        try expect("ot=p:8;th:8;r:62", "e666", gives: "ot=th:e666;p:8;r:62")
        try expect("ot=th:8;rv:FD70A3D70A3D71", "fd70a", gives: "ot=rv:FD70A3D70A3D71;th:fd70a")
        try expect("ot=rv:fd70a3d70a3d71", "8", adding: "00000000000000", gives: "ot=rv:fd70a3d70a3d71;th:8")
        try expect(" foo=1 ,ot=th:8, bar=2", "c", gives: "ot=th:c,foo=1,bar=2")
        try expect("foo=1,ot=th:8", nil, gives: "foo=1")
        try expect("foo=1,ot=th:8;x:", nil, gives: "ot=x:,foo=1")
        try expect("ot=th:8", nil, gives: "")
        try expect("ot=a:1,ot=th:8;b:2", "c", gives: "ot=th:c;b:2")
        try expect("other=1,otx=2", "c", gives: "ot=th:c,other=1,otx=2")
    }

    @Test func aLegacyMemberStays() throws { try expect("ot=p:8;r:62", nil, gives: "ot=p:8;r:62") }

    @Test func theRightmostMemberMakesRoom() throws {
        let members = (0..<32).map { "k\($0)=v" }
        try expect(members.joined(separator: ","), "8", gives: "ot=th:8," + members.dropLast().joined(separator: ","))
        let withOT = members.dropLast() + ["ot=th:4"]
        try expect(withOT.joined(separator: ","), "8", gives: "ot=th:8," + members.dropLast().joined(separator: ","))
    }

    @Test func aFullMemberIsNotWritten() throws {
        let padding = "x:" + String(repeating: "a", count: 246)
        // 248 bytes and ";th:e666" are 256.
        try expect("ot=" + padding, "e666", gives: "ot=th:e666;" + padding)
        #expect(try edited("ot=" + padding, "fd70a") == (.full(dropsThreshold: false), ""))
        // A threshold that is no longer true does not stay.
        let (result, text) = try edited("ot=th:8;" + padding, "fd70a")
        #expect(result == .full(dropsThreshold: true))
        #expect(text == "ot=" + padding)
    }

    @Test func aFullTraceStateIsNotWritten() throws {
        let members = ["a", "b", "c", "d"].map { "\($0)=" + String(repeating: "v", count: 252) }.joined(separator: ",")
        #expect(try edited(members, "8") == (.full(dropsThreshold: false), ""))
    }

    /// Whatever is read can be edited, what is written can be read, and no byte sequence does harm.
    @Test func anyBytes() {
        var generator = Seeded(11)
        let pieces = [
            "ot=", "th:", "rv:", "8", "0123456789abcd", ";", ",", "=", ":", "foo", "@", " ", "\t", "F", "é", "a:1",
        ]
        var valid = 0
        for round in 0..<60_000 {
            var bytes: [UInt8] = []
            for _ in 0..<generator.next() % 12 {
                if round % 4 == 0 {
                    bytes.append(UInt8(truncatingIfNeeded: generator.next()))
                } else {
                    bytes += Array(pieces[Int(generator.next() % UInt64(pieces.count))].utf8)
                }
            }
            bytes.withUnsafeBytes { bytes in
                guard let state = try? TraceState(bytes) else { return }
                valid += 1
                var writer = WireWriter()
                let result = state.append(threshold: threshold("c"), addingRandomness: .maximum, to: &writer)
                #expect(result == .written)
                guard let again = try? TraceState(writer.bytes) else {
                    Issue.record("\(String(decoding: bytes, as: UTF8.self)) became unreadable")
                    return
                }
                #expect(again.threshold == threshold("c"))
                #expect(again.randomness == state.randomness ?? .maximum)
            }
        }
        #expect(valid > 1000)
    }
}
