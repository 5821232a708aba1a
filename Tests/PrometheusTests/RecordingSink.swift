import OTLP
import Prometheus

/// Keeps what a translator emits, as values.
final class RecordingSink: SeriesSink {
    struct Native: Equatable {
        var schema: Int32
        var count: UInt64
        var sum: Double
        var zeroThreshold: Double
        var zeroCount: UInt64
        var positive: [Int: Int64]
        var negative: [Int: Int64]
        var spans: [BucketSpan]
    }

    struct Exemplar: Equatable {
        var labels: [[String]]
        var value: Double
        var timestamp: Int64
    }

    struct Series {
        var labels: [(name: String, value: String)]
        var value = 0.0
        var native: Native?
        var timestamp: Int64
        var start: Int64
        var role: SeriesRole
        var exemplars: [Exemplar]
        var family: MetricFamily?

        var name: String { self["__name__"] ?? "" }
        subscript(label: String) -> String? { labels.first { $0.name == label }?.value }

        /// `name{a="b"}`, without the name as a label.
        var text: String {
            let rest = labels.filter { $0.name != "__name__" }.map { "\($0.name)=\"\($0.value)\"" }
            return name + (rest.isEmpty ? "" : "{\(rest.joined(separator: ","))}")
        }
    }

    private(set) var series: [Series] = []
    private(set) var families: [MetricFamily] = []
    private(set) var nameChanges = 0
    private var family: MetricFamily?

    func begin(_ family: MetricFamily) {
        self.family = family
        families.append(family)
    }

    func namesChanged() { nameChanges += 1 }

    func sample(_ point: SeriesPoint, _ value: Double) { add(point, value, nil) }

    func histogram(_ point: SeriesPoint, _ histogram: NativeHistogram) {
        add(
            point, 0,
            Native(
                schema: histogram.schema, count: histogram.count, sum: histogram.sum,
                zeroThreshold: histogram.zeroThreshold, zeroCount: histogram.zeroCount,
                positive: Self.counts(histogram.positive), negative: Self.counts(histogram.negative),
                spans: Array(histogram.positive.spans)))
    }

    private func add(_ point: SeriesPoint, _ value: Double, _ native: Native?) {
        series.append(
            Series(
                labels: point.labels.map(Self.pair), value: value, native: native, timestamp: point.timestamp,
                start: point.start, role: point.role,
                exemplars: point.exemplars.map { exemplar in
                    Exemplar(
                        labels: exemplar.labels.map { [Self.pair($0).name, Self.pair($0).value] },
                        value: exemplar.value, timestamp: exemplar.timestamp)
                }, family: family))
    }

    private static func pair(_ label: SeriesLabel) -> (name: String, value: String) {
        (String(decoding: label.name, as: UTF8.self), String(decoding: label.text, as: UTF8.self))
    }

    /// Counts by index, zeros included.
    private static func counts(_ buckets: NativeBuckets) -> [Int: Int64] {
        var counts: [Int: Int64] = [:]
        var index = 0
        var count: Int64 = 0
        var used = 0
        for span in buckets.spans {
            index += Int(span.offset)
            for _ in 0..<span.length {
                count += buckets.deltas[used]
                counts[index] = count
                index += 1
                used += 1
            }
        }
        return counts
    }
}

/// A translator and what it emitted.
struct Translation {
    let sink = RecordingSink()
    let translator: MetricTranslator

    init(_ change: (inout TranslationOptions) -> Void = { _ in }) {
        var options = TranslationOptions()
        change(&options)
        translator = MetricTranslator(options)
    }

    @discardableResult
    func run(_ batch: TelemetryBatch, now: Int64 = 42) -> TranslationReport {
        translator.translate(batch, items: 0..<batch.items.count, now: now, into: sink)
    }

    var texts: [String] { sink.series.map(\.text) }
}
