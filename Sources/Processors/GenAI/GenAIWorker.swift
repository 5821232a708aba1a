internal import GenAI
internal import OTLP

/// What one thread needs to work on a batch. Used by one thread at a time; its memory is kept between batches.
final class GenAIWorker {
    struct Options: Sendable {
        var keepsReportedCost: Bool
        var writesConventions: Bool
        var removesOriginals: Bool
        var mirrors: [CostMirror]
        var content: ContentFilter
    }

    /// Most bytes of current attributes that one span gets: 64 KiB. Beyond it the span keeps the names it has.
    static let maximumAddedBytes = 64 << 10
    /// Scratch memory that is kept after a batch: 4 MiB.
    private static let maximumIdleBytes = 4 << 20

    /// One AI span of the batch.
    private struct Pending {
        var item: UInt32
        /// Of the scratch: the current attributes, then the cost attributes, to `costEnd`, then room for a status.
        var start: UInt32
        var costStart: UInt32
        var costEnd: UInt32
        /// Something that is added may be there already under the same name, or something may have to go.
        var isRewritten: Bool
        var hasUsage: Bool
        /// A Martlet before this one has seen that it came before.
        var isResent: Bool
        /// Fields of which other names are removed.
        var originals: CallFields
    }

    private let mapping: GenAIMapping
    private let options: Options
    private let account: GenAIAccount
    private var recogniser: SpanRecogniser
    private let call: UnsafeMutablePointer<ModelCall>
    private var scratch = WireWriter()
    private var rewritten = WireWriter()
    private var counter = CallCounter()
    /// The AI spans of the batch, and what each adds to the account.
    private var pending = SpanList<Pending>()
    private var charges = SpanList<GenAICharge>()
    private var tails: [ItemTail] = []
    /// Places in `pending` of the spans that are charged, and their fingerprints.
    private var chosen = SpanList<Int32>()
    private var fingerprints = SpanList<CountedSpans.Fingerprint>()
    /// Places of those that came before.
    private var resent: [Int32] = []
    private var costs: CostAttributes
    private let sizeOfAggregate: Int
    private let changesContent: Bool
    private var priceGeneration = -1
    private var candidates = 0
    private var lastScratch = 0

    init(_ mapping: GenAIMapping, _ options: Options, _ account: GenAIAccount) {
        self.mapping = mapping
        self.options = options
        self.account = account
        recogniser = SpanRecogniser(mapping: mapping)
        call = .allocate(capacity: 1)
        call.initialize(to: ModelCall())
        costs = CostAttributes(mapping.costs, options.mirrors, priceVersion: "")
        changesContent = options.content.mode != .keep
        sizeOfAggregate = costs.encoded(.aggregate).count
    }

    deinit { call.deallocate() }

    func process(_ batch: TelemetryBatch, prices: PriceBook) {
        guard batch.signal == .traces else { return }
        let generation = prices.generation
        if generation != priceGeneration {
            costs = CostAttributes(mapping.costs, options.mirrors, priceVersion: prices.version)
            priceGeneration = generation
        }
        candidates = 0
        if lastScratch > 0 { _ = scratch.reserve(lastScratch) }
        prices.withReader { look(at: batch, $0) }
        defer { forget() }
        guard pending.count > 0 else { return }
        counter.decide(.batch)
        charge()
        // When memory was refused for the scratch, the spans go on as they came.
        if !scratch.overflowed { change(batch) }
    }

    private func forget() {
        pending.removeAll()
        charges.removeAll()
        chosen.removeAll()
        fingerprints.removeAll()
        tails.removeAll(keepingCapacity: true)
        resent.removeAll()
        counter.removeAll()
        if scratch.count > Self.maximumIdleBytes { scratch = WireWriter() } else { scratch.removeAll() }
        if rewritten.count > Self.maximumIdleBytes { rewritten = WireWriter() }
    }

    // MARK: Reading

    private func look(at batch: TelemetryBatch, _ reader: PriceReader) {
        let items = batch.items
        let scopes = batch.scopes
        for resource in batch.resources {
            for scopeIndex in resource.scopes {
                let record = scopes[scopeIndex]
                let scope = recogniser.scope(of: batch.message(of: record))
                for index in record.items {
                    let payload = batch.payload(of: items[index])
                    let tail = batch.tail(of: items[index])
                    if recogniser.recognise(payload, tail, scope, call) {
                        if call.pointee.marks.rawValue & ModelCall.Marks.truncated.rawValue != 0 {
                            call.pointee.look(forCostsIn: payload, tail, mapping.costs)
                        }
                        take(index, reader)
                    }
                }
            }
        }
        if candidates > 1, pending.count < items.count { link(batch, items) }
    }

    /// Writes what the span at `index`, whose call has been read, gets.
    private func take(_ index: Int, _ reader: PriceReader) {
        let start = scratch.count
        let present = call.pointee.presentCosts
        // Sets of other modules are compared by their bits: their own operations are not inlined here.
        var isRewritten = present.rawValue != 0 || changesContent
        var originals = CallFields()
        if options.writesConventions {
            let fields = mapping.fieldsToWrite(call)
            if options.removesOriginals { originals = call.pointee.present.intersection(mapping.writtenFields) }
            if fields.rawValue != 0 {
                mapping.append(fields, of: call, to: &scratch)
                if scratch.count - start > Self.maximumAddedBytes {
                    scratch.truncate(to: start)
                    originals = []
                }
                if fields.rawValue & call.pointee.outdated.rawValue != 0 { isRewritten = true }
            }
            if originals.rawValue != 0 { isRewritten = true }
        }
        // Computed properties of other modules are not inlined, and get a copy of the whole call.
        let isBillable = call.pointee.kind.isBillable && call.pointee.aggregate == .none
        // Names matter for what is priced alone.
        let names = isBillable ? reader.prepared(call) : nil
        let isWrapper = present.rawValue & PresentCosts.aggregate.rawValue != 0 && isBillable
        // Refused beyond the counter's bound: such a span counts as it stands.
        counter.add(call, model: names?.pointee.model ?? 0, isWrapper: isWrapper)
        let hasUsage = call.pointee.usage.hasText
        let costStart = scratch.count
        let charge = charges.append()
        charge.pointee.isPriced = false
        charge.pointee.isBillable = false
        let isCandidate = isBillable && !isWrapper
        if isCandidate, let names {
            candidates += 1
            charge.pointee.isBillable = true
            charge.pointee.series = series(names)
            let fingerprint = account.key.fingerprint(traceID: call.pointee.traceID, spanID: call.pointee.spanID)
            charge.pointee.fingerprint = fingerprint
            account.places.prefetch(fingerprint)
            call.pointee.usage.copyBilled(to: &charge.pointee.tokens)
            writeCost(present, reader, names, charge)
        } else if hasUsage, !isWrapper {
            let aggregate = call.pointee.aggregate
            let isOther = !call.pointee.kind.isBillable && aggregate == .none
            if isOther || aggregate == .fetch { append(.skipped) }
        }
        let costEnd = scratch.count
        // Counting may replace the costs by a status.
        if costEnd - costStart < sizeOfAggregate, hasUsage || isCandidate {
            _ = scratch.appendUninitialized(sizeOfAggregate - (costEnd - costStart))
        }
        let span = pending.append()
        span.pointee.item = UInt32(index)
        span.pointee.start = UInt32(start)
        span.pointee.costStart = UInt32(costStart)
        span.pointee.costEnd = UInt32(costEnd)
        span.pointee.isRewritten = isRewritten
        span.pointee.hasUsage = hasUsage
        span.pointee.isResent = present.rawValue & PresentCosts.resent.rawValue != 0
        span.pointee.originals = originals
    }

    @inline(__always)
    private func series(_ names: UnsafeMutablePointer<PreparedCall>) -> Int32 {
        if names.pointee.tag < 0 {
            let none = UnsafeRawBufferPointer(start: nil, count: 0)
            names.pointee.tag = account.series(
                provider: call.pointee.provider ?? none,
                model: call.pointee.responseModel ?? call.pointee.requestModel ?? none)
        }
        return names.pointee.tag
    }

    @inline(__always)
    private func writeCost(
        _ present: PresentCosts, _ reader: PriceReader, _ names: UnsafeMutablePointer<PreparedCall>,
        _ charge: UnsafeMutablePointer<GenAICharge>
    ) {
        if options.keepsReportedCost, call.pointee.present.rawValue & CallFields(.cost).rawValue != 0,
            let reported = call.pointee.reportedCost
        {
            return keep(reported, present, charge)
        }
        guard let parts = names.pointee.cost(of: call) else {
            if names.pointee.isUnknownModel { return append(.noPrice) }
            return writeAnyCost(reader, charge)
        }
        charge.pointee.cost = Money(picodollars: Int128(parts.total))
        charge.pointee.isPriced = true
        // A division by a power of ten rounds correctly.
        var amounts = CostAmounts(
            total: Double(parts.total) / 1e12, input: Double(parts.input) / 1e12, output: Double(parts.output) / 1e12,
            cacheRead: 0, cacheWrite: 0, cacheSavings: 0, allInput: 0)
        if parts.cacheRead | parts.cacheWrite != 0 {
            amounts.cacheRead = Double(parts.cacheRead) / 1e12
            amounts.cacheWrite = Double(parts.cacheWrite) / 1e12
            amounts.cacheSavings = Double(parts.cacheSavings) / 1e12
        }
        if costs.hasMirrors { amounts.allInput = Double(parts.total - parts.output) / 1e12 }
        costs.append(amounts, to: &scratch)
    }

    private func writeAnyCost(_ reader: PriceReader, _ charge: UnsafeMutablePointer<GenAICharge>) {
        let result = reader.cost(of: call)
        guard let total = result.cost else {
            if let status = WrittenStatus(result.status) { append(status) }
            return
        }
        charge.pointee.cost = total
        charge.pointee.isPriced = true
        let parts = result.parts
        let isCached = parts.cacheRead != .zero || parts.cacheWrite != .zero
        let savings = isCached ? reader.cacheSavings(of: call, cost: total) ?? .zero : .zero
        costs.append(
            CostAmounts(
                total: total.doubleValue, input: (parts.input + parts.audioInput).doubleValue,
                output: parts.allOutput.doubleValue, cacheRead: parts.cacheRead.doubleValue,
                cacheWrite: parts.cacheWrite.doubleValue, cacheSavings: savings.doubleValue,
                allInput: parts.allInput.doubleValue), to: &scratch)
    }

    private func append(_ status: WrittenStatus) { scratch.append(costs.encoded(status)) }

    /// A cost that came with the span.
    private func keep(_ reported: Double, _ present: PresentCosts, _ charge: UnsafeMutablePointer<GenAICharge>) {
        if let currency = call.pointee.costCurrency, currency.count > 0, !equals(currency, "USD") {
            // Another currency is not converted: the number stays where it is, and is in no sum.
            return append(.skipped)
        }
        guard let amount = Money(reported: reported) else { return append(.skipped) }
        charge.pointee.cost = amount
        charge.pointee.isPriced = true
        // What another Martlet wrote is complete.
        if present.contains(.ofCollector) { return }
        let isOfProvider = call.pointee.costSource.map { equals($0, "provider") } ?? false
        costs.append(reported: reported, isOfProvider ? .provider : .instrumentation, to: &scratch)
    }

    private func equals(_ text: UnsafeRawBufferPointer, _ name: StaticString) -> Bool {
        text.elementsEqual(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
    }

    /// Adds the spans that are no AI spans: they link calls with those above them.
    private func link(_ batch: TelemetryBatch, _ items: [ItemRecord]) {
        var next = 0
        for index in items.indices {
            if next < pending.count, Int(pending[next].item) == index {
                next += 1
            } else if let record = CallRecord(linkOf: batch.payload(of: items[index])) {
                counter.add(record)
            }
        }
    }

    // MARK: Counting and writing

    private func charge() {
        counter.withDecisions { decisions in
            for index in 0..<pending.count where charges[index].isBillable {
                let isCounted = index >= decisions.count || decisions[index].rule == .none
                guard isCounted, !pending[index].isResent else { continue }
                chosen.append().initialize(to: Int32(truncatingIfNeeded: index))
                fingerprints.append().initialize(to: charges[index].fingerprint)
            }
        }
        if chosen.count == 0 { return }
        resent = account.add(
            GenAICharges(
                all: charges.base, chosen: UnsafeBufferPointer(chosen.elements), fingerprints: fingerprints.elements))
    }

    private func change(_ batch: TelemetryBatch) {
        var mustRewrite = false
        counter.withDecisions { decisions in
            for index in 0..<pending.count {
                let decision = index < decisions.count ? decisions[index].rule : .none
                if decision != .none, decision != .fetch, pending[index].hasUsage || charges[index].isBillable {
                    // Counted on another span. There is room for the status, made above.
                    let status = costs.encoded(.aggregate)
                    let start = pending[index].costStart
                    scratch.replace(at: Int(start), with: status)
                    pending[index].costEnd = start + UInt32(status.count)
                }
                let (start, end) = (pending[index].start, pending[index].costEnd)
                if pending[index].isRewritten {
                    mustRewrite = true
                } else if end > start {
                    tails.append(ItemTail(item: pending[index].item, start: start, count: end - start))
                }
            }
        }
        if mustRewrite { rewrite(batch) }
        let used = scratch.count
        if !tails.isEmpty { batch.append(tails, from: &scratch) }
        for place in resent { batch.append(costs.resent, toItem: Int(pending[Int(place)].item)) }
        // The batch has the storage now; the next one will need as much.
        lastScratch = scratch.count == 0 ? min(used, Self.maximumIdleBytes) : 0
    }

    /// Writes spans anew of which attributes are replaced, removed or cut: keys are unique in a span.
    private func rewrite(_ batch: TelemetryBatch) {
        for place in 0..<pending.count where pending[place].isRewritten {
            let span = pending[place]
            let added = UnsafeRawBufferPointer(rebasing: scratch.bytes[Int(span.start)..<Int(span.costEnd)])
            let item = batch.items[Int(span.item)]
            let keys = AttributeKeys(of: added)
            // A cost that is no longer one may not stay beside a status that says so.
            let dropsCosts =
                !options.keepsReportedCost && keys.contains(mapping.costs[.status])
                && !keys.contains(mapping.costs[.cost])
            let rewriter = SpanRewriter(mapping: mapping, content: options.content)
            rewritten.removeAll()
            let isChanged = rewriter.rewrite([batch.payload(of: item), batch.tail(of: item)], into: &rewritten) { key in
                if keys.contains(key) { return true }
                if dropsCosts, let cost = mapping.costs.attribute(named: key), cost != .status, cost != .resent {
                    return true
                }
                return !span.originals.isEmpty && mapping.isOriginal(key, of: span.originals)
            }
            guard isChanged else {
                batch.append(added, toItem: Int(span.item))
                continue
            }
            rewritten.append(added)
            if !rewritten.overflowed { batch.replaceItem(Int(span.item), with: rewritten.bytes) }
        }
    }
}

/// Values of a plain type, one after the other, that are filled in where they lie. Its memory is kept.
private struct SpanList<Element>: ~Copyable {
    private(set) var base: UnsafeMutablePointer<Element>
    private(set) var count = 0
    private var capacity = 64

    init() { base = .allocate(capacity: 64) }

    deinit { base.deallocate() }

    var elements: UnsafeMutableBufferPointer<Element> { UnsafeMutableBufferPointer(start: base, count: count) }

    /// One more element, which the caller fills in.
    @inline(__always)
    mutating func append() -> UnsafeMutablePointer<Element> {
        if count == capacity { grow() }
        count &+= 1
        return base + (count &- 1)
    }

    @inline(never)
    private mutating func grow() {
        let moved = UnsafeMutablePointer<Element>.allocate(capacity: capacity * 2)
        moved.moveInitialize(from: base, count: count)
        base.deallocate()
        base = moved
        capacity *= 2
    }

    mutating func removeAll() { count = 0 }

    @inline(__always)
    subscript(_ index: Int) -> Element {
        @inline(__always) get { base[index] }
        @inline(__always) nonmutating _modify { yield &base[index] }
    }
}
