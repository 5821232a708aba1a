import Testing

@testable import OTLP

/// Inputs that are cut, changed or made up. Nothing may trap, and what is accepted must hold up.
@Suite struct JSONFuzzTests {
    @Test func everyTruncationOfWireBytes() {
        for fixture in JSONFixture.all where fixture.wire.count < 1200 {
            let unreadable = (0..<fixture.wire.count).filter { length in
                guard let text = try? json(Array(fixture.wire[..<length]), fixture.message) else { return false }
                return (try? wire(text, fixture.message)) == nil
            }
            #expect(unreadable.isEmpty)
        }
    }

    @Test func everyTruncationOfTextIsRefused() {
        for fixture in JSONFixture.all where fixture.text.count < 2000 {
            let accepted = (0..<fixture.text.count).filter { length in
                (try? wire(Array(fixture.text[..<length]), fixture.message)) != nil
            }
            #expect(accepted.isEmpty)
        }
    }

    @Test func changedWireBytes() throws {
        var random = SeededGenerator(state: 11)
        var accepted = 0
        let fixtures = JSONFixture.all.filter { $0.wire.count < 1500 }
        for _ in 0..<25_000 {
            let fixture = fixtures[Int.random(in: 0..<fixtures.count, using: &random)]
            let input = Self.mutated(fixture.wire, &random)
            guard let text = try? json(input, fixture.message, limit: 1 << 20) else { continue }
            accepted += 1
            // Our own text is always a text that we read, and says the same again.
            let again = try json(try wire(text, fixture.message), fixture.message)
            if again != text { Issue.record("differs: \(input)") }
        }
        #expect(accepted > 1000)
    }

    @Test func changedTexts() throws {
        var random = SeededGenerator(state: 12)
        var accepted = 0
        let fixtures = JSONFixture.all.filter { $0.wire.count < 1500 }
        for _ in 0..<25_000 {
            let fixture = fixtures[Int.random(in: 0..<fixtures.count, using: &random)]
            let input = Self.mutated(fixture.text, &random)
            guard let bytes = try? wire(input, fixture.message, limit: 1 << 20) else { continue }
            accepted += 1
            if bytes.count > 9 * input.count { Issue.record("amplified: \(input)") }
            _ = try json(bytes, fixture.message)
        }
        #expect(accepted > 1000)
    }

    @Test func randomBytes() throws {
        var random = SeededGenerator(state: 13)
        for _ in 0..<20_000 {
            let input = (0..<Int.random(in: 0...80, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            for message in [OTLPMessage.span, .metric, .anyValue, .histogramDataPoint] {
                if let text = try? json(input, message, limit: 1 << 16) {
                    _ = try wire(text, message)
                }
                _ = try? wire([UInt8(ascii: "{")] + input, message)
            }
        }
    }

    private static func mutated(_ bytes: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
            let position = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes[position] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 2: bytes.remove(at: position)
            case 3: bytes.insert(UInt8.random(in: 0...255, using: &random), at: position)
            case 4: bytes.insert(bytes[position], at: position)
            default:
                let end = min(bytes.count, position + Int.random(in: 1...12, using: &random))
                let target = Int.random(in: 0..<bytes.count, using: &random)
                bytes.insert(contentsOf: Array(bytes[position..<end]), at: target)
            }
        }
        return bytes
    }
}
