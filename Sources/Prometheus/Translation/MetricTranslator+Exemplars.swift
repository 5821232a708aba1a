internal import OTLP

// Exemplars of a data point.
extension MetricTranslator {
    /// Characters that the labels of an exemplar may have in all, names and values (OpenMetrics 1.0).
    static let exemplarCharacters = 128
    /// Exemplars of one point that are read.
    static let maximumExemplars = 1024

    /// Reads all exemplars of a point into `exemplars`; malformed ones are left out.
    /// - Parameter now: for exemplars without a time, in milliseconds.
    @inline(never)
    func readExemplars(_ point: FieldCursor, tag: UInt64, now: Int64) {
        hasPointText = true
        var cursor = point
        while !cursor.isAtEnd, exemplars.count < Self.maximumExemplars {
            guard let next = cursor.varint() else { return }
            guard next == tag else {
                cursor.skipField(next)
                continue
            }
            guard let message = cursor.payload() else { return }
            if let exemplar = exemplar(message, now) { exemplars.append(exemplar) }
        }
    }

    /// The latest of `exemplars`, alone.
    var newestExemplar: UnsafeBufferPointer<SeriesExemplar> {
        let all = exemplars.elements
        guard all.count > 1 else { return all }
        var newest = 0
        for index in 1..<all.count where all[index].timestamp >= all[newest].timestamp { newest = index }
        return UnsafeBufferPointer(rebasing: all[newest..<newest + 1])
    }

    /// Puts `exemplars` in order: by value for buckets, by time for native histograms. There are few.
    func sortExemplars(byValue: Bool) {
        let base = exemplars.base
        guard exemplars.count > 1 else { return }
        for index in 1..<exemplars.count {
            let moved = base[index]
            var at = index
            while at > 0, byValue ? base[at - 1].value > moved.value : base[at - 1].timestamp > moved.timestamp {
                base[at] = base[at - 1]
                at -= 1
            }
            base[at] = moved
        }
    }

    private func exemplar(_ message: FieldCursor, _ now: Int64) -> SeriesExemplar? {
        var time: UInt64 = 0
        var value: Double?
        var ids: (trace: FieldCursor?, span: FieldCursor?) = (nil, nil)
        var filtered = 0
        var cursor = message
        while !cursor.isAtEnd {
            guard let tag = cursor.varint() else { return nil }
            switch tag {
            case 0x11: time = cursor.fixed64() ?? 0
            case 0x19: value = cursor.fixed64().map { Double(bitPattern: $0) }
            case 0x31: value = cursor.fixed64().map { Double(Int64(bitPattern: $0)) }
            case 0x22: ids.span = cursor.payload()
            case 0x2A: ids.trace = cursor.payload()
            case 0x3A:
                filtered += 1
                cursor.skipField(tag)
            default: cursor.skipField(tag)
            }
        }
        guard let value else { return nil }
        let labels = exemplarLabels(message, ids.trace, ids.span, filtered)
        return SeriesExemplar(
            labels: labels, value: StaleMarker.measured(value),
            timestamp: time == 0 ? now : Int64(truncatingIfNeeded: time / 1_000_000))
    }

    private func exemplarLabels(
        _ message: FieldCursor, _ trace: FieldCursor?, _ span: FieldCursor?, _ filtered: Int
    ) -> UnsafeBufferPointer<SeriesLabel> {
        var labels: [SeriesLabel] = []
        var characters = 0
        for (name, id) in [("trace_id" as StaticString, trace), ("span_id", span)] {
            guard let id, id.count > 0 else { continue }
            labels.append(label(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount), hex(id)))
            characters += name.utf8CodeUnitCount + 2 * id.count
        }
        if filtered > 0, filtered <= Self.exemplarCharacters {
            labels += filteredLabels(message, room: Self.exemplarCharacters - characters)
        }
        let size = MemoryLayout<SeriesLabel>.stride * labels.count
        let memory = UnsafeMutableRawPointer(pointStore.take(size + MemoryLayout<SeriesLabel>.alignment))
            .alignedUp(for: SeriesLabel.self)
        let kept = memory.bindMemory(to: SeriesLabel.self, capacity: labels.count)
        for (index, label) in labels.enumerated() { (kept + index).initialize(to: label) }
        return UnsafeBufferPointer(start: kept, count: labels.count)
    }

    /// The filtered attributes under their own keys; none when they have more characters than there is room for.
    private func filteredLabels(_ message: FieldCursor, room: Int) -> [SeriesLabel] {
        var labels: [SeriesLabel] = []
        var characters = 0
        var cursor = message
        while !cursor.isAtEnd, let tag = cursor.varint() {
            guard tag == 0x3A else {
                cursor.skipField(tag)
                continue
            }
            guard let attribute = cursor.payload(), let pair = KeyAndValue(attribute),
                let text = AttributeText.text(pair.value, &pointStore)
            else { return [] }
            let count = Self.characters(pair.key.rest) + Self.characters(text.bytes)
            guard characters + count <= room else { return [] }
            characters += count
            if pair.key.count > 0, text.count > 0 { labels.append(label(pair.key.rest, text)) }
        }
        return labels
    }

    private func label(_ name: UnsafeRawBufferPointer, _ value: TextSlice) -> SeriesLabel {
        let encoded = EncodedName.make(Array(name))
        let copy = encoded.bytes.withUnsafeBytes { pointStore.copy($0) }
        return SeriesLabel(
            encodedName: copy, value: value.base, encodedNameCount: UInt32(truncatingIfNeeded: encoded.bytes.count),
            valueCount: UInt32(truncatingIfNeeded: value.count), nameID: SeriesLabel.noID,
            nameOffset: UInt32(encoded.offset))
    }

    private func hex(_ id: FieldCursor) -> TextSlice {
        let digits: StaticString = "0123456789abcdef"
        let target = pointStore.take(2 * id.count)
        for (index, byte) in id.rest.enumerated() {
            target[2 * index] = digits.utf8Start[Int(byte >> 4)]
            target[2 * index + 1] = digits.utf8Start[Int(byte & 15)]
        }
        return TextSlice(UnsafePointer(target), 2 * id.count)
    }

    /// Unicode scalars of a text.
    private static func characters(_ text: UnsafeRawBufferPointer) -> Int { text.count { $0 & 0xC0 != 0x80 } }
}
