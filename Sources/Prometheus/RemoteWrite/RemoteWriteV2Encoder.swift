internal import OTLP

/// Writes `io.prometheus.write.v2.Request` (remote write 2.0): each string once, metadata and start times with every
/// series.
package final class RemoteWriteV2Encoder: RemoteWriteEncoder {
    /// Fills one shard's body.
    private final class Shard {
        var symbols = SymbolTable()
        var series = WireWriter()
        var counts = RemoteWriteCounts()
        /// Tells the numbers of this body from those of the last one.
        var body: UInt32 = 1
        /// Symbols of label names and of families, by their numbers.
        var names: [(body: UInt32, symbol: UInt32)] = []
        var families: [(body: UInt32, help: UInt32, unit: UInt32)] = []

        func clear() {
            symbols.removeAll()
            series.removeAll()
            counts = RemoteWriteCounts()
            if body == .max { forgetNumbers() }
            body &+= 1
        }

        func symbol(_ text: [UInt8]) -> UInt32 {
            text.withUnsafeBufferPointer { buffer in
                buffer.baseAddress.map { symbols.number($0, buffer.count) } ?? 0
            }
        }

        func forgetNumbers() {
            names = []
            families = []
            body = 0
        }
    }

    /// Most bytes that a label adds besides its name and value: tags, lengths, two numbers.
    private static let labelOverhead = 22
    /// Most bytes of a series besides labels, buckets and exemplars.
    private static let seriesOverhead = 128

    private var maximumBytes = Int.max
    private let output: RemoteWriteOutput
    private var shards: [Shard] = [Shard()]
    private var shardCount = 1
    private var assembly = WireWriter()
    private var references = Scratch<UInt32>(capacity: 64)
    private var exemplarReferences = Scratch<UInt32>(capacity: 16)
    private var family: MetricFamily?

    /// - Parameter output: takes the bodies, during any method.
    package init(output: @escaping RemoteWriteOutput) {
        self.output = output
    }

    /// See `RemoteWriteEncoder`.
    package func start(shards count: Int, maximumBytes: Int, now: Int64) {
        self.maximumBytes = maximumBytes
        shardCount = max(1, count)
        while shards.count < shardCount { shards.append(Shard()) }
        for shard in shards where shard.series.count > 0 { shard.clear() }
        family = nil
    }

    /// See `RemoteWriteEncoder`.
    package func finish() {
        for index in 0..<shardCount { flush(index) }
    }

    private func flush(_ index: Int) {
        let shard = shards[index]
        guard shard.series.count > 0 else { return }
        assembly.removeAll()
        assembly.append(shard.symbols.bytes)
        assembly.append(shard.series.bytes)
        let isWhole = shard.symbols.isComplete && !shard.series.overflowed && !assembly.overflowed
        if isWhole { output(index, assembly.bytes, shard.counts) }
        shard.clear()
    }

    // MARK: SeriesSink

    package func namesChanged() {
        for shard in shards { shard.forgetNumbers() }
    }

    package func begin(_ family: MetricFamily) { self.family = family }

    package func sample(_ point: SeriesPoint, _ value: Double) {
        let content = 9 + Self.timesSize(point, startTag: 1)
        guard let (start, shard) = series(point, 1 + varintLength(content) + content) else { return }
        var pen = start
        shard.counts.samples += 1
        if point.role.countsPoint { shard.counts.points += 1 }
        pen.byte(0x12)
        pen.varint(content)
        pen.byte(0x09)
        pen.fixed64(value.bitPattern)
        pen.byte(0x10)
        pen.varint(UInt64(bitPattern: point.timestamp))
        if point.start != 0 {
            pen.byte(0x18)
            pen.varint(UInt64(bitPattern: point.start))
        }
    }

    package func histogram(_ point: SeriesPoint, _ histogram: NativeHistogram) {
        let content = RemoteWriteSizes.histogram(histogram) + Self.timesSize(point, startTag: 2)
        guard let (start, shard) = series(point, 1 + varintLength(content) + content) else { return }
        var pen = start
        shard.counts.histograms += 1
        shard.counts.points += 1
        pen.byte(0x1A)
        pen.varint(content)
        pen.histogram(histogram)
        pen.byte(0x78)
        pen.varint(UInt64(bitPattern: point.timestamp))
        if point.start != 0 {
            // Field 17.
            pen.byte(0x88)
            pen.byte(0x01)
            pen.varint(UInt64(bitPattern: point.start))
        }
    }

    private static func timesSize(_ point: SeriesPoint, startTag: Int) -> Int {
        let time = 1 + varintLength(UInt64(bitPattern: point.timestamp))
        return point.start == 0 ? time : time + startTag + varintLength(UInt64(bitPattern: point.start))
    }

    /// Makes room for a series, writes its labels, metadata and exemplars. Returns where `payload` bytes belong.
    private func series(_ point: SeriesPoint, _ payload: Int) -> (Pen, Shard)? {
        let index = shardCount == 1 ? 0 : shardNumber(point.labels, shardCount)
        let shard = shards[index]
        makeRoom(point, payload, index)
        references.removeAll()
        for label in point.labels {
            references.append(nameSymbol(label, shard))
            references.append(shard.symbols.number(label.value, Int(label.valueCount)))
        }
        let labels = packedSize(references.elements)
        let (help, unit) = familySymbols(shard)
        let type = UInt64(family?.type.rawValue ?? 0)
        let metadata =
            (type == 0 ? 0 : 2) + (help == 0 ? 0 : 1 + varintLength(UInt64(help)))
            + (unit == 0 ? 0 : 1 + varintLength(UInt64(unit)))
        let exemplars = exemplarBytes(point, shard)
        let size = 1 + varintLength(labels) + labels + payload + 2 + metadata + exemplars
        guard let memory = shard.series.appendUninitialized(1 + varintLength(size) + size) else { return nil }
        var pen = Pen(memory)
        pen.byte(0x2A)
        pen.varint(size)
        pen.byte(0x0A)
        pen.varint(labels)
        for number in references.elements { pen.varint(UInt64(number)) }
        if exemplars > 0 { write(point, shard, &pen) }
        // Metadata is short: its length is one byte.
        pen.byte(0x2A)
        pen.byte(UInt8(truncatingIfNeeded: metadata))
        if type != 0 {
            pen.byte(0x08)
            pen.varint(type)
        }
        if help != 0 {
            pen.byte(0x18)
            pen.varint(UInt64(help))
        }
        if unit != 0 {
            pen.byte(0x20)
            pen.varint(UInt64(unit))
        }
        return (pen, shard)
    }

    /// Ends the body when the series might not fit, all its strings being new.
    private func makeRoom(_ point: SeriesPoint, _ payload: Int, _ index: Int) {
        let shard = shards[index]
        guard shard.series.count > 0 else { return }
        var most = payload + Self.seriesOverhead + (family?.help.count ?? 0) + (family?.unit.count ?? 0)
        for label in point.labels {
            most += Int(label.encodedNameCount) + Int(label.valueCount) + Self.labelOverhead
        }
        for exemplar in point.exemplars {
            most += Self.seriesOverhead
            for label in exemplar.labels {
                most += Int(label.encodedNameCount) + Int(label.valueCount) + Self.labelOverhead
            }
        }
        if shard.series.count + shard.symbols.byteCount + most > maximumBytes { flush(index) }
    }

    private func packedSize(_ numbers: UnsafeBufferPointer<UInt32>) -> Int {
        var size = 0
        for number in numbers { size &+= varintLength(Int(number)) }
        return size
    }

    // MARK: Symbols

    @inline(__always)
    private func nameSymbol(_ label: SeriesLabel, _ shard: Shard) -> UInt32 {
        let id = Int(label.nameID)
        if id < shard.names.count, shard.names[id].body == shard.body { return shard.names[id].symbol }
        let name = label.name
        guard let base = name.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return 0 }
        let symbol = shard.symbols.number(base, name.count)
        guard label.nameID != SeriesLabel.noID else { return symbol }
        while shard.names.count <= id { shard.names.append((0, 0)) }
        shard.names[id] = (shard.body, symbol)
        return symbol
    }

    private func familySymbols(_ shard: Shard) -> (help: UInt32, unit: UInt32) {
        guard let family else { return (0, 0) }
        let id = family.number
        if id < shard.families.count, shard.families[id].body == shard.body {
            return (shard.families[id].help, shard.families[id].unit)
        }
        let help = shard.symbol(family.help)
        let unit = shard.symbol(family.unit)
        while shard.families.count <= id { shard.families.append((0, 0, 0)) }
        shard.families[id] = (shard.body, help, unit)
        return (help, unit)
    }

    // MARK: Exemplars

    /// Bytes of the exemplars as fields of the series.
    private func exemplarBytes(_ point: SeriesPoint, _ shard: Shard) -> Int {
        var size = 0
        for exemplar in point.exemplars {
            let content = exemplarSize(exemplar, shard)
            size += 1 + varintLength(content) + content
        }
        return size
    }

    /// Also leaves the symbols in `exemplarReferences`.
    private func exemplarSize(_ exemplar: SeriesExemplar, _ shard: Shard) -> Int {
        exemplarReferences.removeAll()
        for label in exemplar.labels {
            exemplarReferences.append(nameSymbol(label, shard))
            exemplarReferences.append(shard.symbols.number(label.value, Int(label.valueCount)))
        }
        let labels = packedSize(exemplarReferences.elements)
        let rest = 10 + varintLength(UInt64(bitPattern: exemplar.timestamp))
        return labels == 0 ? rest : 1 + varintLength(labels) + labels + rest
    }

    private func write(_ point: SeriesPoint, _ shard: Shard, _ pen: inout Pen) {
        for exemplar in point.exemplars {
            let size = exemplarSize(exemplar, shard)
            pen.byte(0x22)
            pen.varint(size)
            let labels = packedSize(exemplarReferences.elements)
            if labels > 0 {
                pen.byte(0x0A)
                pen.varint(labels)
                for number in exemplarReferences.elements { pen.varint(UInt64(number)) }
            }
            pen.byte(0x11)
            pen.fixed64(exemplar.value.bitPattern)
            pen.byte(0x18)
            pen.varint(UInt64(bitPattern: exemplar.timestamp))
        }
        shard.counts.exemplars += point.exemplars.count
    }
}
