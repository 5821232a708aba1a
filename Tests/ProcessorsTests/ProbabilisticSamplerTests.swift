import OTLP
import Pipeline
import Sampling
import TestSupport
import Testing

@testable import Processors

/// Spans: thresholds and trace states as otelcol's tests and OpenTelemetry's specification have them.
@Suite struct ProbabilisticSamplerTests {
    struct Vector: CustomTestStringConvertible {
        var config: String
        var traceID = "fefefefefefefefefe80000000000000"
        var state = ""
        /// The trace state afterwards in modes equalizing and proportional; nil when the span is dropped.
        var equalizing: String?
        var proportional: String?

        var testDescription: String { "\(config) \(state)" }

        init(_ config: String, _ state: String = "", id: String? = nil, both: String?) {
            self.init(config, state, id: id, both, both)
        }

        init(_ config: String, _ state: String = "", id: String? = nil, _ equalizing: String?, _ proportional: String?)
        {
            self.config = config
            self.state = state
            if let id { traceID = id }
            self.equalizing = equalizing
            self.proportional = proportional
        }
    }

    private static let last = "111111111111111111ffffffffffffff"
    private static let vectors: [Vector] = [
        Vector("sampling_percentage: 100", both: "ot=th:0"),
        Vector("sampling_percentage: 200", both: "ot=th:0"),
        Vector("sampling_percentage: 0", both: nil),
        Vector("sampling_percentage: 50", both: "ot=th:8"),
        Vector("sampling_percentage: 49", both: nil),
        Vector(
            "sampling_percentage: 1, sampling_precision: 14", "ot=rv:FD70A3D70A3D71",
            both: "ot=rv:FD70A3D70A3D71;th:fd70a3d70a3d71"),
        Vector("sampling_percentage: 1, sampling_precision: 14", "ot=rv:FD70A3D70A3D70", both: nil),
        Vector("sampling_percentage: 1", "ot=rv:fd70a3d70a3d71", both: "ot=rv:fd70a3d70a3d71;th:fd70a"),
        Vector("sampling_percentage: 1, sampling_precision: 3", "ot=rv:fd70a3d70a3d71", both: nil),
        Vector("sampling_percentage: 1", id: "a0a0a0a0a0a0a0a0a0fe000000000000", both: "ot=th:fd70a"),
        Vector("sampling_percentage: 50", "ot=rv:90000000000000;th:80000000000000", "ot=rv:90000000000000;th:8", nil),
        Vector("sampling_percentage: 25", "ot=th:8", both: nil),
        Vector("sampling_percentage: 25", "ot=th:8", id: last, "ot=th:c", "ot=th:e"),
        Vector(
            "sampling_percentage: 50", "ot=rv:c0000000000000;th:8", "ot=rv:c0000000000000;th:8",
            "ot=rv:c0000000000000;th:c"),
        Vector(
            "sampling_percentage: 40, sampling_precision: 3", "ot=rv:a0000000000000",
            both: "ot=rv:a0000000000000;th:99a"),
        Vector(
            "sampling_percentage: 40, sampling_precision: 6", "ot=th:8", id: "a0a0a0a0a0a0a0a0a0d0000000000000",
            "ot=th:99999a", "ot=th:cccccd"),
        Vector(
            "sampling_percentage: 40, sampling_precision: 3", "ot=th:8", id: "a0a0a0a0a0a0a0a0a0b0000000000000",
            "ot=th:99a", nil),
        Vector(
            "sampling_percentage: 40, sampling_precision: 3", "ot=th:8", id: "a0a0a0a0a0a0a0a0a080000000000000",
            both: nil),
        Vector("sampling_percentage: 0.006103515625", "ot=th:fffc", id: last, "ot=th:fffc", "ot=th:fffffff"),
        Vector("sampling_percentage: 99.99992, sampling_precision: 10", id: last, both: "ot=th:00000cccccccd"),
        Vector("sampling_percentage: 0.0625", "ot=th:fffffffffffff8", id: last, "ot=th:fffffffffffff8", nil),
        Vector("sampling_percentage: 75", "ot=th:c", id: last, "ot=th:c", "ot=th:d"),
        // Faults.
        Vector("sampling_percentage: 100", "ot=rv:40000000000000;th:8", both: nil),
        Vector(
            "sampling_percentage: 100, fail_closed: false", "ot=rv:40000000000000;th:8",
            both: "ot=rv:40000000000000;th:0"),
        Vector("sampling_percentage: 100", "ot=rv:abababababababab", both: nil),
        Vector("sampling_percentage: 100", "ot=th:abababababababab", both: nil),
        Vector("sampling_percentage: 100", "ot=th:-1", both: nil),
        Vector("sampling_percentage: 1, fail_closed: false", "ot=th:-1", both: "ot=th:-1"),
        Vector("sampling_percentage: 1, fail_closed: false", "broken", both: "broken"),
        Vector("sampling_percentage: 100", "ot=th:8", id: "ffffffffffffffffff70000000000000", both: nil),
    ]

    @Test(arguments: vectors)
    func decides(_ vector: Vector) throws {
        for (mode, wanted) in [("equalizing", vector.equalizing), ("proportional", vector.proportional)] {
            let run = try SamplerRun("{\(vector.config), mode: \(mode)}")
            #expect(try run.states([.init(vector.traceID, vector.state)]) == (wanted.map { [$0] } ?? []), "\(mode)")
        }
    }

    @Test func hashSeedWritesItsHash() throws {
        let run = try SamplerRun("{sampling_percentage: 10, hash_seed: 22}")
        var generator = SeededGenerator(seed: 3)
        var kept = 0
        for _ in 0..<500 {
            let id = (0..<16).map { _ in UInt8.random(in: 1...255, using: &generator) }
            let states = try run.states([.init(hex(id), "v=1")])
            let randomness = id.withUnsafeBytes { SeededHash(seed: 22).randomness(of: $0) }
            var digits = WireWriter()
            randomness.append(to: &digits)
            let rv = String(decoding: digits.bytes, as: UTF8.self)
            let isKept = SeededHash.threshold(percentage: 10).keeps(randomness)
            #expect(states == (isKept ? ["ot=rv:\(rv);th:e668,v=1"] : []))
            kept += isKept ? 1 : 0
        }
        #expect((25...80).contains(kept))
        #expect(run.count("traces", "trace_id_hash", true) == kept)
        #expect(run.count("traces", "trace_id_hash", false) == 500 - kept)
    }

    @Test func hashSeedLeavesTheSamplingOfOthersAlone() throws {
        let closed = try SamplerRun("{sampling_percentage: 100}")
        #expect(try closed.states([.init("01", "ot=th:0"), .init("02", "ot=rv:00000000000000")]) == [])
        #expect(closed.faults("sampling_in_use") == 2)
        let open = try SamplerRun("{sampling_percentage: 1, fail_closed: false}")
        #expect(try open.states([.init("01", "ot=th:0")]) == ["ot=th:0"])
        #expect(open.log.lines.count == 1)
    }

    @Test func priority() throws {
        let values: [(JSONValue, Bool?)] = [
            (2, true), (1, true), (0, false), (-1, nil), ("1", true), ("0", false), ("0.5", true), ("x", nil),
            ("", nil),
            (" 1", nil), ("1 ", nil), ("nan", nil), ("-3", nil), (.double(0.1), true), (.double(0), false),
            (.double(.nan), nil),
        ]
        for mode in ["hash_seed", "equalizing", "proportional"] {
            for (value, wanted) in values {
                let run = try SamplerRun("{sampling_percentage: 50, mode: \(mode)}")
                // One that stays and one that does not.
                let spans = (0..<40).map { SamplerRun.Span(String($0 * 0x3031 + 1, radix: 16) + "00", "", value) }
                let kept = try run.states(spans).count
                let label = "\(mode) \(value)"
                if let wanted {
                    #expect(kept == (wanted ? 40 : 0), "\(label)")
                    #expect(run.count("traces", "sampling_priority", wanted) == 40, "\(label)")
                } else {
                    #expect(kept < 40, "\(label)")
                    #expect(run.count("traces", "sampling_priority", true) == 0, "\(label)")
                }
            }
        }
        #expect(try SamplerRun("{sampling_percentage: 0}").states([.init("01", "", 1)]) == ["ot=th:0"])
        #expect(
            try SamplerRun("{sampling_percentage: 1, mode: equalizing}").states([.init("01", "", 1)]) == ["ot=th:0"])
    }

    @Test func aSpanKeepsItsOtherFields() throws {
        let run = try SamplerRun("{sampling_percentage: 50, mode: equalizing}")
        let span = span(7, [("a", "b"), ("c", 3)])
        for state in ["", "ot=th:8;x:1", "v=1"] {
            let with = span.replacing("\"name\"", with: "\"traceState\":\"\(state)\",\"name\"")
                .replacing("5b8efff798038103d269b633813fc60c", with: Self.last)
            let kept = try run.process(wire([with]))
            #expect(try attributes(of: kept)[0].sorted == attributes(of: wire([with]))[0].sorted)
            let arena = WireArena(limit: 1 << 20)
            let left = try batch(kept)
            let view = try #require(SpanView(left.payload(of: left.items[0]), arena: arena))
            #expect(String(decoding: view.name, as: UTF8.self) == "call")
            #expect(view.endTime == 1_793_491_201_000_000_000)
        }
    }

    @Test func nothingLeftIsAccepted() throws {
        let run = try SamplerRun("{sampling_percentage: 0}")
        let outcomes = Outcomes()
        let next = try run.send(wire([span(1, [])]), outcomes.receipt())
        #expect(next.batches.isEmpty)
        #expect(outcomes.all == [nil])
    }

    @Test func emptyScopesAndResourcesGo() throws {
        let run = try SamplerRun("{sampling_percentage: 50, mode: equalizing}")
        // Three resources, of which one has a trace that stays.
        let high = try wire([span(2, []).replacing("5b8efff798038103d269b633813fc60c", with: Self.last)])
        let dropped = try wire([
            span(3, []).replacing("5b8efff798038103d269b633813fc60c", with: "01" + String(repeating: "0", count: 30))
        ])
        let kept = try run.process(dropped + high + dropped)
        #expect(try batch(kept).resources.count == 1)
        #expect(try batch(kept).items.count == 1)
    }
}
