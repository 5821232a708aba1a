import OTLP
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
}
