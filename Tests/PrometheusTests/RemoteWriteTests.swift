import OTLP
import Prometheus
import Testing

/// A message as (field, value); of fixed and length-delimited fields the bytes.
private func fields(_ bytes: [UInt8]) -> [(field: Int, number: UInt64, bytes: [UInt8])] {
    var result: [(field: Int, number: UInt64, bytes: [UInt8])] = []
    var at = 0
    func varint() -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = bytes[at]
            at += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
    }
    while at < bytes.count {
        let key = varint()
        switch key & 7 {
        case 0: result.append((Int(key >> 3), varint(), []))
        case 1:
            result.append((Int(key >> 3), 0, Array(bytes[at..<at + 8])))
            at += 8
        default:
            let count = Int(varint())
            result.append((Int(key >> 3), 0, Array(bytes[at..<at + count])))
            at += count
        }
    }
    return result
}

private final class Output {
    var bodies: [(shard: Int, bytes: [UInt8], counts: RemoteWriteCounts)] = []
    func add(_ shard: Int, _ body: UnsafeRawBufferPointer, _ counts: RemoteWriteCounts) {
        bodies.append((shard, Array(body), counts))
    }
}

private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

/// The labels of every series in a body of either version.
private func labels(_ body: [UInt8], _ version: RemoteWriteVersion) -> [[String]] {
    switch version {
    case .v1:
        return fields(body).filter { $0.field == 1 }.map { series in
            fields(series.bytes).filter { $0.field == 1 }.map { label in
                fields(label.bytes).map { text($0.bytes) }.joined(separator: "=")
            }
        }
    case .v2:
        let all = fields(body)
        let symbols = all.filter { $0.field == 4 }.map { text($0.bytes) }
        return all.filter { $0.field == 5 }.map { series in
            let packed = fields(series.bytes).first { $0.field == 1 }?.bytes ?? []
            // A varint alone is a field's number: read by pretending that each is one of field 0.
            let references = packed.reduce(into: [(0, 0)]) { list, byte in
                list[list.count - 1].0 |= Int(byte & 0x7F) << list[list.count - 1].1
                list[list.count - 1].1 += 7
                if byte < 0x80 { list.append((0, 0)) }
            }.dropLast().map(\.0)
            return stride(from: 0, to: references.count, by: 2).map {
                "\(symbols[references[$0]])=\(symbols[references[$0 + 1]])"
            }
        }
    }
}

@Suite struct RemoteWriteBodies {
    private func encode(
        _ batch: TelemetryBatch, _ version: RemoteWriteVersion, shards: Int = 1, maximumBytes: Int = 1 << 20,
        metadata: Bool = false
    ) -> Output {
        let output = Output()
        let encoder: any RemoteWriteEncoder =
            version == .v1
            ? RemoteWriteV1Encoder(sendsMetadata: metadata, output: output.add)
            : RemoteWriteV2Encoder(output: output.add)
        let translator = MetricTranslator(TranslationOptions())
        encoder.start(shards: shards, maximumBytes: maximumBytes, now: 0)
        _ = translator.translate(batch, items: 0..<batch.items.count, now: 1, into: encoder)
        encoder.finish()
        return output
    }

    private func manyPoints(_ count: Int) throws -> TelemetryBatch {
        // Each series twice, at two times.
        let points = (0..<count).map { number in
            Point.number(
                Double(number), [("n", .text("\(number % (count / 2))"))], time: UInt64(1 + number) * 1_000_000)
        }
        return try batch([Metric.sum("c", help: "help", points)])
    }

    @Test(arguments: [RemoteWriteVersion.v1, .v2]) func limitOfSize(_ version: RemoteWriteVersion) throws {
        let metrics = try manyPoints(2000)
        let output = encode(metrics, version, maximumBytes: 4096)
        #expect(output.bodies.count > 5)
        #expect(output.bodies.allSatisfy { $0.bytes.count <= 4096 })
        #expect(output.bodies.map(\.counts.samples).reduce(0, +) == 2000)
        #expect(output.bodies.map(\.counts.points).reduce(0, +) == 2000)
        let found = output.bodies.flatMap { labels($0.bytes, version) }
        #expect(found == (0..<2000).map { ["__name__=c_total", "n=\($0 % 1000)"] })
        if version == .v2 {
            for body in output.bodies {
                let symbols = fields(body.bytes).filter { $0.field == 4 }.map { text($0.bytes) }
                #expect(symbols.first == "" && Set(symbols).count == symbols.count)
            }
        }
    }

    @Test(arguments: [RemoteWriteVersion.v1, .v2]) func aSeriesIsInOneShard(_ version: RemoteWriteVersion) throws {
        let output = encode(try manyPoints(2000), version, shards: 4)
        #expect(Set(output.bodies.map(\.shard)) == [0, 1, 2, 3])
        var shards: [String: Set<Int>] = [:]
        for body in output.bodies {
            let found = labels(body.bytes, version)
            #expect(found.count > 300)
            for series in found { shards[series.joined(separator: ","), default: []].insert(body.shard) }
        }
        #expect(shards.count == 1000)
        #expect(shards.values.allSatisfy { $0.count == 1 })
    }

    @Test func metadataOnceAMinute() throws {
        let output = Output()
        let encoder = RemoteWriteV1Encoder(sendsMetadata: true, output: output.add)
        let translator = MetricTranslator(TranslationOptions())
        let metrics = try batch([
            Metric.sum("c", unit: "s", help: "why", [Point.number(1)]), Metric.gauge("g", [Point.number(1)]),
        ])
        for now in [0, 59_999, 60_000] as [Int64] {
            encoder.start(shards: 1, maximumBytes: 1 << 20, now: now)
            _ = translator.translate(metrics, items: 0..<2, now: 1, into: encoder)
            encoder.finish()
        }
        #expect(output.bodies.map(\.counts.isEmpty) == [false, true, false, false, true])
        let entries = fields(output.bodies[1].bytes).map { entry in fields(entry.bytes) }
        #expect(entries.count == 2)
        #expect(
            entries[0].map { "\($0.field):\($0.number)\(text($0.bytes))" } == [
                "1:1", "2:0c_seconds_total", "4:0why", "5:0seconds",
            ])
        #expect(entries[1].map { "\($0.field):\($0.number)\(text($0.bytes))" } == ["1:2", "2:0g"])
    }

    @Test func longLabels() throws {
        for count in [1, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 127, 128, 200, 16_383, 20_000] {
            let value = String(repeating: "v", count: count)
            let key = String(repeating: "k", count: count)
            let metrics = try batch([Metric.gauge("m", [Point.number(1, [(key, .text(value))])])])
            for version in [RemoteWriteVersion.v1, .v2] {
                let output = encode(metrics, version)
                #expect(output.bodies.flatMap { labels($0.bytes, version) } == [["__name__=m", "\(key)=\(value)"]])
            }
        }
    }
}
