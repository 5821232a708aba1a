import OTLP
import TestSupport
import Testing

@testable import Connectors

/// What a walk has learnt about tails changes nothing of what it finds in one.
@Suite struct TailMemoTests {
    private func tail(_ costs: [(String, Double)], before: [(String, String)], version: String, status: String)
        -> [UInt8]
    {
        var writer = WireWriter()
        func append(_ key: String, _ content: (UnsafeRawBufferPointer) -> Void) {
            Array(key.utf8).withUnsafeBytes(content)
        }
        for (key, value) in before {
            append(key) { key in
                Array(value.utf8).withUnsafeBytes { writer.append(field: 9, key: key, .text($0)) }
            }
        }
        for (key, value) in costs { append(key) { writer.append(field: 9, key: $0, .double(value)) } }
        for (key, value) in [
            ("gen_ai.cost.currency", "USD"), ("gen_ai.cost.price_version", version), ("gen_ai.cost.status", status),
        ] {
            append(key) { key in
                Array(value.utf8).withUnsafeBytes { writer.append(field: 9, key: key, .text($0)) }
            }
        }
        return Array(writer.bytes)
    }

    private func found(_ walk: inout CallWalk, _ tail: [UInt8]) -> [String] {
        let payload: [UInt8] = [0x0A, 0x01, 0x01]
        return payload.withUnsafeBytes { payload in
            tail.withUnsafeBytes { tail in
                _ = walk.read(payload, tail)
                return (0..<KeySlots.maximumKeys).filter { walk.slots.has($0) }.map {
                    "\($0)=\(Array(walk.slots.value($0)))"
                }
            }
        }
    }

    @Test func tailsAreReadTheSame() throws {
        let settings = try decode("{}") { GenAIMetricsSettings(from: $0) }
        let keys = GenAIMeter.ownKeys(settings)
        var walk = CallWalk(keys)
        var random = SystemRandomNumberGenerator()
        for round in 0..<2_000 {
            var costs = [("gen_ai.usage.cost", Double(round)), ("gen_ai.cost.input", 0.5)]
            if Int.random(in: 0..<8, using: &random) == 0 { costs.append(("gen_ai.cost.cache_savings", 2)) }
            if Int.random(in: 0..<16, using: &random) == 0 { costs.removeFirst() }
            let before = (0..<Int.random(in: 0..<3, using: &random)).map {
                (["gen_ai.provider.name", "gen_ai.conversation.id", "gen_ai.response.model"][$0], "v\(round % 5)")
            }
            let bytes = tail(
                costs, before: before, version: round / 64 % 2 == 0 ? "2026-11-21" : "2026-12-01",
                status: Int.random(in: 0..<10, using: &random) == 0 ? "no_price" : "priced")
            var fresh = CallWalk(keys)
            #expect(found(&walk, bytes) == found(&fresh, bytes), "round \(round)")
        }
    }

    /// An attribute of a span. Every seventh value is long.
    private func append(_ key: [UInt8], _ number: UInt64, to writer: inout WireWriter) {
        key.withUnsafeBytes { key in
            if number % 7 == 0 {
                [UInt8](repeating: 0x61, count: Int(number % 400)).withUnsafeBytes {
                    writer.append(field: 9, key: key, .text($0))
                }
            } else if number % 2 == 0 {
                Array("\(number)".utf8).withUnsafeBytes { writer.append(field: 9, key: key, .text($0)) }
            } else {
                writer.append(field: 9, key: key, .int(Int64(number >> (1 + number % 60))))
            }
        }
    }

    private func read(_ walk: inout CallWalk, _ span: [UInt8]) -> [String] {
        span.withUnsafeBytes { span in
            _ = walk.read(span, UnsafeRawBufferPointer(start: nil, count: 0))
            return (0..<KeySlots.maximumKeys).filter { walk.slots.has($0) }.map {
                "\($0)=\(Array(walk.slots.value($0))) \(walk.slots.count($0))"
            } + ["\(walk.duration)"]
        }
    }

    @Test func spansAreReadTheSame() throws {
        let settings = try decode("{dimensions: [{name: user}, {name: a}]}") { GenAIMetricsSettings(from: $0) }
        let own = GenAIMeter.ownKeys(settings)
        let keys = own + GenAIMeter.dimensionKeys(settings, after: own)
        var walk = CallWalk(keys)
        var random = SeededGenerator(seed: 17)
        let others = (1...90).map { "other.\(String(repeating: "k", count: $0 * 2))" }
        var shapes: [[[UInt8]]] = []
        for _ in 0..<12 {
            let shape = (0..<random.below(14)).map { _ -> [UInt8] in
                let pool = random.below(3) == 0 ? others : keys
                return Array(pool[random.below(pool.count)].utf8)
            }
            shapes.append(shape)
        }
        for round in 0..<6_000 {
            var span = WireWriter()
            let head = random.below(4)
            if head > 0 {
                [UInt8](repeating: 7, count: 16).withUnsafeBytes { span.append(field: 1, bytes: $0) }
                [UInt8](repeating: 8, count: 8).withUnsafeBytes { span.append(field: 2, bytes: $0) }
                if head > 1 { [UInt8](repeating: 9, count: 8).withUnsafeBytes { span.append(field: 4, bytes: $0) } }
                [UInt8](repeating: 0x6E, count: random.below(200)).withUnsafeBytes { span.append(field: 5, bytes: $0) }
                span.append(byte: 0x39)
                span.append(fixed64: 1_000_000_000)
                if head > 2 {
                    span.append(byte: 0x41)
                    span.append(fixed64: 3_000_000_000 + UInt64(round))
                }
            }
            var shape = shapes[random.below(shapes.count)]
            if random.below(8) == 0 { shape.shuffle(using: &random) }
            for key in shape { append(key, random.next(), to: &span) }
            if random.below(2) == 0 {
                [UInt8](repeating: 9, count: 60).withUnsafeBytes { span.append(field: 11, bytes: $0) }
            }
            var bytes = Array(span.bytes)
            if random.below(10) == 0, !bytes.isEmpty { bytes.removeLast(random.below(bytes.count)) }
            var fresh = CallWalk(keys)
            #expect(read(&walk, bytes) == read(&fresh, bytes), "round \(round)")
        }
    }

    @Test(arguments: [0, 1, 127, 128, 300, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455, 268_435_456, Int64.max])
    func countsOfAnySize(_ number: Int64) throws {
        let settings = try decode("{}") { GenAIMetricsSettings(from: $0) }
        var walk = CallWalk(GenAIMeter.ownKeys(settings))
        var span = WireWriter()
        Array("gen_ai.usage.input_tokens".utf8).withUnsafeBytes { span.append(field: 9, key: $0, .int(number)) }
        let bytes = Array(span.bytes)
        bytes.withUnsafeBytes { _ = walk.read($0, UnsafeRawBufferPointer(start: nil, count: 0)) }
        let count = walk.slots.count(CallSlot.input)
        #expect(count == number)
    }
}
