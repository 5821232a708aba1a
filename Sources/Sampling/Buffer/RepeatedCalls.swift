internal import GenAI
internal import OTLP

/// Finds the spans of a trace whose usage repeats that of others, so that each call counts once over the whole trace.
/// The `genai` processor compares the spans of a request; a framework's span and the client's span of the same call may
/// come in different ones, and are priced both. One owner; not thread-safe.
struct RepeatedCalls: ~Copyable {
    /// Spans whose usage does not count, by their place in the trace, ascending.
    private(set) var places: [Int] = []
    /// Of them those that carry a cost.
    private(set) var priced: [Int] = []
    /// What the costs of `priced` add up to.
    private(set) var cost = Money.zero

    /// Made when the first trace needs it: the mapping takes memory.
    private var finder: Finder?
    /// The built-in mapping could not be read.
    private var isBroken = false

    /// Forgets the last trace.
    mutating func clear() {
        guard !places.isEmpty || !priced.isEmpty else { return }
        places.removeAll(keepingCapacity: true)
        priced.removeAll(keepingCapacity: true)
        cost = .zero
    }

    /// Looks at a trace: the segments from `first` on.
    mutating func find(_ first: UnsafeMutablePointer<Segment>?, _ envelopes: borrowing EnvelopeTable) {
        clear()
        if finder == nil, !isBroken {
            finder = (try? GenAIMapping.builtIn()).map { Finder($0) }
            isBroken = finder == nil
        }
        guard let finder else { return }
        finder.begin()
        var next = first
        while let segment = next {
            next = segment.pointee.next
            if !segment.pointee.areLogs {
                finder.add(segment.pointee.bytes > 0 ? segment.content : .nothing, envelopes[segment.pointee.envelope])
            }
        }
        finder.decide { place, reported in
            places.append(place)
            guard let reported else { return }
            priced.append(place)
            if let amount = Money(reported: reported) { cost += amount }
        }
    }

    /// What it takes to compare spans. An object, because it is optional and cannot be copied.
    private final class Finder {
        private let mapping: GenAIMapping
        private var recogniser: SpanRecogniser
        private let call: UnsafeMutablePointer<ModelCall>
        private var counter = CallCounter()
        /// A span that is priced or an aggregate.
        private struct Owner {
            /// Of the counter; nil for one that does not count, whatever others are.
            var record: Int?
            /// Which span of the trace it is.
            var place: Int
            var cost: Double?
        }

        private var owners: [Owner] = []
        /// Records that are priced, by their index.
        private var arePriced: [Bool] = []
        private var place = 0

        init(_ mapping: GenAIMapping) {
            self.mapping = mapping
            recogniser = SpanRecogniser(mapping: mapping)
            call = .allocate(capacity: 1)
            call.initialize(to: ModelCall())
        }

        deinit { call.deallocate() }

        func begin() {
            counter.removeAll()
            owners.removeAll(keepingCapacity: true)
            arePriced.removeAll(keepingCapacity: true)
            place = 0
        }

        func add(_ run: UnsafeRawBufferPointer, _ envelope: EnvelopeTable.Envelope) {
            let scope = SpanScope(scopeSpans: envelope.scope, mapping: mapping)
            guard var fields = FieldCursor(run) else { return }
            while let key = fields.key() {
                guard key == 0x12, let span = fields.bytes() else { return }
                add(span, scope)
                place += 1
            }
        }

        private func add(_ span: UnsafeRawBufferPointer, _ scope: SpanScope) {
            let none = UnsafeRawBufferPointer(start: nil, count: 0)
            let state = CallState(of: span)
            let isCounted = state != .resent && state != .skipped
            var index: Int?
            if isCounted, recogniser.recognise(span, none, scope, call) {
                var record = CallRecord(call.pointee)
                if state == .aggregate, call.pointee.isPriceable { record.aggregate = .wrapper }
                if counter.add(record) { index = counter.records.count - 1 }
            } else if let link = CallRecord(linkOf: span), counter.add(link) {
                arePriced.append(false)
            }
            if index != nil { arePriced.append(state == .priced) }
            if state == .aggregate {
                owners.append(Owner(record: index, place: place))
            } else if state == .priced, let index {
                owners.append(Owner(record: index, place: place, cost: call.pointee.reportedCost ?? 0))
            }
        }

        func decide(_ body: (Int, Double?) -> Void) {
            counter.decide(.wholeTraces)
            for owner in owners {
                guard let record = owner.record else {
                    body(owner.place, nil)
                    continue
                }
                let decision = counter.decision(record)
                if decision.rule == .none { continue }
                // A cost gives way to another one, not to a span without any.
                if owner.cost != nil, let winner = decision.countedBy, !arePriced[winner] { continue }
                body(owner.place, owner.cost)
            }
        }
    }
}

/// What the `genai` processor has written about a call's cost on its span.
enum CallState: UInt8, Sendable {
    /// Nothing.
    case unknown
    case priced
    /// The usage repeats that of other spans of the same request.
    case aggregate
    /// Nothing to be billed, or in another currency.
    case skipped
    /// There is no cost.
    case unpriced
    /// The span came, and was counted, before.
    case resent

    private static let prefix: [UInt8] = Array("gen_ai.cost.".utf8)
    private static let keyBytes = 18

    /// Reads one encoded attribute; nil when it is about something else.
    @inline(__always)
    init?(attribute: UnsafeRawBufferPointer) {
        // Both keys have 18 bytes, and writers put the key first.
        guard attribute.count > Self.keyBytes + 2, attribute[0] == 0x0A, attribute[1] == UInt8(Self.keyBytes) else {
            return nil
        }
        self.init(longAttribute: attribute)
    }

    private init?(longAttribute attribute: UnsafeRawBufferPointer) {
        let key = UnsafeRawBufferPointer(rebasing: attribute[2..<2 + Self.keyBytes])
        guard UnsafeRawBufferPointer(rebasing: key[..<Self.prefix.count]).isEqual(to: Self.prefix),
            let pair = KeyValue(attribute)
        else { return nil }
        switch (key[Self.prefix.count], key[Self.prefix.count + 1], ScalarValue(pair.value)) {
        case (UInt8(ascii: "s"), UInt8(ascii: "t"), .text(let text)):
            switch text.count {
            case 6 where text.isEqual(to: Array("priced".utf8)): self = .priced
            case 9 where text.isEqual(to: Array("aggregate".utf8)): self = .aggregate
            case 7 where text.isEqual(to: Array("skipped".utf8)): self = .skipped
            default: self = .unpriced
            }
        case (UInt8(ascii: "r"), UInt8(ascii: "e"), .bool(true)): self = .resent
        default: return nil
        }
    }

    /// Reads all attributes of a span.
    init(of span: UnsafeRawBufferPointer) {
        self = .unknown
        guard var fields = FieldCursor(span) else { return }
        while let key = fields.key() {
            if key == 0x4A {
                guard let attribute = fields.bytes() else { return }
                if let found = CallState(attribute: attribute) { note(found) }
            } else if !fields.skip(key & 7) {
                return
            }
        }
    }

    /// Takes note of a further attribute of the span: that it came before weighs most.
    @inline(__always)
    mutating func note(_ other: CallState) { if self != .resent { self = other } }

    /// Whether the usage on the span counts, as far as the span alone says.
    var counts: Bool { self == .unknown || self == .priced || self == .unpriced }

    /// Whether a key is one of those that say what a call cost.
    static func isCost(_ key: UnsafeRawBufferPointer) -> Bool {
        for prefix in costPrefixes where key.count >= prefix.count {
            if UnsafeRawBufferPointer(rebasing: key[..<prefix.count]).isEqual(to: prefix) { return true }
        }
        return false
    }

    /// `gen_ai.cost.resent` says nothing about the amount.
    private static let costPrefixes = [
        "gen_ai.usage.cost", "gen_ai.cost.input", "gen_ai.cost.output", "gen_ai.cost.cache_", "gen_ai.cost.currency",
        "gen_ai.cost.source", "gen_ai.cost.price_version", "gen_ai.cost.status", "llm.cost.",
    ].map { Array($0.utf8) }
}
