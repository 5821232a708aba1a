internal import Aggregation
internal import GenAI
internal import Glibc
internal import OTLP

/// Measures AI spans: which series each counts for, and with what. Immutable; any thread, each with its own recorder
/// and walk.
final class GenAIMeter: Sendable {
    /// Bounds of the conventions.
    static let tokenBounds: [Double] = (0...13).map { Double(UInt64(1) << UInt64($0 * 2)) }
    static let secondBounds: [Double] = (0...13).map { 0.01 * Double(UInt64(1) << UInt64($0)) }

    enum Family {
        static let calls = 0
        static let errors = 1
        static let streams = 2
        static let alias = 3
    }

    /// Instruments of the family of calls.
    enum Call {
        static let duration = 0
        static let calls = 1
        static let cost = 2
        static let savings = 3
        static let losses = 4
        static let cacheRead = 5
        static let cacheWrite = 6
        static let reasoning = 7
        static let input = 8
        static let output = 9
    }

    /// Instruments of the family of streamed answers.
    private enum Stream {
        static let firstChunk = 0
        static let perChunk = 1
    }

    private enum Alias {
        static let requests = 0
        static let tokens = 1
        static let cost = 2
        static let latency = 3
        static let errorRate = 4
    }

    let aggregation: AggregationSettings
    let settings: GenAIMetricsSettings
    private let mapping: GenAIMapping
    let dimensions: [(name: [UInt8], slots: [Int], fallback: [UInt8]?)]
    /// Bits of the slots that are attributes of the metrics.
    let ownSlots: UInt64

    init(_ settings: GenAIMetricsSettings, _ mapping: GenAIMapping) {
        self.settings = settings
        self.mapping = mapping
        let keys = Self.ownKeys(settings)
        let further = Self.dimensionKeys(settings, after: keys)
        dimensions = settings.dimensions.map { dimension in
            let slots = dimension.keys.compactMap { key in (keys + further).firstIndex(of: key) }
            return (Array(dimension.name.utf8), slots, dimension.fallback.map(Self.encoded))
        }
        ownSlots = (0..<CallSlot.ownCount).reduce(0) { bits, slot in
            settings.excludedDimensions.contains(GenAIMetricsSettings.ownDimensions[slot]) ? bits : bits | 1 << slot
        }
        var aggregation = AggregationSettings(
            scopeName: "martlet/genai_metrics", families: Self.families(settings.alias))
        aggregation.temporality = settings.temporality
        aggregation.seriesLimit = settings.seriesLimit
        aggregation.resourceLimit = settings.resourceLimit
        aggregation.resourceKeyAttributes = settings.resourceKeyAttributes
        aggregation.seriesExpiration = settings.seriesExpiration.wholeNanoseconds
        aggregation.memoryLimit = settings.memoryLimit
        self.aggregation = aggregation
    }

    /// The keys that are read whatever the dimensions, in the order of `CallSlot`.
    static func ownKeys(_ settings: GenAIMetricsSettings) -> [String] {
        GenAIMetricsSettings.ownDimensions + [
            "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.reasoning.output_tokens", settings.costName,
            settings.savingsName, settings.statusName, "gen_ai.response.time_to_first_chunk",
            "http.response.status_code", settings.resentName,
        ]
    }

    /// Further keys that the dimensions need, each once.
    static func dimensionKeys(_ settings: GenAIMetricsSettings, after own: [String]) -> [String] {
        var keys: [String] = []
        for key in settings.dimensions.flatMap(\.keys) where !own.contains(key) && !keys.contains(key) {
            if own.count + keys.count < KeySlots.maximumKeys { keys.append(key) }
        }
        return keys
    }

    /// An AnyValue with a text.
    private static func encoded(_ text: String) -> [UInt8] {
        var writer = WireWriter()
        Array(text.utf8).withUnsafeBytes { writer.append(field: 1, bytes: $0) }
        return Array(writer.bytes)
    }

    private static func families(_ alias: GenAIMetricsSettings.Alias?) -> [[MetricInstrument]] {
        let dollars = MetricInstrument.Kind.fixedPointSum { Money(zeptodollars: $0).doubleValue }
        func seconds(_ name: String, _ text: String) -> MetricInstrument {
            MetricInstrument(name: name, description: text, unit: "s", kind: .histogram(bounds: secondBounds))
        }
        func sum(_ name: String, _ text: String, _ unit: String) -> MetricInstrument {
            MetricInstrument(name: name, description: text, unit: unit, kind: .sum)
        }
        func tokens(_ type: String) -> MetricInstrument {
            MetricInstrument(
                name: "gen_ai.client.token.usage", description: "Number of input and output tokens used.",
                unit: "{token}", kind: .histogram(bounds: tokenBounds), attribute: ("gen_ai.token.type", type))
        }
        var families = [
            [
                seconds("gen_ai.client.operation.duration", "GenAI operation duration."),
                sum("martlet.genai.calls", "Model calls, each counted once.", "{call}"),
                MetricInstrument(
                    name: "martlet.genai.cost", description: "Cost of counted calls.", unit: "USD", kind: dollars),
                MetricInstrument(
                    name: "martlet.genai.cache.savings",
                    description: "What caches saved on calls that they made cheaper.",
                    unit: "USD", kind: dollars),
                MetricInstrument(
                    name: "martlet.genai.cache.losses",
                    description: "What writing to caches cost on calls that they made dearer.", unit: "USD",
                    kind: dollars),
                sum("martlet.genai.cache_read.tokens", "Input tokens read from caches; part of input.", "{token}"),
                sum("martlet.genai.cache_write.tokens", "Input tokens written to caches; part of input.", "{token}"),
                sum("martlet.genai.reasoning.tokens", "Output tokens of reasoning; part of output.", "{token}"),
                tokens("input"), tokens("output"),
            ],
            [sum("martlet.genai.errors", "Model calls that failed, by what went wrong.", "{call}")],
            [
                seconds("gen_ai.client.operation.time_to_first_chunk", "Time to the first chunk of the answer."),
                seconds("gen_ai.client.operation.time_per_output_chunk", "Time between chunks of the answer."),
            ],
        ]
        if alias == .orchestrator {
            families.append([
                sum("model_requests_total", "Model calls.", "{call}"),
                sum("model_tokens_used", "Input and output tokens.", "{token}"),
                MetricInstrument(
                    name: "model_cost_dollars", description: "Cost of model calls.", unit: "USD", kind: dollars),
                seconds("model_latency_seconds", "Duration of model calls."),
                MetricInstrument(
                    name: "model_error_rate", description: "1 for a call that failed, else 0: its mean is the rate.",
                    kind: .histogram(bounds: [0.5])),
            ])
        }
        return families
    }

    // MARK: Measuring

    /// What one batch is measured with.
    struct Walk: ~Copyable {
        var call: CallWalk
        var resource: MetricRecorder.Resource?
        /// The dimensions of the resource.
        fileprivate var ofResource: KeySlots
        fileprivate var key = WireWriter(capacity: 512)
        /// Bits of the slots that the key is made of.
        fileprivate var ownSlots: UInt64 = 0
        fileprivate var encoded = WireWriter()
        var group = CallGroup()
        fileprivate var operations = OperationMemos()

        init(_ settings: GenAIMetricsSettings) {
            let keys = GenAIMeter.ownKeys(settings)
            let further = GenAIMeter.dimensionKeys(settings, after: keys)
            call = CallWalk(keys + further)
            ofResource = KeySlots(keys + further)
        }
    }

    /// Counts the AI spans of a batch of traces.
    func measure(_ batch: TelemetryBatch, _ recorder: MetricRecorder, _ walk: inout Walk) {
        let items = batch.items
        let scopes = batch.scopes
        for record in batch.resources {
            let message = WireFields.payload(of: 1, in: batch.message(of: record))
            walk.resource = nil
            if !dimensions.isEmpty { read(resource: message, &walk.ofResource) }
            for scopeIndex in record.scopes {
                for index in scopes[scopeIndex].items {
                    let item = items[index]
                    guard walk.call.read(batch.payload(of: item), batch.tail(of: item)) else { continue }
                    if walk.resource == nil { walk.resource = recorder.resource(message) }
                    if !putOff(batch.payload(of: item), batch.tail(of: item), &walk) { measure(recorder, &walk) }
                    if walk.group.isFull { measureGroup(recorder, &walk) }
                }
            }
            // Another resource may be the end of what this one is in the recorder.
            if walk.group.count > 0 { measureGroup(recorder, &walk) }
        }
    }

    private func read(resource message: UnsafeRawBufferPointer, _ slots: inout KeySlots) {
        slots.begin()
        var fields = WireFields(message)
        while let field = fields.next() {
            guard field.number == 1, let base = field.payload.baseAddress else { continue }
            let size = field.payload.count
            slots.take(base.assumingMemoryBound(to: UInt8.self), size, room: size)
        }
    }

    @inline(__always)
    func measure(_ recorder: MetricRecorder, _ walk: inout Walk) {
        // Counted when it came the first time.
        if walk.call.slots.has(CallSlot.resent) { return }
        let isCounted = walk.call.mark == .counted
        if !isCounted, !isOperation(&walk) { return }
        let isError = walk.call.slots.has(CallSlot.errorType) || walk.call.isError
        makeKey(&walk, withoutError: false)
        guard let series = series(Family.calls, tag: isError ? 1 : 0, recorder, &walk) else { return }
        series.record(walk.call.duration, in: Call.duration)
        if !isCounted { return }
        recordCall(series, walk)
        if isError { recordTokensOfFailed(recorder, &walk) } else { recordTokens(series, walk) }
        if walk.call.chunks > 1 || walk.call.slots.has(CallSlot.firstChunk) { recordStream(isError, recorder, &walk) }
        if isError { countError(recorder, &walk) }
        if settings.alias != nil { recordAlias(isError, recorder, &walk) }
    }

    /// Whether a span that does not count as a call is an operation of its own.
    @inline(__always)
    func isOperation(_ walk: inout Walk) -> Bool {
        guard walk.call.slots.has(CallSlot.operation) else { return false }
        // A call that counts on another span, or that nobody has marked, is none.
        return !walk.operations.isBillable(walk.call.slots.text(CallSlot.operation), mapping)
    }

    @inline(__always)
    private func recordCall(_ series: Series, _ walk: borrowing Walk) {
        series.add(1, to: Call.calls)
        if let cost = walk.call.slots.double(CallSlot.cost).flatMap({ Money(reported: $0) }) {
            series.add(fixedPoint: cost.zeptodollars, to: Call.cost)
        }
        let rare: UInt64 =
            1 << UInt64(CallSlot.cacheRead) | 1 << UInt64(CallSlot.cacheWrite) | 1 << UInt64(CallSlot.reasoning)
            | 1 << UInt64(CallSlot.savings)
        if walk.call.slots.present & rare != 0 { recordRare(series, walk) }
    }

    @inline(never)
    private func recordRare(_ series: Series, _ walk: borrowing Walk) {
        series.add(walk.call.slots.count(CallSlot.cacheRead), to: Call.cacheRead)
        series.add(walk.call.slots.count(CallSlot.cacheWrite), to: Call.cacheWrite)
        series.add(walk.call.slots.count(CallSlot.reasoning), to: Call.reasoning)
        if let savings = walk.call.slots.double(CallSlot.savings), savings != 0,
            let amount = Money(reported: abs(savings))
        {
            series.add(fixedPoint: amount.zeptodollars, to: savings > 0 ? Call.savings : Call.losses)
        }
    }

    private func recordStream(_ isError: Bool, _ recorder: MetricRecorder, _ walk: inout Walk) {
        guard let series = series(Family.streams, tag: isError ? 1 : 0, recorder, &walk) else { return }
        if let first = walk.call.slots.double(CallSlot.firstChunk) { series.record(first, in: Stream.firstChunk) }
        if walk.call.chunks > 1, walk.call.lastChunk > walk.call.firstChunk {
            let intervals = UInt64(walk.call.chunks - 1)
            let mean = Double(walk.call.lastChunk - walk.call.firstChunk) / 1e9 / Double(intervals)
            series.record(mean, times: intervals, in: Stream.perChunk)
        }
    }

    @inline(__always)
    private func recordTokens(_ series: Series, _ walk: borrowing Walk) {
        record(tokens: walk.call.slots.count(CallSlot.input), walk.call.slots.count(CallSlot.output), series)
    }

    @inline(__always)
    func record(tokens input: Int64, _ output: Int64, _ series: Series) {
        if input >= 0, input <= TokenUsage.maximumCount { series.record(Double(input), in: Call.input) }
        if output >= 0, output <= TokenUsage.maximumCount { series.record(Double(output), in: Call.output) }
    }

    /// Token usage has no `error.type`: what failed calls used is counted with that of the others.
    @inline(never)
    private func recordTokensOfFailed(_ recorder: MetricRecorder, _ walk: inout Walk) {
        makeKey(&walk, withoutError: true)
        if let series = series(Family.calls, tag: 0, recorder, &walk) { recordTokens(series, walk) }
        makeKey(&walk, withoutError: false)
    }

    private func countError(_ recorder: MetricRecorder, _ walk: inout Walk) {
        let message = WireFields.payload(of: 2, in: walk.call.status)
        let status = walk.call.slots.count(CallSlot.httpStatus)
        var category = mapping.errorCategory(
            type: walk.call.slots.text(CallSlot.errorType), message: message, status: status < 0 ? nil : status,
            exception: ExceptionEvent(walk.call.exception))
        if category == .none { category = .other }
        series(Family.errors, tag: UInt32(category.rawValue), recorder, &walk)?.add(1, to: 0)
    }

    private func recordAlias(_ isError: Bool, _ recorder: MetricRecorder, _ walk: inout Walk) {
        guard let series = series(Family.alias, tag: 0, recorder, &walk) else { return }
        series.add(1, to: Alias.requests)
        let tokens = [CallSlot.input, CallSlot.output].map { slot in
            min(max(0, walk.call.slots.count(slot)), TokenUsage.maximumCount)
        }
        series.add(tokens[0] + tokens[1], to: Alias.tokens)
        if let cost = walk.call.slots.double(CallSlot.cost).flatMap({ Money(reported: $0) }) {
            series.add(fixedPoint: cost.zeptodollars, to: Alias.cost)
        }
        series.record(walk.call.duration, in: Alias.latency)
        series.record(isError ? 1 : 0, in: Alias.errorRate)
    }

    // MARK: Series

    /// Bytes of a key of the usual size; shorter ones are filled up with zeros.
    static var usualKey: Int { 128 }

    /// Writes what tells the attributes of this span's metrics from others.
    @inline(__always)
    private func makeKey(_ walk: inout Walk, withoutError: Bool) {
        walk.key.removeAll()
        walk.ownSlots = withoutError ? ownSlots & ~(1 << UInt64(CallSlot.errorType)) : ownSlots
        // A length of a byte each, and the values: in one go when they are short, which they are.
        let room = CallSlot.ownCount &* (1 &+ Self.shortValue)
        if let start = walk.key.appendUninitialized(room) {
            let end = write(walk.ownSlots, of: walk, to: start, room: room)
            walk.key.truncate(to: end.map { $0 - start } ?? 0)
            if end == nil { makeLongKey(&walk) }
        }
        for index in dimensions.indices {
            withValue(of: index, &walk) { value, key in
                key.append(varint: UInt64(value.count))
                key.append(value)
            }
        }
        let missing = Self.usualKey - walk.key.count
        if missing > 0, let rest = walk.key.appendUninitialized(missing) { memset(rest, 0, missing) }
    }

    /// Writes the values of some of the own slots, and gives where they end; nil when one is long, or they find no room.
    @inline(__always)
    private func write(
        _ slots: UInt64, of walk: borrowing Walk, to start: UnsafeMutableRawPointer, room: Int
    ) -> UnsafeMutableRawPointer? {
        let end = start + room
        let present = slots & walk.call.slots.present
        var at = start
        for slot in 0..<CallSlot.ownCount {
            guard present & 1 &<< UInt64(slot) != 0 else {
                at.storeBytes(of: 0, as: UInt8.self)
                at += 1
                continue
            }
            let value = walk.call.slots.value(slot)
            // With a byte for each of the slots that follow.
            guard value.count <= Self.shortValue, end - at >= CallSlot.ownCount &- slot &+ value.count,
                let from = value.baseAddress
            else { return nil }
            at.storeBytes(of: UInt8(truncatingIfNeeded: value.count), as: UInt8.self)
            copyShort(from, to: at + 1, value.count)
            at += 1 &+ value.count
        }
        return at
    }

    /// Bytes of the longest value whose length is written as one byte.
    private static let shortValue = 127

    /// Writes the same for long values: their lengths begin with a byte that no short one has.
    @inline(never)
    private func makeLongKey(_ walk: inout Walk) {
        for slot in 0..<CallSlot.ownCount {
            let isThere = walk.ownSlots & 1 << UInt64(slot) != 0
            let value = isThere ? walk.call.slots.value(slot) : UnsafeRawBufferPointer(start: nil, count: 0)
            if value.count > Self.shortValue {
                walk.key.append(byte: 0xFF)
                walk.key.append(fixed64: UInt64(value.count))
            } else {
                walk.key.append(byte: UInt8(truncatingIfNeeded: value.count))
            }
            walk.key.append(value)
        }
    }

    /// Calls `body` with the value of a dimension, which may be empty: none.
    private func withValue(
        of index: Int, _ walk: inout Walk, _ body: (UnsafeRawBufferPointer, inout WireWriter) -> Void
    ) {
        for slot in dimensions[index].slots where walk.call.slots.has(slot) {
            return body(walk.call.slots.value(slot), &walk.key)
        }
        for slot in dimensions[index].slots where walk.ofResource.has(slot) {
            return body(walk.ofResource.value(slot), &walk.key)
        }
        if let fallback = dimensions[index].fallback {
            fallback.withUnsafeBytes { body($0, &walk.key) }
        } else {
            body(UnsafeRawBufferPointer(start: nil, count: 0), &walk.key)
        }
    }

    @inline(__always)
    private func series(
        _ family: Int, tag: UInt32, _ recorder: MetricRecorder, _ walk: inout Walk
    ) -> Series? {
        guard let resource = walk.resource else { return nil }
        if let series = recorder.series(family, resource, tag: tag, key: walk.key.bytes) { return series }
        return add(family, tag, resource, recorder, &walk)
    }

    @inline(never)
    private func add(
        _ family: Int, _ tag: UInt32, _ resource: MetricRecorder.Resource, _ recorder: MetricRecorder,
        _ walk: inout Walk
    ) -> Series? {
        walk.encoded.removeAll()
        appendOwn(family, tag, &walk)
        for index in dimensions.indices {
            let name = dimensions[index].name
            // The key is complete; the value is written behind it for a moment.
            let start = walk.key.count
            withValue(of: index, &walk) { value, key in key.append(value) }
            let value = UnsafeRawBufferPointer(rebasing: walk.key.bytes[start...])
            if value.count > 0 { Self.append(name, value, to: &walk.encoded) }
            walk.key.truncate(to: start)
        }
        return recorder.addSeries(
            family, resource, tag: tag, key: walk.key.bytes, attributes: walk.encoded.bytes)
    }

    /// The attributes of the conventions, and those of the family.
    private func appendOwn(_ family: Int, _ tag: UInt32, _ walk: inout Walk) {
        if family == Family.alias { return appendAlias(&walk) }
        for slot in 0..<CallSlot.ownCount where walk.ownSlots & 1 &<< UInt64(slot) != 0 {
            let value = walk.call.slots.value(slot)
            if slot == CallSlot.errorType {
                let isError = family == Family.errors || tag == 1
                if value.count == 0, isError {
                    Self.encoded("_OTHER").withUnsafeBytes { Self.append(Self.name(slot), $0, to: &walk.encoded) }
                    continue
                }
            }
            if value.count > 0 { Self.append(Self.name(slot), value, to: &walk.encoded) }
        }
        if family == Family.errors, let category = ErrorCategory(rawValue: UInt8(truncatingIfNeeded: tag)) {
            Self.append("martlet.genai.error.category", category.metricName, to: &walk.encoded)
        }
    }

    private func appendAlias(_ walk: inout Walk) {
        let response = walk.call.slots.value(CallSlot.responseModel)
        let model = response.count > 0 ? response : walk.call.slots.value(CallSlot.requestModel)
        let provider = walk.call.slots.value(CallSlot.provider)
        if model.count > 0 { Self.append(Array("model".utf8), model, to: &walk.encoded) }
        if provider.count > 0 { Self.append(Array("provider".utf8), provider, to: &walk.encoded) }
    }

    private static func name(_ slot: Int) -> [UInt8] { Array(GenAIMetricsSettings.ownDimensions[slot].utf8) }

    private static func append(_ name: [UInt8], _ value: UnsafeRawBufferPointer, to writer: inout WireWriter) {
        let start = writer.count
        name.withUnsafeBytes { writer.append(field: 1, bytes: $0) }
        writer.append(field: 2, bytes: value)
        writer.wrap(since: start, field: 1)
    }

    private static func append(_ name: StaticString, _ value: StaticString, to writer: inout WireWriter) {
        writer.append(
            field: 1, key: UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount),
            .text(UnsafeRawBufferPointer(start: value.utf8Start, count: value.utf8CodeUnitCount)))
    }
}
