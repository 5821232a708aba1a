// A request's wire bytes from anywhere: the first byte chooses the signal. What the scanner accepts is split, written
// again, and unpacked through the views.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzProtobufIn(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    guard let data, size > 0 else { return 0 }
    let signal = Signal.allCases[Int(data[0]) % Signal.allCases.count]
    let bytes = WireBytes(copying: UnsafeRawBufferPointer(start: data + 1, count: size - 1))
    let limits = DecodeLimits(maximumDepth: 32, maximumItems: 1000)
    guard let batch = try? TelemetryBatch(bytes, signal: signal, limits: limits) else { return 0 }

    let arena = WireArena(limit: 1 << 20)
    for item in batch.items { readItem(batch.payload(of: item), signal, arena) }
    let half = batch.items.count / 2
    for part in [0..<half, half..<batch.items.count] {
        var writer = WireWriter(limit: 16 << 20)
        batch.encode(part, into: &writer)
        guard let again = try? TelemetryBatch(WireBytes(taking: &writer), signal: signal, limits: limits) else {
            fatalError("our own bytes are refused")
        }
        if again.items.count != part.count { fatalError("items were lost or made up") }
    }
    return 0
}

private func readItem(_ bytes: UnsafeRawBufferPointer, _ signal: Signal, _ arena: WireArena) {
    defer { arena.reset() }
    switch signal {
    case .traces:
        guard let span = SpanView(bytes, arena: arena) else { return }
        readAttributes(span.attributes, arena)
        for event in span.events {
            if let event = EventView(event, arena: arena) { readAttributes(event.attributes, arena) }
        }
        for link in span.links { if let link = LinkView(link, arena: arena) { readAttributes(link.attributes, arena) } }
        _ = StatusView(span.status, arena: arena)?.code
    case .logs:
        guard let record = LogRecordView(bytes, arena: arena) else { return }
        readAttributes(record.attributes, arena)
        readValue(record.body, arena, depth: 0)
    case .metrics:
        guard let metric = MetricView(bytes, arena: arena) else { return }
        readAttributes(metric.metadata, arena)
        readPoints(metric, arena)
    }
}

private func readPoints(_ metric: MetricView, _ arena: WireArena) {
    switch metric.data {
    case .empty: return
    case .gauge(let bytes), .sum(let bytes):
        for point in MetricDataView(bytes, arena: arena)?.dataPoints ?? .none {
            _ = NumberDataPointView(point, arena: arena).map { readAttributes($0.attributes, arena) }
        }
    case .histogram(let bytes):
        for point in MetricDataView(bytes, arena: arena)?.dataPoints ?? .none {
            _ = HistogramDataPointView(point, arena: arena)?.bucketCounts.reduce(0, &+)
        }
    case .exponentialHistogram(let bytes):
        for point in MetricDataView(bytes, arena: arena)?.dataPoints ?? .none {
            guard let point = ExponentialHistogramDataPointView(point, arena: arena) else { continue }
            _ = BucketsView(point.positive, arena: arena)?.bucketCounts.reduce(0, &+)
        }
    case .summary(let bytes):
        for point in MetricDataView(bytes, arena: arena)?.dataPoints ?? .none {
            for value in SummaryDataPointView(point, arena: arena)?.quantileValues ?? .none {
                _ = ValueAtQuantileView(value, arena: arena)?.value
            }
        }
    }
}

private func readAttributes(_ attributes: ByteSlices, _ arena: WireArena) {
    for attribute in attributes {
        guard let pair = KeyValueView(attribute, arena: arena) else { continue }
        readValue(pair.value, arena, depth: 0)
    }
}

private func readValue(_ bytes: UnsafeRawBufferPointer, _ arena: WireArena, depth: Int) {
    guard depth < 64, let value = AnyValueView(bytes, arena: arena)?.value else { return }
    switch value {
    case .array(let array):
        for element in ArrayValueView(array, arena: arena)?.values ?? .none {
            readValue(element, arena, depth: depth + 1)
        }
    case .keyValueList(let list):
        for pair in KeyValueListView(list, arena: arena)?.values ?? .none {
            if let pair = KeyValueView(pair, arena: arena) { readValue(pair.value, arena, depth: depth + 1) }
        }
    case .string(let text): _ = text.reduce(0, &+)
    default: return
    }
}

extension ByteSlices {
    fileprivate static var none: ByteSlices { ByteSlices(nil, 0) }
}
