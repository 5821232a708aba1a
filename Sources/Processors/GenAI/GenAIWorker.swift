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
        var charge: GenAICharge
    }

    private let mapping: GenAIMapping
    private let options: Options
    private let account: GenAIAccount
    private var recogniser: SpanRecogniser
    private let call: UnsafeMutablePointer<ModelCall>
    private var scratch = WireWriter()
    private var rewritten = WireWriter()
    private var counter = CallCounter()
    private var pending: [Pending] = []
    private var tails: [ItemTail] = []
    private var charges: [GenAICharge] = []
    private var charged: [(trace: (UInt64, UInt64), span: UInt64)] = []
    /// Of each charge: which of the pending spans it is.
    private var owners: [Int] = []
    /// Items of spans that came before.
    private var resent: [Int] = []
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
        guard !pending.isEmpty else { return }
        counter.decide(.batch)
        charge()
        // When memory was refused for the scratch, the spans go on as they came.
        if !scratch.overflowed { change(batch) }
    }

    private func forget() {
        pending.removeAll(keepingCapacity: true)
        tails.removeAll(keepingCapacity: true)
        charges.removeAll(keepingCapacity: true)
        charged.removeAll(keepingCapacity: true)
        owners.removeAll(keepingCapacity: true)
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
            let resourceMessage = batch.message(of: resource)
            for scopeIndex in resource.scopes {
                let record = scopes[scopeIndex]
                let scope = SpanScope(
                    scopeSpans: batch.message(of: record), resourceSpans: resourceMessage, mapping: mapping)
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
        let isBillable = call.pointee.isPriceable
        // Names matter for what is priced alone.
        let names = isBillable ? reader.prepared(call) : nil
        var record = CallRecord(call, model: names?.pointee.model ?? 0)
        if present.rawValue & PresentCosts.aggregate.rawValue != 0, isBillable { record.aggregate = .wrapper }
        // Refused beyond the counter's bound: such a span counts as it stands.
        counter.add(record)
        let costStart = scratch.count
        var charge = GenAICharge(call, series: names.map { series($0) } ?? 0)
        if record.isCandidate, let names {
            candidates += 1
            writeCost(present, reader, names, &charge)
        } else {
            charge.isBillable = false
            let isOther = !record.kind.isBillable && record.aggregate == .none
            if record.hasUsage, isOther || record.aggregate == .fetch { append(.skipped) }
        }
        let costEnd = scratch.count
        // Counting may replace the costs by a status.
        if costEnd - costStart < sizeOfAggregate, record.hasUsage || record.isCandidate {
            _ = scratch.appendUninitialized(sizeOfAggregate - (costEnd - costStart))
        }
        pending.append(
            Pending(
                item: UInt32(index), start: UInt32(start), costStart: UInt32(costStart), costEnd: UInt32(costEnd),
                isRewritten: isRewritten, hasUsage: record.hasUsage,
                isResent: present.rawValue & PresentCosts.resent.rawValue != 0, originals: originals, charge: charge))
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
        _ charge: inout GenAICharge
    ) {
        if options.keepsReportedCost, let reported = call.pointee.reportedCost {
            return keep(reported, present, &charge)
        }
        guard let parts = names.pointee.cost(of: call) else {
            if names.pointee.isUnknownModel { return append(.noPrice) }
            return writeAnyCost(reader, &charge)
        }
        charge.cost = Money(picodollars: Int128(parts.total))
        charge.isPriced = true
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

    private func writeAnyCost(_ reader: PriceReader, _ charge: inout GenAICharge) {
        let result = reader.cost(of: call)
        guard let total = result.cost else {
            if let status = WrittenStatus(result.status) { append(status) }
            return
        }
        charge.cost = total
        charge.isPriced = true
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
    private func keep(_ reported: Double, _ present: PresentCosts, _ charge: inout GenAICharge) {
        if let currency = call.pointee.costCurrency, currency.count > 0, !equals(currency, "USD") {
            // Another currency is not converted: the number stays where it is, and is in no sum.
            return append(.skipped)
        }
        guard let amount = Money(reported: reported) else { return append(.skipped) }
        charge.cost = amount
        charge.isPriced = true
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
        for index in pending.indices where pending[index].charge.isBillable {
            guard counter.decision(index).rule == .none, !pending[index].isResent else { continue }
            charges.append(pending[index].charge)
            charged.append((counter.records[index].traceID, counter.records[index].spanID))
            owners.append(index)
        }
        if charges.isEmpty { return }
        resent = account.add(charges, charged).map { Int(pending[owners[$0]].item) }
    }

    private func change(_ batch: TelemetryBatch) {
        var mustRewrite = false
        for index in pending.indices {
            let span = pending[index]
            let decision = counter.decision(index).rule
            var end = span.costEnd
            if decision != .none, decision != .fetch, span.hasUsage || span.charge.isBillable {
                // Counted on another span. There is room for the status, made above.
                let status = costs.encoded(.aggregate)
                scratch.replace(at: Int(span.costStart), with: status)
                end = span.costStart + UInt32(status.count)
                pending[index].costEnd = end
            }
            if span.isRewritten {
                mustRewrite = true
            } else if end > span.start {
                tails.append(ItemTail(item: span.item, start: span.start, count: end - span.start))
            }
        }
        if mustRewrite { rewrite(batch) }
        let used = scratch.count
        if !tails.isEmpty { batch.append(tails, from: &scratch) }
        for item in resent { batch.append(costs.resent, toItem: item) }
        // The batch has the storage now; the next one will need as much.
        lastScratch = scratch.count == 0 ? min(used, Self.maximumIdleBytes) : 0
    }

    /// Writes spans anew of which attributes are replaced, removed or cut: keys are unique in a span.
    private func rewrite(_ batch: TelemetryBatch) {
        for span in pending where span.isRewritten {
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
