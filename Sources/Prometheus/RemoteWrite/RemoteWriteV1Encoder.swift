internal import OTLP

/// Writes `prometheus.WriteRequest` (remote write 1.0).
package final class RemoteWriteV1Encoder: RemoteWriteEncoder {
    /// Fills one shard's body.
    private final class Shard {
        var writer = WireWriter()
        var counts = RemoteWriteCounts()
    }

    private var maximumBytes = Int.max
    private let output: RemoteWriteOutput
    private var shards: [Shard] = [Shard()]
    private var shardCount = 1
    private var metadata: MetadataSchedule?
    private var metadataBody = WireWriter()
    private var now: Int64 = 0

    /// Milliseconds between two announcements of a metric's metadata, as in Prometheus.
    private static let metadataInterval: Int64 = 60_000

    /// - Parameters:
    ///   - sendsMetadata: whether type, help and unit of the metrics are sent, each once a minute, in bodies of their
    ///     own in shard 0.
    ///   - output: takes the bodies, during any method.
    package init(sendsMetadata: Bool, output: @escaping RemoteWriteOutput) {
        self.output = output
        metadata = sendsMetadata ? MetadataSchedule(interval: Self.metadataInterval) : nil
    }

    /// See `RemoteWriteEncoder`.
    package func start(shards count: Int, maximumBytes: Int, now: Int64) {
        self.maximumBytes = maximumBytes
        shardCount = max(1, count)
        self.now = now
        while shards.count < shardCount { shards.append(Shard()) }
        for shard in shards {
            shard.writer.removeAll()
            shard.counts = RemoteWriteCounts()
        }
        metadataBody.removeAll()
    }

    /// See `RemoteWriteEncoder`.
    package func finish() {
        for index in 0..<shardCount { flush(index) }
        guard metadataBody.count > 0 else { return }
        output(0, metadataBody.bytes, RemoteWriteCounts())
        metadataBody.removeAll()
    }

    private func flush(_ index: Int) {
        let shard = shards[index]
        guard shard.writer.count > 0 else { return }
        if !shard.writer.overflowed { output(index, shard.writer.bytes, shard.counts) }
        shard.writer.removeAll()
        shard.counts = RemoteWriteCounts()
    }

    // MARK: SeriesSink

    package func namesChanged() { metadata?.removeAll() }

    package func begin(_ family: MetricFamily) {
        guard metadata?.isDue(family, now) == true else { return }
        let start = metadataBody.count
        if family.type != .unknown {
            metadataBody.append(tag: 1, .varint)
            metadataBody.append(varint: UInt64(family.type.rawValue))
        }
        for (field, text) in [(2, family.name), (4, family.help), (5, family.unit)] where !text.isEmpty {
            text.withUnsafeBytes { metadataBody.append(field: UInt32(field), bytes: $0) }
        }
        metadataBody.wrap(since: start, field: 3)
        guard metadataBody.count >= maximumBytes else { return }
        output(0, metadataBody.bytes, RemoteWriteCounts())
        metadataBody.removeAll()
    }

    package func sample(_ point: SeriesPoint, _ value: Double) {
        let content = 10 + varintLength(UInt64(bitPattern: point.timestamp))
        guard let (start, shard) = series(point, 2 + content) else { return }
        var pen = start
        shard.counts.samples &+= 1
        if point.role.countsPoint { shard.counts.points &+= 1 }
        pen.byte(0x12)
        pen.byte(UInt8(truncatingIfNeeded: content))
        pen.byte(0x09)
        pen.fixed64(value.bitPattern)
        pen.byte(0x10)
        pen.varint(UInt64(bitPattern: point.timestamp))
        if point.exemplars.count > 0 { exemplars(point, &pen, shard) }
    }

    package func histogram(_ point: SeriesPoint, _ histogram: NativeHistogram) {
        let time = UInt64(bitPattern: point.timestamp)
        let content = RemoteWriteSizes.histogram(histogram) + 1 + varintLength(time)
        guard let (start, shard) = series(point, 1 + varintLength(content) + content) else { return }
        var pen = start
        shard.counts.histograms += 1
        shard.counts.points += 1
        // Exemplars are field 3, and come after field 4 here: the order of fields means nothing.
        pen.byte(0x22)
        pen.varint(content)
        pen.histogram(histogram)
        pen.byte(0x78)
        pen.varint(time)
        if point.exemplars.count > 0 { exemplars(point, &pen, shard) }
    }

    /// Makes room for a series and writes its labels. Returns where `payload` bytes, then the exemplars, belong.
    @inline(__always)
    private func series(_ point: SeriesPoint, _ payload: Int) -> (Pen, Shard)? {
        var size = payload
        for label in point.labels { size &+= Self.fieldSize(Self.labelSize(label)) }
        for exemplar in point.exemplars { size &+= Self.fieldSize(Self.exemplarSize(exemplar)) }
        let index = shardCount == 1 ? 0 : shardNumber(point.labels, shardCount)
        let shard = shards[index]
        let whole = Self.fieldSize(size)
        if shard.writer.count &+ whole > maximumBytes { flush(index) }
        guard let memory = shard.writer.appendUninitialized(whole) else { return nil }
        var pen = Pen(memory)
        pen.byte(0x0A)
        pen.varint(size)
        for label in point.labels { pen.label(label, Self.labelSize(label)) }
        return (pen, shard)
    }

    @inline(never)
    private func exemplars(_ point: SeriesPoint, _ pen: inout Pen, _ shard: Shard) {
        for exemplar in point.exemplars {
            pen.byte(0x1A)
            pen.varint(Self.exemplarSize(exemplar))
            for label in exemplar.labels { pen.label(label, Self.labelSize(label)) }
            pen.byte(0x11)
            pen.fixed64(exemplar.value.bitPattern)
            pen.byte(0x18)
            pen.varint(UInt64(bitPattern: exemplar.timestamp))
        }
        shard.counts.exemplars += point.exemplars.count
    }

    @inline(__always)
    private static func labelSize(_ label: SeriesLabel) -> Int {
        Int(label.encodedNameCount) &+ Int(label.valueCount) &+ varintLength(Int(label.valueCount))
    }

    private static func exemplarSize(_ exemplar: SeriesExemplar) -> Int {
        var size = 10 + varintLength(UInt64(bitPattern: exemplar.timestamp))
        for label in exemplar.labels { size += fieldSize(labelSize(label)) }
        return size
    }

    /// A message as a field with a one-byte tag.
    @inline(__always)
    private static func fieldSize(_ content: Int) -> Int { 1 &+ varintLength(content) &+ content }
}

extension Pen {
    /// A `Label` as field 1.
    @inline(__always)
    fileprivate mutating func label(_ label: SeriesLabel, _ size: Int) {
        byte(0x0A)
        varint(size)
        copy(label.encodedName, Int(label.encodedNameCount))
        varint(Int(label.valueCount))
        copy(label.value, Int(label.valueCount))
    }
}

/// When the metadata of each metric was sent last, by the family's number.
struct MetadataSchedule {
    private let interval: Int64
    private var sent: [Int64] = []

    init(interval: Int64) { self.interval = interval }

    mutating func removeAll() { sent = [] }

    /// Whether it is time again; if so, that is remembered.
    mutating func isDue(_ family: MetricFamily, _ now: Int64) -> Bool {
        while sent.count <= family.number { sent.append(.min) }
        guard sent[family.number] == .min || now - sent[family.number] >= interval else { return false }
        sent[family.number] = now
        return true
    }
}
