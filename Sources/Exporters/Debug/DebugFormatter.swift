internal import OTLP
internal import Pipeline

/// Writes batches as text for people. Keeps its buffers from one batch to the next. One owner; not thread-safe.
struct DebugFormatter: ~Copyable {
    /// Memory that reading one resource, scope or item may take, in bytes. What needs more is shown as unreadable.
    static let arenaLimit = 64 << 20
    /// Levels of lists and maps in a value that are shown.
    static let maximumDepth = 32

    var text: DebugText
    let arena = WireArena(limit: Self.arenaLimit)
    /// An item's message when it has a tail.
    private var joined = WireWriter()

    /// - Parameter limit: most bytes of text for one batch.
    init(limit: Int = DebugText.maximumBytes) { text = DebugText(limit: limit) }

    /// How many of everything a request holds, by the names that are shown.
    mutating func counts(of request: ExportRequest) -> [(name: StaticString, count: Int)] {
        var resources = 0
        var items = 0
        var points = 0
        for slice in request.slices {
            items += slice.items.count
            let batch = slice.batch
            resources += batch.resources.count { batch.items(of: $0).overlaps(slice.items) || slice.isWholeBatch }
            guard request.signal == .metrics else { continue }
            points += slice.itemCount
        }
        return switch request.signal {
        case .traces: [("resource spans", resources), ("spans", items)]
        case .metrics: [("resource metrics", resources), ("metrics", items), ("data points", points)]
        case .logs: [("resource logs", resources), ("log records", items)]
        }
    }

    /// Adds a line such as `Traces⇥{"resource spans": 1, "spans": 2}` to the text.
    mutating func putCounts(_ counts: [(name: StaticString, count: Int)], _ signal: Signal) {
        text.put(Self.title(of: signal))
        text.put("\t{")
        for (index, entry) in counts.enumerated() {
            if index > 0 { text.put(", ") }
            text.put("\"")
            text.put(entry.name)
            text.put("\": ")
            text.put(entry.count)
        }
        text.put("}\n")
    }

    /// `Traces`, `Metrics`, `Logs`.
    static func title(of signal: Signal) -> StaticString {
        switch signal {
        case .traces: "Traces"
        case .metrics: "Metrics"
        case .logs: "Logs"
        }
    }

    /// Adds the content of a request to the text, until that is full.
    mutating func putContent(of request: ExportRequest, detailed: Bool) {
        var number = 0
        for slice in request.slices {
            let batch = slice.batch
            for resource in batch.resources where batch.items(of: resource).overlaps(slice.items) {
                if text.isFull { return }
                putResource(batch.message(of: resource), number: number, request.signal, detailed)
                number += 1
                for (index, scope) in batch.scopes[resource.scopes].filter({ $0.items.overlaps(slice.items) })
                    .enumerated()
                {
                    putScope(batch.message(of: scope), number: index, request.signal, detailed)
                    for (index, item) in batch.items[scope.items.clamped(to: slice.items)].enumerated() {
                        if text.isFull { return }
                        putItem(message(of: item, batch), number: index, request.signal, detailed)
                        arena.reset()
                    }
                }
            }
        }
    }

    /// The item's whole message; valid until the next call.
    private mutating func message(of item: ItemRecord, _ batch: TelemetryBatch) -> UnsafeRawBufferPointer {
        if item.tailCount == 0 { return batch.payload(of: item) }
        joined.removeAll()
        joined.append(batch.payload(of: item))
        joined.append(batch.tail(of: item))
        return joined.bytes
    }

    private mutating func putResource(
        _ message: UnsafeRawBufferPointer, number: Int, _ signal: Signal, _ detailed: Bool
    ) {
        defer { arena.reset() }
        guard let group = ResourceGroupView(message, arena: arena),
            let resource = ResourceView(group.resource, arena: arena)
        else { return putUnreadable() }
        let noun = Self.resourceNoun(signal, detailed)
        if detailed {
            putHeading(noun, number)
            putField("Resource SchemaURL: ", text: group.schemaURL)
            putAttributes("Resource attributes:", resource.attributes)
        } else {
            putLineHeading(noun, number)
            putBracketed(group.schemaURL)
            putPairs(resource.attributes)
            text.endLine()
        }
    }

    private mutating func putScope(
        _ message: UnsafeRawBufferPointer, number: Int, _ signal: Signal, _ detailed: Bool
    ) {
        defer { arena.reset() }
        guard let group = ScopeGroupView(message, arena: arena), let scope = ScopeView(group.scope, arena: arena)
        else { return putUnreadable() }
        let noun = Self.scopeNoun(signal, detailed)
        if detailed {
            putHeading(noun, number)
            text.put(noun)
            putField(" SchemaURL: ", text: group.schemaURL)
            text.put("InstrumentationScope ")
            text.put(text: scope.name)
            text.put(" ")
            text.put(text: scope.version)
            text.endLine()
            putAttributes("InstrumentationScope attributes:", scope.attributes)
        } else {
            putLineHeading(noun, number)
            if !scope.name.isEmpty || !scope.version.isEmpty {
                text.put(text: scope.name)
                text.put(scope.version.isEmpty ? " " : "@")
                text.put(text: scope.version)
                text.put(scope.version.isEmpty ? "" : " ")
            }
            putBracketed(group.schemaURL)
            putPairs(scope.attributes)
            text.endLine()
        }
    }

    private mutating func putItem(
        _ message: UnsafeRawBufferPointer, number: Int, _ signal: Signal, _ detailed: Bool
    ) {
        switch signal {
        case .traces:
            guard let span = SpanView(message, arena: arena) else { return putUnreadable() }
            if detailed { putDetailed(span, number) } else { putLine(span) }
        case .logs:
            guard let record = LogRecordView(message, arena: arena) else { return putUnreadable() }
            if detailed { putDetailed(record, number) } else { putLine(record) }
        case .metrics:
            guard let metric = MetricView(message, arena: arena) else { return putUnreadable() }
            if detailed { putDetailed(metric, number) } else { putLines(metric) }
        }
    }

    /// Stands for what cannot be decoded, or only with more memory than allowed.
    mutating func putUnreadable() { text.put("(unreadable)\n") }

    private mutating func putBracketed(_ schemaURL: UnsafeRawBufferPointer) {
        if schemaURL.isEmpty { return }
        text.put("[")
        text.put(text: schemaURL)
        text.put("] ")
    }

    private mutating func putLineHeading(_ noun: StaticString, _ number: Int) {
        text.put(noun)
        text.put(" #")
        text.put(number)
        text.put(" ")
    }

    private static func resourceNoun(_ signal: Signal, _ detailed: Bool) -> StaticString {
        switch signal {
        case .traces: detailed ? "ResourceSpans" : "ResourceTraces"
        case .metrics: "ResourceMetrics"
        case .logs: "ResourceLog"
        }
    }

    private static func scopeNoun(_ signal: Signal, _ detailed: Bool) -> StaticString {
        switch signal {
        case .traces: detailed ? "ScopeSpans" : "ScopeTraces"
        case .metrics: "ScopeMetrics"
        case .logs: detailed ? "ScopeLogs" : "ScopeLog"
        }
    }
}

extension TelemetryBatch {
    /// The items of all scopes of a resource.
    func items(of resource: ResourceRecord) -> Range<Int> {
        guard let first = scopes[resource.scopes].first, let last = scopes[resource.scopes].last else { return 0..<0 }
        return first.items.lowerBound..<last.items.upperBound
    }
}

extension MetricView.Data {
    /// The encoded message of whichever kind it is.
    var message: UnsafeRawBufferPointer? {
        switch self {
        case .empty: nil
        case .gauge(let bytes), .sum(let bytes), .histogram(let bytes), .exponentialHistogram(let bytes),
            .summary(let bytes):
            bytes
        }
    }
}
