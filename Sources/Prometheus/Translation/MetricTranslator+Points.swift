internal import Glibc
internal import OTLP

// What all kinds of data points have in common, and the points of gauges and sums.
extension MetricTranslator {
    /// A gauge's or sum's point. Returns why it has no series.
    @inline(__always)
    func number(
        _ point: FieldCursor, _ data: MetricData, _ family: MetricFamily, _ sink: any SeriesSink
    ) -> RejectReason? {
        var start: UInt64 = 0
        var time: UInt64 = 0
        var value = 0.0
        var hasValue = false
        var flags: UInt64 = 0
        var hasExemplars = false
        var cursor = point
        while !cursor.isAtEnd {
            guard let tag = cursor.varint() else { return .malformed }
            // Tests in order of frequency.
            if tag == 0x3A {
                guard let attribute = cursor.payload(), readAttribute(attribute) else { return .malformed }
            } else if tag == 0x19 {
                guard let bits = cursor.fixed64() else { return .malformed }
                time = bits
            } else if tag == 0x11 {
                guard let bits = cursor.fixed64() else { return .malformed }
                start = bits
            } else if tag == 0x21 {
                guard let bits = cursor.fixed64() else { return .malformed }
                value = Double(bitPattern: bits)
                hasValue = true
            } else if tag == 0x31 {
                guard let bits = cursor.fixed64() else { return .malformed }
                value = Double(Int64(bitPattern: bits))
                hasValue = true
            } else if tag == 0x40 {
                flags = cursor.varint() ?? 0
            } else {
                if tag == 0x2A { hasExemplars = true }
                cursor.skipField(tag)
            }
        }
        let isStale = flags & 1 != 0
        guard hasValue || isStale else { return .noValue }
        guard let shape = shapes.shape(attributes, frame, .none, &names) else { return .tooManyNames }
        guard !shape.pointee.isInvalid else { return .invalidLabelName }
        let isEmptied = fill(shape)
        exemplars.removeAll()
        if data.isCounter, hasExemplars, !isStale { readExemplars(point, tag: 0x2A, now: milliseconds(time)) }
        let times = sampleTimes(time, data.isCounter ? start : 0)
        emit(
            shape, isEmptied, family, .value, isStale ? StaleMarker.value : StaleMarker.measured(value), times,
            newestExemplar, sink)
        return nil
    }

    // MARK: Attributes

    /// Adds an attribute of the present point, given its KeyValue. False when it is malformed.
    @inline(__always)
    func readAttribute(_ message: FieldCursor) -> Bool {
        let at = message.at
        let size = message.count
        // The common shape: key, value, both shorter than 128 bytes, the value a string, nothing else.
        if size >= 6, at[0] == 0x0A, at[1] < 0x80 {
            let keyCount = Int(at[1])
            if keyCount &+ 6 <= size, at[2 &+ keyCount] == 0x12, at[4 &+ keyCount] == 0x0A,
                at[5 &+ keyCount] < 0x80
            {
                let valueCount = Int(at[5 &+ keyCount])
                if keyCount &+ 6 &+ valueCount == size, Int(at[3 &+ keyCount]) == valueCount &+ 2 {
                    attributes.append(
                        PointAttribute(
                            key: at + 2, value: at + (6 &+ keyCount), keyCount: UInt32(truncatingIfNeeded: keyCount),
                            valueCount: UInt32(truncatingIfNeeded: valueCount)))
                    return true
                }
            }
        }
        hasPointText = true
        return Self.readAttribute(message, &attributes, &pointStore)
    }

    /// The same for any shape of KeyValue and value.
    @inline(never)
    static func readAttribute(
        _ message: FieldCursor, _ attributes: inout Scratch<PointAttribute>, _ store: inout ByteStore
    ) -> Bool {
        guard let pair = KeyAndValue(message), let text = AttributeText.text(pair.value, &store),
            let keyCount = UInt32(exactly: pair.key.count), let valueCount = UInt32(exactly: text.count)
        else { return false }
        attributes.append(
            PointAttribute(key: pair.key.at, value: text.base, keyCount: keyCount, valueCount: valueCount))
        return true
    }

    // MARK: Labels

    /// Puts the point's values into the shape's labels. True when a label has come out empty.
    @inline(__always)
    func fill(_ shape: ShapeTable.Address) -> Bool {
        if shape.pointee.boundFrame != frame.serial { shape.pointee.bind(frame) }
        let labels = shape.pointee.labels
        var isEmptied = false
        let dynamics = shape.pointee.dynamics
        var index = 0
        while index < dynamics.count {
            let place = dynamics[index]
            let attribute = attributes[Int(place.source)]
            labels[Int(place.slot)].value = attribute.value
            labels[Int(place.slot)].valueCount = attribute.valueCount
            if attribute.valueCount == 0 { isEmptied = true }
            index &+= 1
        }
        if shape.pointee.joins.count > 0, join(shape.pointee) { isEmptied = true }
        if isEmptied, shape.pointee.fallbacks.count > 0 { fallBack(shape.pointee) }
        return isEmptied
    }

    /// Joins values of labels that several attributes have. True when one is empty.
    @inline(never)
    private func join(_ shape: SeriesShape) -> Bool {
        var isEmptied = false
        for join in shape.joins {
            var total = Int(join.count) - 1
            for source in shape.joinSources[Int(join.first)..<Int(join.first + join.count)] {
                total += self.source(source).count
            }
            hasPointText = true
            let target = pointStore.take(total)
            var at = target
            for index in 0..<Int(join.count) {
                if index > 0 {
                    at.pointee = UInt8(ascii: ";")
                    at += 1
                }
                let text = self.source(shape.joinSources[Int(join.first) + index])
                memcpy(at, text.base, text.count)
                at += text.count
            }
            shape.labels[Int(join.slot)].value = UnsafePointer(target)
            shape.labels[Int(join.slot)].valueCount = UInt32(truncatingIfNeeded: total)
            if total == 0 { isEmptied = true }
        }
        return isEmptied
    }

    private func source(_ source: Int32) -> TextSlice {
        if source >= 0 {
            let attribute = attributes[Int(source)]
            return TextSlice(attribute.value, Int(attribute.valueCount))
        }
        let label = frame.labels[Int(~source)]
        return TextSlice(label.value, Int(label.valueCount))
    }

    @inline(never)
    private func fallBack(_ shape: SeriesShape) {
        for place in shape.fallbacks where shape.labels[Int(place.slot)].valueCount == 0 {
            let label = frame.labels[Int(place.source)]
            shape.labels[Int(place.slot)].value = label.value
            shape.labels[Int(place.slot)].valueCount = label.valueCount
        }
    }

    /// The labels to hand over, without empty ones.
    @inline(__always)
    func finished(_ shape: ShapeTable.Address, _ isEmptied: Bool) -> UnsafeBufferPointer<SeriesLabel> {
        if !isEmptied { return UnsafeBufferPointer(shape.pointee.labels) }
        compacted.removeAll()
        for label in shape.pointee.labels where label.valueCount > 0 { compacted.append(label) }
        return compacted.elements
    }

    // MARK: Samples

    /// Hands a sample over. The shape has been filled.
    @inline(__always)
    func emit(
        _ shape: ShapeTable.Address, _ isEmptied: Bool, _ family: MetricFamily, _ role: SeriesRole, _ value: Double,
        _ times: (time: Int64, start: Int64), _ exemplars: UnsafeBufferPointer<SeriesExemplar>, _ sink: any SeriesSink
    ) {
        let name = family.seriesName(role)
        let slot = shape.pointee.nameSlot
        shape.pointee.labels[slot].value = name.base
        shape.pointee.labels[slot].valueCount = name.count
        sink.sample(
            SeriesPoint(
                labels: finished(shape, isEmptied), exemplars: exemplars, timestamp: times.time, start: times.start,
                role: role), value)
    }

    /// Milliseconds of a wire time; now when there is none.
    @inline(__always)
    func milliseconds(_ nanoseconds: UInt64) -> Int64 {
        nanoseconds == 0 ? now : Int64(truncatingIfNeeded: nanoseconds / 1_000_000)
    }

    /// A point's times in milliseconds. Takes note of them for `target_info`.
    @inline(__always)
    func sampleTimes(_ time: UInt64, _ start: UInt64) -> (time: Int64, start: Int64) {
        let time = milliseconds(time)
        let start = Int64(truncatingIfNeeded: start / 1_000_000)
        if time < earliest { earliest = time }
        if time > latest { latest = time }
        // A start after the sample would make it invalid; unknown is better.
        return (time, start <= time ? start : 0)
    }
}
