import OTLP
import Pipeline
import Sampling
import TestSupport
import Testing

@testable import Processors

/// Log records: sampling information in attributes, other sources of randomness, percentages of their own.
@Suite struct ProbabilisticSamplerLogTests {
    private func request(_ records: [(id: String, attributes: [(String, JSONValue)])]) throws -> [UInt8] {
        let list = records.map { record in
            let attributes = record.attributes.map { "{\"key\":\"\($0.0)\",\"value\":\($0.1)}" }
            return
                "{\"traceId\":\"\(record.id)\",\"body\":{\"stringValue\":\"x\"},\"attributes\":[\(attributes.joined(separator: ","))]}"
        }
        let json = "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[\(list.joined(separator: ","))]}]}]}"
        var writer = WireWriter()
        try Array(json.utf8).withUnsafeBytes { try OTLPJSONDecoder.decode($0, as: .logsRequest, into: &writer) }
        return Array(writer.bytes)
    }

    /// The attributes of the records that are kept, `key=value`.
    private func kept(
        _ run: SamplerRun, _ records: [(id: String, attributes: [(String, JSONValue)])]
    ) throws -> [[String]] {
        let left = try TelemetryBatch(SampleRequests.wire(run.process(request(records), signal: .logs)), signal: .logs)
        let arena = WireArena(limit: 1 << 20)
        return left.items.map { item in
            let record = LogRecordView(left.payload(of: item), arena: arena)
            return
                (record?.attributes.compactMap { raw -> String? in
                    guard let attribute = KeyValueView(raw, arena: arena) else { return nil }
                    let key = String(decoding: attribute.key, as: UTF8.self)
                    guard case .string(let text)? = AnyValueView(attribute.value, arena: arena)?.value else {
                        return key
                    }
                    return key + "=" + String(decoding: text, as: UTF8.self)
                } ?? []).sorted()
        }
    }

    private static let high = "000000000000000000c0000000000001"
    private static let low = "01000000000000000010000000000000"

    private func hashText(_ bytes: [UInt8], seed: UInt32 = 0) -> String {
        var digits = WireWriter()
        bytes.withUnsafeBytes { SeededHash(seed: seed).randomness(of: $0) }.append(to: &digits)
        return String(decoding: digits.bytes, as: UTF8.self)
    }

    @Test func consistent() throws {
        for mode in ["equalizing", "proportional"] {
            let run = try SamplerRun("{sampling_percentage: 50, mode: \(mode), from_attribute: id}")
            #expect(try kept(run, [(Self.high, []), (Self.low, [])]) == [["sampling.threshold=8"]])
            #expect(run.count("logs", "trace_id_w3c", true) == 1)
            let explicit: [(String, JSONValue)] = [
                ("sampling.randomness", "e0000000000000"), ("sampling.threshold", "8"),
            ]
            #expect(
                try kept(run, [(Self.low, explicit)]) == [
                    ["sampling.randomness=e0000000000000", "sampling.threshold=" + (mode == "equalizing" ? "8" : "c")]
                ])
            #expect(run.count("logs", "sampling_randomness", true) == 1)
            // The attribute is no source in these modes.
            #expect(try kept(run, [("", [("id", "a")])]) == [])
            #expect(run.faults("missing_randomness") == 1)
        }
    }

    @Test func faults() throws {
        let faults: [(String, [(String, JSONValue)], [String])] = [
            ("invalid_sampling_state", [("sampling.threshold", "xyz")], ["sampling.threshold=xyz"]),
            ("invalid_sampling_state", [("sampling.randomness", "1")], ["sampling.randomness=1"]),
            ("inconsistent_threshold", [("sampling.threshold", "f")], ["sampling.threshold=0"]),
        ]
        for (name, attributes, open) in faults {
            for mode in ["equalizing", "proportional"] {
                let closed = try SamplerRun("{sampling_percentage: 100, mode: \(mode)}")
                #expect(try kept(closed, [(Self.high, attributes)]) == [])
                #expect(closed.faults(name) == 1)
                let run = try SamplerRun("{sampling_percentage: 1, mode: \(mode), fail_closed: false}")
                #expect(try kept(run, [(Self.high, attributes)]) == [open])
            }
        }
        let run = try SamplerRun("{sampling_percentage: 1, mode: equalizing, fail_closed: false}")
        #expect(try kept(run, [("", [])]) == [["sampling.threshold=0"]])
        #expect(run.count("logs", "missing_randomness", true) == 1)
    }

    @Test func hashOfTheTraceIDOrOfAnAttribute() throws {
        let id = (0..<16).map { UInt8($0 + 1) }
        let run = try SamplerRun("{sampling_percentage: 100, hash_seed: 5, from_attribute: record.id}")
        let records = [(hex(id), [("record.id", "abc" as JSONValue)]), ("", [("record.id", "abc")]), ("", [])]
        #expect(
            try kept(run, records) == [
                ["record.id=abc", "sampling.randomness=" + hashText(id, seed: 5), "sampling.threshold=0"],
                [
                    "record.id=abc", "sampling.randomness=" + hashText(Array("abc".utf8), seed: 5),
                    "sampling.threshold=0",
                ],
            ])
        #expect(run.count("logs", "trace_id_hash", true) == 1)
        #expect(run.count("logs", "record.id", true) == 1)
        #expect(run.count("logs", "missing_randomness", false) == 1)
        let record = try SamplerRun(
            "{sampling_percentage: 100, attribute_source: record, from_attribute: record.id, hash_seed: 5}")
        #expect(
            try kept(record, [records[0]])[0][1] == "sampling.randomness=" + hashText(Array("abc".utf8), seed: 5))
    }

    /// As Go's JSON and strconv write them.
    @Test(
        arguments: [
            (0, "0"), (-0.0, "-0"), (1, "1"), (-1.5, "-1.5"), (100, "100"), (0.1, "0.1"), (123456.789, "123456.789"),
            (1e20, "100000000000000000000"), (1e21, "1e+21"), (1.5e300, "1.5e+300"), (1e-6, "0.000001"), (1e-7, "1e-7"),
            (1.25e-9, "1.25e-9"), (1e-10, "1e-10"), (.leastNonzeroMagnitude, "5e-324"),
            (9_007_199_254_740_992, "9007199254740992"),
            (.infinity, "json: unsupported value: +Inf"), (-.infinity, "json: unsupported value: -Inf"),
            (.nan, "json: unsupported value: NaN"),
        ] as [(Double, String)])
    func doublesAreHashedAsText(_ number: Double, _ text: String) {
        var scratch = WireWriter()
        let bytes = ItemSampler.hashedBytes(.double(number), &scratch)
        #expect(bytes.map { String(decoding: $0, as: UTF8.self) } == text)
    }

    @Test func priority() throws {
        let run = try SamplerRun("{sampling_percentage: 50, mode: equalizing, sampling_priority: p}")
        func kept(_ id: String, _ value: JSONValue) throws -> String? {
            try self.kept(run, [(id, [("p", value)])]).first.map { $0[1] }
        }
        #expect(try kept(Self.high, 0) == nil)
        #expect(try kept(Self.low, 100) == "sampling.threshold=0")
        #expect(try kept(Self.low, 1000) == "sampling.threshold=0")
        #expect(try kept(Self.low, .double(99.5)) == "sampling.threshold=0147b")
        #expect(try kept(Self.high, 10) == nil)
        #expect(try kept(Self.high, "10") == "sampling.threshold=8")
        #expect(try kept(Self.low, .double(.nan)) == nil)
        #expect(run.count("logs", "sampling_priority", true) == 3)
        #expect(run.count("logs", "sampling_priority", false) == 2)
    }
}
