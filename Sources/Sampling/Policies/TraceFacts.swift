internal import OTLP

/// What is known about one trace: gathered in one pass over its spans, then asked by the policies. The memory is used
/// again for the next trace. One owner; not thread-safe.
struct TraceFacts: ~Copyable {
    /// Different values that `distinct` tells apart; more count as this many.
    static let maximumDistinct = 4096
    /// Different values of a key's attribute that go into the key, and bytes of each.
    static let maximumKeyValues = 100
    static let maximumKeyBytes = 64

    struct Number {
        var value = 0.0
        var count = 0
        /// Of the present span, for sums of usage: it is known at its end whether they count.
        var ofSpan = 0.0
        var countOfSpan = 0
    }

    let plan: FactsPlan
    private(set) var traceID: (high: UInt64, low: UInt64) = (0, 0)
    private(set) var spans = 0
    /// Encoded bytes, each envelope once in a row.
    private(set) var bytes = 0
    private(set) var start: UInt64 = 0
    private(set) var end: UInt64 = 0
    /// Conditions that hold on some span.
    private(set) var bits = ConditionBits()
    /// Groups that hold on some span, a bit each.
    private(set) var groups: UInt64 = 0
    private(set) var numbers: [Number]
    private var distinct: [Set<UInt64>]
    /// Values of each key slot.
    private(set) var keyValues: [[[UInt8]]]
    /// The randomness that a span carries, and the smallest threshold that one came with.
    private(set) var randomness: Randomness?
    private(set) var threshold: Threshold?
    /// Spans without a threshold: nobody sampled them, as far as is known.
    private(set) var hasUnsampledSpan = false
    /// Spans by what is known of their costs; with two of the first or one of the second, calls may repeat each other.
    private var pricedSpans = 0
    private var aggregateSpans = 0
    /// Spans whose usage does not count, by their place; nil goes by what the spans say.
    private var repeats: ArraySlice<Int>?
    private var scratch = TextPattern.Scratch()

    init(_ plan: FactsPlan) {
        self.plan = plan
        numbers = Array(repeating: Number(), count: plan.numbers.count)
        distinct = Array(repeating: [], count: plan.numbers.count)
        keyValues = Array(repeating: [], count: plan.keySlots)
    }

    /// Forgets the last trace.
    ///
    /// - Parameter repeats: spans of the new one whose usage does not count, by their place, ascending; nil goes by what
    ///   the spans say of themselves.
    mutating func begin(_ id: (high: UInt64, low: UInt64), repeats: [Int]? = nil) {
        traceID = id
        self.repeats = repeats?[...]
        pricedSpans = 0
        aggregateSpans = 0
        spans = 0
        bytes = 0
        start = 0
        end = 0
        bits = ConditionBits()
        groups = 0
        randomness = nil
        threshold = nil
        hasUnsampledSpan = false
        for index in numbers.indices {
            numbers[index] = Number()
            if !distinct[index].isEmpty { distinct[index].removeAll(keepingCapacity: true) }
        }
        for slot in keyValues.indices where !keyValues[slot].isEmpty { keyValues[slot] = [] }
    }

    /// Whether there are spans that comparing all calls of the trace may find to count, or not to count.
    var mayRepeatCalls: Bool { pricedSpans > 1 || aggregateSpans > 0 }

    /// How long the trace took, in whole milliseconds.
    var milliseconds: Int64 { Self.milliseconds(start, end) }

    static func milliseconds(_ start: UInt64, _ end: UInt64) -> Int64 {
        end >= start ? Int64(clamping: (end - start) / 1_000_000) : -Int64(clamping: (start - end) / 1_000_000)
    }

    // MARK: Resources

    /// Which conditions hold on a resource: `fields` are those of a `ResourceSpans`.
    mutating func resourceBits(_ fields: UnsafeRawBufferPointer) -> ConditionBits {
        var found = ConditionBits()
        guard plan.wantsAttributes else { return found }
        forEachResourceAttribute(fields) { facts, attribute in facts.test(attribute, isSpan: false, &found) }
        return found
    }

    /// Adds a resource's values to the adaptive keys.
    private mutating func addKeyValues(_ fields: UnsafeRawBufferPointer) {
        forEachResourceAttribute(fields) { facts, attribute in facts.addKeyValue(attribute) }
    }

    private mutating func forEachResourceAttribute(
        _ fields: UnsafeRawBufferPointer, _ body: (inout TraceFacts, KeyValue) -> Void
    ) {
        guard var outer = FieldCursor(fields) else { return }
        while let key = outer.key() {
            guard key == 0x0A, let resource = outer.bytes() else {
                if key == 0x0A || !outer.skip(key & 7) { return }
                continue
            }
            guard var inner = FieldCursor(resource) else { continue }
            while let field = inner.key() {
                guard field == 0x0A, let attribute = inner.bytes() else {
                    if field == 0x0A || !inner.skip(field) { return }
                    continue
                }
                if let pair = KeyValue(attribute) { body(&self, pair) }
            }
        }
    }

    // MARK: Spans

    /// Adds the bytes of a resource and a scope that follow other ones.
    mutating func add(resource: UnsafeRawBufferPointer, scope: UnsafeRawBufferPointer) {
        bytes += resource.count + scope.count
        if plan.keySlots > 0 { addKeyValues(resource) }
    }

    /// Adds a run of spans, encoded as fields of a `ScopeSpans`. `resourceBits` are those of their resource.
    mutating func add(run: UnsafeRawBufferPointer, resourceBits: ConditionBits) {
        bytes += run.count
        guard var fields = FieldCursor(run) else { return }
        while let key = fields.key() {
            guard key == 0x12, let span = fields.bytes() else { return }
            add(span: span, resourceBits)
        }
    }

    private struct Header {
        var start: UInt64 = 0
        var end: UInt64 = 0
        var status = StatusCodes.unset
        var flags: UInt32 = 0
        var isRoot = true
        var traceState = UnsafeRawBufferPointer(start: nil, count: 0)
        var call = CallState.unknown
    }

    private mutating func add(span: UnsafeRawBufferPointer, _ resourceBits: ConditionBits) {
        var header = Header()
        var found = resourceBits
        read(span, &header, &found)
        if header.call != .unknown || plan.sumsUsage { addUsage(header.call) }
        spans += 1
        if header.start != 0, start == 0 || header.start < start { start = header.start }
        if header.end > end { end = header.end }
        for (condition, test) in plan.headers where holds(test, header) { found.insert(condition) }
        bits |= found
        for index in plan.groups.indices where groups & (1 << UInt64(index)) == 0 {
            let group = plan.groups[index]
            if group.isRoot, !header.isRoot { continue }
            if found.isSuperset(of: group.required), (found & group.excluded).isEmpty { groups |= 1 << UInt64(index) }
        }
        if plan.readsSampling { readSampling(header.traceState) }
    }

    /// Adds the span's usage, if it counts.
    private mutating func addUsage(_ call: CallState) {
        switch call {
        case .priced: pricedSpans += 1
        case .aggregate: aggregateSpans += 1
        default: break
        }
        var counts = call.counts
        if repeats != nil, call == .priced || call == .aggregate {
            counts = repeats?.first != spans
            if !counts { repeats?.removeFirst() }
        }
        for index in plan.usage where numbers[index].countOfSpan > 0 {
            if counts {
                numbers[index].value += numbers[index].ofSpan
                numbers[index].count += numbers[index].countOfSpan
            }
            numbers[index].ofSpan = 0
            numbers[index].countOfSpan = 0
        }
    }

    @inline(__always)
    private mutating func read(
        _ span: UnsafeRawBufferPointer, _ header: inout Header, _ found: inout ConditionBits
    ) {
        guard var fields = FieldCursor(span) else { return }
        while let key = fields.key() {
            switch key {
            case 0x4A:
                guard let attribute = fields.bytes() else { return }
                if let state = CallState(attribute: attribute) { header.call.note(state) }
                if plan.wantsAttributes, let pair = KeyValue(attribute) { test(pair, isSpan: true, &found) }
            case 0x39:
                guard let time = fields.fixed64() else { return }
                header.start = time
            case 0x41:
                guard let time = fields.fixed64() else { return }
                header.end = time
            case 0x22:
                guard let parent = fields.bytes() else { return }
                header.isRoot = parent.allSatisfy { $0 == 0 }
            case 0x1A:
                guard let state = fields.bytes() else { return }
                header.traceState = state
            case 0x7A:
                guard let status = fields.bytes() else { return }
                header.status = Self.status(status)
            case 0x85:
                guard let flags = fields.fixed32() else { return }
                header.flags = flags
            default:
                if !fields.skip(key & 7) { return }
            }
        }
    }

    private static func status(_ message: UnsafeRawBufferPointer) -> StatusCodes {
        guard var fields = FieldCursor(message) else { return .unset }
        var code: UInt64 = 0
        while let key = fields.key() {
            if key == 0x18 {
                guard let value = fields.varint() else { break }
                code = value
            } else if !fields.skip(key & 7) {
                break
            }
        }
        return code == 2 ? .error : code == 1 ? .ok : code == 0 ? .unset : []
    }

    private func holds(_ test: SpanCondition, _ header: Header) -> Bool {
        switch test {
        case .attribute: return false
        case .status(let codes): return !codes.isDisjoint(with: header.status)
        case .sampledFlag: return header.flags & 1 != 0
        case .duration(let threshold, let upper):
            return Self.isWithin(Self.milliseconds(header.start, header.end), threshold, upper)
        case .traceState(let key, let values):
            return header.traceState.count > 0 && Self.member(key, of: header.traceState, isOneOf: values)
        }
    }

    /// otelcol's latency window.
    static func isWithin(_ duration: Int64, _ threshold: Int64, _ upper: Int64?) -> Bool {
        guard let upper else { return duration >= threshold }
        return threshold < duration && duration <= upper
    }

    /// Whether a valid trace state has the member with one of the values.
    private static func member(_ key: [UInt8], of state: UnsafeRawBufferPointer, isOneOf values: [[UInt8]]) -> Bool {
        guard (try? TraceState(state)) != nil else { return false }
        for member in state.split(separator: 0x2C) {
            var member = UnsafeRawBufferPointer(rebasing: member)
            while let first = member.first, first == 0x20 || first == 0x09 {
                member = UnsafeRawBufferPointer(rebasing: member.dropFirst())
            }
            while let last = member.last, last == 0x20 || last == 0x09 {
                member = UnsafeRawBufferPointer(rebasing: member.dropLast())
            }
            guard let equals = member.firstIndex(of: 0x3D) else { continue }
            guard UnsafeRawBufferPointer(rebasing: member[..<equals]).isEqual(to: key) else { continue }
            let value = UnsafeRawBufferPointer(rebasing: member[(equals + 1)...])
            return values.contains { value.isEqual(to: $0) }
        }
        return false
    }

    private mutating func readSampling(_ traceState: UnsafeRawBufferPointer) {
        guard traceState.count > 0, let state = try? TraceState(traceState) else {
            hasUnsampledSpan = true
            return
        }
        if randomness == nil { randomness = state.randomness }
        guard let came = state.threshold else {
            hasUnsampledSpan = true
            return
        }
        threshold = threshold.map { min($0, came) } ?? came
    }

    // MARK: Attributes

    private mutating func test(_ attribute: KeyValue, isSpan: Bool, _ found: inout ConditionBits) {
        guard plan.lengths & (1 << UInt64(min(attribute.key.count, 63))) != 0 else { return }
        for index in plan.keys.indices where attribute.key.isEqual(to: plan.keys[index].name) {
            let value = ScalarValue(attribute.value)
            for (condition, test) in plan.keys[index].tests where holds(test, value, isSpan: isSpan) {
                found.insert(condition)
            }
            guard isSpan else { return }
            for number in plan.keys[index].numbers { gather(number, value, attribute.value) }
            for slot in plan.keys[index].keySlots { addKeyValue(slot, value) }
            return
        }
    }

    private func holds(_ test: FactsPlan.CompiledTest, _ value: ScalarValue, isSpan: Bool) -> Bool {
        switch (test, value) {
        case (.text(let values), .text(let text)):
            return (text.count > 0 || !isSpan) && values.contains { text.isEqual(to: $0) }
        case (.pattern(let patterns), .text(let text)):
            return (text.count > 0 || !isSpan) && patterns.contains { $0.isFound(in: text, scratch) }
        case (.bool(let wanted), .bool(let flag)):
            return wanted == flag
        case (.number(let minimum, let maximum), .int(let number)):
            return minimum.map { number >= $0 } ?? true && maximum.map { number <= $0 } ?? true
        case (.number(let minimum, let maximum), .double(let number)):
            guard !number.isNaN else { return false }
            return minimum.map { number >= Double($0) } ?? true && maximum.map { number <= Double($0) } ?? true
        default:
            return false
        }
    }

    private mutating func gather(_ index: Int, _ value: ScalarValue, _ encoded: UnsafeRawBufferPointer) {
        let number = plan.numbers[index]
        if !number.values.isEmpty {
            guard case .text(let text) = value, number.values.contains(where: { text.isEqual(to: $0) }) else { return }
        }
        switch number.function {
        case .count:
            numbers[index].value += 1
        case .distinct:
            guard distinct[index].count < Self.maximumDistinct else { return }
            var hasher = Hasher()
            hasher.combine(bytes: encoded)
            distinct[index].insert(UInt64(bitPattern: Int64(hasher.finalize())))
            numbers[index].value = Double(distinct[index].count)
        case .sum, .max:
            let amount: Double
            switch value {
            case .int(let integer): amount = Double(integer)
            case .double(let real) where real.isFinite: amount = real
            default: return
            }
            if number.isUsage {
                numbers[index].ofSpan += amount
                numbers[index].countOfSpan += 1
                return
            }
            let isSum = number.function == .sum
            let old = numbers[index]
            numbers[index].value = isSum ? old.value + amount : old.count == 0 ? amount : max(old.value, amount)
        }
        numbers[index].count += 1
    }

    private mutating func addKeyValue(_ attribute: KeyValue) {
        for index in plan.keys.indices where attribute.key.isEqual(to: plan.keys[index].name) {
            for slot in plan.keys[index].keySlots { addKeyValue(slot, ScalarValue(attribute.value)) }
        }
    }

    private mutating func addKeyValue(_ slot: Int, _ value: ScalarValue) {
        guard keyValues[slot].count < Self.maximumKeyValues else { return }
        let text: [UInt8]
        switch value {
        case .text(let bytes): text = Array(bytes.prefix(Self.maximumKeyBytes))
        case .bool(let flag): text = Array((flag ? "true" : "false").utf8)
        case .int(let number): text = Array(String(number).utf8)
        case .double(let number): text = Array(number.description.utf8)
        case .other: return
        }
        if !keyValues[slot].contains(text) { keyValues[slot].append(text) }
    }
}
