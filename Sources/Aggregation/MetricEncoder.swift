internal import OTLP

/// Writes a content as requests of bounded size, one after the other.
struct MetricEncoder {
    /// Points of one request; more make another one.
    static let maximumPoints = 4096
    /// Bytes from which on a request takes no further point: 1 MiB.
    static let maximumBytes = 1 << 20

    /// What the points say.
    enum Mode {
        case values
        /// That each series has ended, after its last value.
        case ends
    }

    let now: UInt64
    /// Added to the times that are written, in nanoseconds.
    let correction: Int64
    let mode: Mode
    private var resource = 0
    private var family = 0
    private var instrument = 0
    /// The series to go on with, counted from 1; 0 begins a list.
    private var next: UInt32 = 0
    private(set) var isDone = false

    init(now: UInt64, correction: Int64 = 0, mode: Mode = .values) {
        self.now = now
        self.correction = correction
        self.mode = mode
    }

    private func shown(_ time: UInt64) -> UInt64 { UInt64(max(0, Int64(clamping: time) &+ correction)) }

    /// Writes the next request; gives its number of points, 0 when nothing is left. Series that are added between two
    /// calls may be left out, until the next collection.
    mutating func write(_ content: MetricContent, into writer: inout WireWriter) -> Int {
        var points = 0
        while !isDone, points < Self.maximumPoints, writer.count < Self.maximumBytes {
            guard resource < content.resources.used else {
                isDone = true
                break
            }
            if !content.resources.isInUse(resource) || writeResource(content, &writer, &points) {
                resource += 1
                family = 0
            }
        }
        return writer.overflowed ? 0 : points
    }

    /// Writes the rest of a resource, as far as there is room. True when it is complete.
    private mutating func writeResource(
        _ content: MetricContent, _ writer: inout WireWriter, _ points: inout Int
    ) -> Bool {
        let before = points
        let start = writer.count
        let message = writer.count
        let header = content.resources.header(resource)
        if header.pointee.attributeCount > 0 { writer.append(field: 1, bytes: header.pointee.attributes) }
        let scope = writer.count
        let name = writer.count
        writer.append(field: 1, text: content.settings.scopeName)
        if !content.settings.scopeVersion.isEmpty { writer.append(field: 2, text: content.settings.scopeVersion) }
        writer.wrap(since: name, field: 1)
        let isExpired = content.isExpired(resource: resource, now)
        var isComplete = true
        while family < content.layouts.count, isComplete {
            while instrument < content.layouts[family].cellCount, isComplete {
                isComplete = writeMetric(content, isExpired, &writer, &points)
            }
            if isComplete {
                family += 1
                instrument = 0
            }
        }
        if points == before {
            writer.truncate(to: start)
        } else {
            writer.wrap(since: scope, field: 2)
            writer.wrap(since: message, field: 1)
        }
        return isComplete
    }

    /// Writes the rest of a metric, as far as there is room. True when it is complete; `instrument` is then the first of
    /// the next one.
    private mutating func writeMetric(
        _ content: MetricContent, _ isExpired: Bool, _ writer: inout WireWriter, _ points: inout Int
    ) -> Bool {
        let layout = content.layouts[family]
        let form = layout.cells[instrument].form
        let definition = layout.instruments[instrument]
        let before = points
        let start = writer.count
        writer.append(field: 1, text: definition.name)
        if !definition.description.isEmpty { writer.append(field: 2, text: definition.description) }
        if !definition.unit.isEmpty { writer.append(field: 3, text: definition.unit) }
        let data = writer.count
        repeat {
            writePoints(content, isExpired, &writer, &points)
            if next != 0 { break }
            instrument += 1
        } while instrument < layout.cellCount && layout.cells[instrument].form == form
            && layout.instruments[instrument].name == definition.name
        if points == before {
            writer.truncate(to: start)
            return next == 0
        }
        Self.finish(form, content.settings.temporality, data, &writer)
        writer.wrap(since: start, field: 2)
        return next == 0
    }

    /// Writes the rest of an instrument's points, as far as there is room: where to go on is then in `next`.
    private mutating func writePoints(
        _ content: MetricContent, _ isExpired: Bool, _ writer: inout WireWriter, _ points: inout Int
    ) {
        let table = content.tables[family]
        let cell = content.layouts[family].cells[instrument]
        let definition = content.layouts[family].instruments[instrument]
        var series = next == 0 ? content.list(resource, family).pointee.head : next
        next = 0
        while series != 0 {
            if points >= Self.maximumPoints || writer.count >= Self.maximumBytes {
                next = series
                return
            }
            let index = Int(series) - 1
            let header = table.header(index)
            series = header.pointee.next
            guard header.pointee.marks & cell.mark != 0 else { continue }
            let hasEnded =
                mode == .ends
                || content.settings.marksEnd && content.isExpired(header, ofExpired: isExpired, now)
            let begin =
                content.settings.temporality == .delta ? content.intervalStart : header.pointee.created
            let point = PointWriter(
                definition: definition, cell: cell, start: shown(min(begin, now)), time: shown(now), hasEnded: hasEnded)
            point.write(table.record(index), into: &writer)
            header.pointee.marks |= SeriesHeader.wasWritten
            points += 1
        }
    }

    /// Writes what belongs to all points, and closes their message.
    private static func finish(
        _ form: Cell.Form, _ temporality: AggregationTemporality, _ data: Int, _ writer: inout WireWriter
    ) {
        writer.append(tag: 2, .varint)
        writer.append(varint: UInt64(temporality.rawValue))
        switch form {
        case .sum, .doubleSum, .fixedPointSum:
            writer.append(tag: 3, .varint)
            writer.append(varint: 1)
            writer.wrap(since: data, field: 7)
        case .histogram:
            writer.wrap(since: data, field: 9)
        case .exponential:
            writer.wrap(since: data, field: 10)
        }
    }
}

extension WireWriter {
    mutating func append(field: UInt32, text: String) {
        var text = text
        text.withUTF8 { append(field: field, bytes: UnsafeRawBufferPointer($0)) }
    }

    mutating func append(field: UInt32, fixed64 value: UInt64) {
        append(tag: field, .fixed64)
        append(fixed64: value)
    }
}
