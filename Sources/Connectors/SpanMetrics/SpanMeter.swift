internal import Aggregation
internal import OTLP

/// Measures spans: which series each counts for, and with what. Immutable; any thread, each with its own recorder.
final class SpanMeter: Sendable {
    /// What is measured in one family: indices of instruments, -1 for none.
    private struct Family {
        var calls: Int
        var duration: Int
        var hasDimensions: Bool
    }

    let aggregation: AggregationSettings
    private let settings: SpanMetricsSettings
    private let families: [Family]
    /// Of each family.
    private let dimensions: [[SpanMetricsSettings.Dimension]]
    /// Of the family that counts events.
    private let eventFamily: Int?
    private let divisor: Double
    private let attributes: SpanAttributes
    /// The service is a part of the key, because it is none of the resource's.
    private let keysService: Bool

    init(_ settings: SpanMetricsSettings) {
        self.settings = settings
        divisor = settings.unit.nanoseconds
        attributes = SpanAttributes(settings)
        keysService =
            !settings.resourceKeyAttributes.isEmpty && !settings.resourceKeyAttributes.contains("service.name")
        let prefix = settings.namespace.isEmpty ? "" : settings.namespace + "."
        let calls = MetricInstrument(name: prefix + "calls", kind: .sum)
        var families: [Family] = []
        var instruments: [[MetricInstrument]] = []
        let durations = settings.histogram.map { kind in
            var isExponential = false
            if case .exponentialHistogram = kind { isExponential = true }
            return MetricInstrument(
                name: prefix + "duration", unit: settings.unit.rawValue, kind: kind, recordsMinMax: isExponential)
        }
        let areTogether = settings.callsDimensions.isEmpty && settings.durationDimensions.isEmpty
        let ofCalls = settings.dimensions + settings.callsDimensions
        var dimensions = [ofCalls]
        if let durations, areTogether {
            instruments.append([calls, durations])
            families.append(Family(calls: 0, duration: 1, hasDimensions: !ofCalls.isEmpty))
        } else {
            instruments.append([calls])
            families.append(Family(calls: 0, duration: -1, hasDimensions: !ofCalls.isEmpty))
            if let durations {
                let ofDurations = settings.dimensions + settings.durationDimensions
                instruments.append([durations])
                dimensions.append(ofDurations)
                families.append(Family(calls: -1, duration: 0, hasDimensions: !ofDurations.isEmpty))
            }
        }
        self.families = families
        self.dimensions = dimensions
        eventFamily = settings.countsEvents ? instruments.count : nil
        if settings.countsEvents { instruments.append([MetricInstrument(name: prefix + "events", kind: .sum)]) }
        var aggregation = AggregationSettings(scopeName: "spanmetricsconnector", families: instruments)
        aggregation.temporality = settings.temporality
        aggregation.seriesLimit = settings.seriesLimit
        aggregation.resourceLimit = settings.resourceLimit
        aggregation.resourceKeyAttributes = settings.resourceKeyAttributes
        aggregation.seriesExpiration = settings.seriesExpiration.wholeNanoseconds
        aggregation.resourceExpiration = settings.resourceExpiration.wholeNanoseconds
        aggregation.marksEnd = settings.marksEnd
        aggregation.exemplarLimit = settings.exemplarLimit
        aggregation.memoryLimit = settings.memoryLimit
        self.aggregation = aggregation
    }

    /// Counts the spans of a batch of traces.
    func measure(_ batch: TelemetryBatch, _ recorder: MetricRecorder) {
        var walk = Walk(
            recorder, families: dimensions.map { SpanDimensions($0) },
            events: SpanDimensions(settings.dimensions + settings.eventDimensions))
        let items = batch.items
        for record in batch.resources {
            let resource = WireFields.payload(of: 1, in: batch.message(of: record))
            walk.begin(resource, attributes)
            for scopeIndex in record.scopes {
                let scope = batch.scopes[scopeIndex]
                walk.prefix.removeAll()
                if keysService {
                    walk.prefix.append(varint: UInt64(walk.service.count))
                    walk.prefix.append(walk.service)
                }
                let scopeMessage =
                    settings.includedScopes.isEmpty
                    ? UnsafeRawBufferPointer(start: nil, count: 0)
                    : WireFields.payload(of: 1, in: batch.message(of: scope))
                walk.scope = attributes.included(scopeMessage)
                if let scope = walk.scope {
                    walk.prefix.append(varint: UInt64(scope.name.count))
                    walk.prefix.append(scope.name)
                    walk.prefix.append(varint: UInt64(scope.version.count))
                    walk.prefix.append(scope.version)
                } else if !settings.includedScopes.isEmpty {
                    walk.prefix.append(byte: 0)
                }
                for index in scope.items {
                    measure(batch.payload(of: items[index]), batch.tail(of: items[index]), &walk)
                }
            }
        }
    }

    /// What one batch is measured with.
    private struct Walk: ~Copyable {
        let recorder: MetricRecorder
        let families: [SpanDimensions]
        let events: SpanDimensions
        var resource: MetricRecorder.Resource?
        /// AnyValue of the resource's `service.name`.
        var service = UnsafeRawBufferPointer(start: nil, count: 0)
        var scope: (name: UnsafeRawBufferPointer, version: UnsafeRawBufferPointer)?
        /// What keys begin with, in a scope.
        var prefix = WireWriter()
        var key = WireWriter()
        var encoded = WireWriter()

        init(_ recorder: MetricRecorder, families: [SpanDimensions], events: SpanDimensions) {
            self.recorder = recorder
            self.families = families
            self.events = events
        }

        mutating func begin(_ message: UnsafeRawBufferPointer, _ attributes: SpanAttributes) {
            resource = recorder.resource(message)
            service = attributes.service(message)
            for family in families where !family.isEmpty { family.begin(resource: message) }
            if !events.isEmpty { events.begin(resource: message) }
        }
    }

    @inline(__always)
    private func measure(_ payload: UnsafeRawBufferPointer, _ tail: UnsafeRawBufferPointer, _ walk: inout Walk) {
        let span = SpanFields(payload, tail: tail)
        let duration = Double(span.duration) / divisor
        var count = AdjustedCount.one
        var tag = attributes.tag(span)
        if span.traceState.count > 0, let adjusted = SamplingThreshold.adjustedCount(span.traceState) {
            count = adjusted
            tag = attributes.tag(tag, isAdjusted: true)
        }
        for family in families.indices {
            // Without a look at the dimensions, which would be counted as references to them.
            var dimensions: SpanDimensions?
            if families[family].hasDimensions {
                dimensions = walk.families[family]
                dimensions?.begin(span: payload, tail: tail)
            }
            guard let series = series(family, dimensions, tag, span, &walk) else { continue }
            let times = series.whole(count)
            if families[family].calls >= 0 {
                series.add(Int64(clamping: times), to: families[family].calls)
            }
            if families[family].duration >= 0 { series.record(duration, times: times, in: families[family].duration) }
            walk.recorder.addExemplar(
                duration, time: span.endTime, traceID: span.traceID, spanID: span.spanID, to: series)
        }
        if eventFamily != nil {
            countEvents(of: payload, span, payload, tail, tag, count, &walk)
            if tail.count > 0 { countEvents(of: tail, span, payload, tail, tag, count, &walk) }
        }
    }

    /// The series of a span in a family, for the values that `dimensions` has found.
    @inline(__always)
    private func series(
        _ family: Int, _ dimensions: SpanDimensions?, _ tag: UInt32, _ span: SpanFields, _ walk: inout Walk
    ) -> Series? {
        guard let resource = walk.resource else { return nil }
        let name = attributes.hasName ? span.name : UnsafeRawBufferPointer(start: nil, count: 0)
        if dimensions == nil, walk.prefix.count == 0 {
            if let series = walk.recorder.series(family, resource, tag: tag, key: name) { return series }
        } else {
            walk.key.removeAll()
            walk.key.append(walk.prefix.bytes)
            dimensions?.appendKey(to: &walk.key)
            walk.key.append(name)
            if let series = walk.recorder.series(family, resource, tag: tag, key: walk.key.bytes) { return series }
        }
        return add(family, dimensions, tag, span, resource, &walk)
    }

    @inline(never)
    private func add(
        _ family: Int, _ dimensions: SpanDimensions?, _ tag: UInt32, _ span: SpanFields,
        _ resource: MetricRecorder.Resource, _ walk: inout Walk
    ) -> Series? {
        walk.encoded.removeAll()
        attributes.append(tag, span, service: walk.service, scope: walk.scope, to: &walk.encoded)
        dimensions?.appendAttributes(to: &walk.encoded)
        let isPlain = dimensions == nil && walk.prefix.count == 0
        let name = attributes.hasName ? span.name : UnsafeRawBufferPointer(start: nil, count: 0)
        return walk.recorder.addSeries(
            family, resource, tag: tag, key: isPlain ? name : walk.key.bytes, attributes: walk.encoded.bytes)
    }

    /// Counts the events among the fields of `part`, which is the span's payload or its tail.
    private func countEvents(
        of part: UnsafeRawBufferPointer, _ span: SpanFields, _ payload: UnsafeRawBufferPointer,
        _ tail: UnsafeRawBufferPointer, _ tag: UInt32, _ count: AdjustedCount, _ walk: inout Walk
    ) {
        guard let eventFamily else { return }
        let dimensions = walk.events
        var fields = WireFields(part)
        while let field = fields.next() {
            guard field.number == 11 else { continue }
            dimensions.begin(span: payload, tail: tail)
            dimensions.add(event: field.payload)
            guard let series = series(eventFamily, dimensions, tag, span, &walk) else { continue }
            series.add(Int64(clamping: series.whole(count)), to: 0)
            walk.recorder.addExemplar(
                Double(span.duration) / divisor, time: span.endTime, traceID: span.traceID, spanID: span.spanID,
                to: series)
        }
    }
}

extension Duration {
    /// From 0 to 584 years.
    var wholeNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0, seconds < 18_000_000_000 else { return seconds < 0 ? 0 : .max }
        return UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds) / 1_000_000_000
    }
}
