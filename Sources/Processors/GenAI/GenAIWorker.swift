internal import GenAI
internal import OTLP

/// What one thread needs to work on a batch. Used by one thread at a time; its memory is kept between batches.
final class GenAIWorker {
    struct Options: Sendable {
        var keepsReportedCost: Bool
        var writesConventions: Bool
    }

    /// Most bytes of current attributes that one span gets: 64 KiB. Beyond it the span keeps the names it has.
    static let maximumAddedBytes = 64 << 10
    /// Scratch memory that is kept after a batch: 4 MiB.
    private static let maximumIdleBytes = 4 << 20

    /// One AI span of the batch.
    private struct Pending {
        var item: Int
        /// Of the scratch: the current attributes, then the cost attributes, to `costEnd`.
        var start: Int
        var costStart: Int
        var costEnd: Int
        /// Something that is added may be there already, under the same name.
        var mayRepeat: Bool
        var hasUsage: Bool
        /// What counting needs; the slices are valid until the batch is changed.
        var charge: GenAICharge
    }

    private let mapping: GenAIMapping
    private let options: Options
    private var recogniser: SpanRecogniser
    private let call: UnsafeMutablePointer<ModelCall>
    private var scratch = WireWriter()
    private var counter = CallCounter()
    private var pending: [Pending] = []
    private var charges: [GenAICharge] = []
    private var costs: CostAttributes
    private var priceGeneration = -1
    private var candidates = 0

    init(_ mapping: GenAIMapping, _ options: Options) {
        self.mapping = mapping
        self.options = options
        recogniser = SpanRecogniser(mapping: mapping)
        call = .allocate(capacity: 1)
        call.initialize(to: ModelCall())
        costs = CostAttributes(priceVersion: "")
    }

    deinit { call.deallocate() }

    func process(_ batch: TelemetryBatch, prices: PriceBook, account: GenAIAccount) {
        guard batch.signal == .traces else { return }
        let generation = prices.generation
        if generation != priceGeneration {
            costs = CostAttributes(priceVersion: prices.version)
            priceGeneration = generation
        }
        candidates = 0
        prices.withReader { look(at: batch, $0) }
        defer { forget() }
        guard !pending.isEmpty else { return }
        counter.decide(.batch)
        charge(account)
        // When memory was refused for the scratch, the spans go on as they came.
        if !scratch.overflowed { change(batch) }
    }

    private func forget() {
        pending.removeAll(keepingCapacity: true)
        charges.removeAll(keepingCapacity: true)
        counter.removeAll()
        if scratch.count > Self.maximumIdleBytes { scratch = WireWriter() } else { scratch.removeAll() }
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
                    if recogniser.recognise(payload, tail: tail, scope: scope, into: &call.pointee) {
                        take(index, payload, tail, reader)
                    }
                }
            }
        }
        if candidates > 1, pending.count < items.count { link(batch, items) }
    }

    /// Writes what the span at `index`, whose call has been read, gets.
    private func take(
        _ index: Int, _ payload: UnsafeRawBufferPointer, _ tail: UnsafeRawBufferPointer, _ reader: PriceReader
    ) {
        let start = scratch.count
        var present = PresentCosts(payload)
        if tail.count > 0 { present.formUnion(PresentCosts(tail)) }
        var mayRepeat = present.contains(.anything)
        if options.writesConventions {
            let fields = mapping.fieldsToWrite(call.pointee)
            if !fields.isEmpty {
                mapping.append(fields, of: call.pointee, to: &scratch)
                if scratch.count - start > Self.maximumAddedBytes { scratch.truncate(to: start) }
                if !fields.isDisjoint(with: call.pointee.outdated) { mayRepeat = true }
            }
        }
        var record = CallRecord(call.pointee)
        if present.contains(.aggregate), record.isCandidate { record.aggregate = .wrapper }
        // Refused beyond the counter's bound: such a span counts as it stands.
        counter.add(record)
        let costStart = scratch.count
        var charge = GenAICharge(call.pointee)
        writeCost(record, present, reader, &charge)
        if record.isCandidate { candidates += 1 }
        pending.append(
            Pending(
                item: index, start: start, costStart: costStart, costEnd: scratch.count, mayRepeat: mayRepeat,
                hasUsage: record.hasUsage, charge: charge))
    }

    private func writeCost(
        _ record: CallRecord, _ present: PresentCosts, _ reader: PriceReader, _ charge: inout GenAICharge
    ) {
        guard record.isCandidate else {
            charge.isBillable = false
            let isOther = !record.kind.isBillable && record.aggregate == .none
            if record.hasUsage, isOther || record.aggregate == .fetch { append(.skipped) }
            return
        }
        if options.keepsReportedCost, let reported = call.pointee.reportedCost {
            return keep(reported, present, &charge)
        }
        let result = price(reader)
        if let total = result.cost {
            charge.cost = total
            charge.isPriced = true
            costs.append(result.parts, total: total, to: &scratch)
        } else if let status = WrittenStatus(result.status) {
            append(status)
        }
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

    /// The price of the model that answered, else of the one that was asked.
    private func price(_ reader: PriceReader) -> CostResult {
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        let provider = call.pointee.provider ?? none
        let tier = call.pointee.serviceTier.map { ServiceTier($0) } ?? .standard
        let mode = Self.mode(call.pointee.kind)
        let time = call.pointee.startTime
        let requested = call.pointee.requestModel
        let model = call.pointee.responseModel ?? requested ?? none
        let result = reader.cost(
            of: call.pointee.usage, provider: provider, model: model, serviceTier: tier, operation: mode, at: time)
        guard result.status == .unknownModel, let requested, call.pointee.responseModel != nil else { return result }
        return reader.cost(
            of: call.pointee.usage, provider: provider, model: requested, serviceTier: tier, operation: mode, at: time)
    }

    private static func mode(_ kind: CallKind) -> CallMode {
        switch kind {
        case .embeddings: .embedding
        case .rerank: .rerank
        case .image: .image
        default: .unknown
        }
    }

    /// Adds the spans that are no AI spans: they link calls with those above them.
    private func link(_ batch: TelemetryBatch, _ items: [ItemRecord]) {
        var next = 0
        for index in items.indices {
            if next < pending.count, pending[next].item == index {
                next += 1
            } else if let record = CallRecord(linkOf: batch.payload(of: items[index])) {
                counter.add(record)
            }
        }
    }

    // MARK: Counting and writing

    private func charge(_ account: GenAIAccount) {
        for index in pending.indices where pending[index].charge.isBillable {
            if counter.decision(index).rule == .none { charges.append(pending[index].charge) }
        }
        if !charges.isEmpty { account.add(charges) }
    }

    private func change(_ batch: TelemetryBatch) {
        for index in pending.indices {
            let span = pending[index]
            let decision = counter.decision(index).rule
            let isCountedElsewhere =
                decision != .none && decision != .fetch && (span.hasUsage || span.charge.isBillable)
            let end = isCountedElsewhere ? span.costStart : span.costEnd
            if span.mayRepeat {
                replace(span.start..<end, isCountedElsewhere, in: batch, span.item)
                continue
            }
            if end > span.start {
                batch.append(UnsafeRawBufferPointer(rebasing: scratch.bytes[span.start..<end]), toItem: span.item)
            }
            if isCountedElsewhere { batch.append(costs.encoded(.aggregate), toItem: span.item) }
        }
    }

    /// Adds attributes to a span that may have some of them: keys are unique in a span. Rare, and slow.
    private func replace(_ range: Range<Int>, _ isCountedElsewhere: Bool, in batch: TelemetryBatch, _ item: Int) {
        var added = WireWriter()
        added.append(UnsafeRawBufferPointer(rebasing: scratch.bytes[range]))
        if isCountedElsewhere { added.append(costs.encoded(.aggregate)) }
        guard !added.overflowed, added.count > 0 else { return }
        let keys = AttributeKeys(of: added.bytes)
        // A cost that is no longer one may not stay beside a status that says so.
        let dropsCosts = !keys.contains(AddedAttribute.cost) && keys.contains(AddedAttribute.status)
        let isRemoved = batch.removeAttributes(ofItem: item) { key in
            keys.contains(key) || dropsCosts && !options.keepsReportedCost && AttributeKeys.isCost(key)
        }
        if isRemoved { batch.append(added.bytes, toItem: item) }
    }
}
