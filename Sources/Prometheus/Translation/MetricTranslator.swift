package import OTLP

/// Turns OTLP metrics into Prometheus series, straight from the wire bytes.
///
/// Names are translated once and remembered, within bounds; the order of a series' labels is worked out once for each
/// sequence of attribute keys (`SeriesShape`). What is left for a data point is to compare its keys and to put its
/// values in. Nothing is kept for a series. One owner, one thread at a time.
package final class MetricTranslator {
    let options: TranslationOptions
    var names: LabelNames
    var families: FamilyTable
    var shapes = ShapeTable()
    var report = TranslationReport()

    /// Labels of the present scope, and of the present resource's `target_info`.
    var frame = LabelFrame()
    var infoFrame = LabelFrame()
    var resourceFrame = LabelFrame()
    var frameSerial = 0
    /// Values of the frames' labels that are not in the request.
    var frameStore = ByteStore()
    var fixedNames = FixedNames()
    var externalLabels: [(nameID: Int, value: TextSlice)] = []
    var externalStore = ByteStore()
    var resourceAttributes = Scratch<PointAttribute>()
    /// Distinguishes resources for `MetricFamily.TypeConflict`.
    var resourceSerial = 0
    var infoTimes = TargetInfoTimes()

    /// Of the present data point.
    var attributes = Scratch<PointAttribute>()
    var pointStore = ByteStore()
    var hasPointText = false
    var compacted = Scratch<SeriesLabel>()
    var exemplars = Scratch<SeriesExemplar>(capacity: 4)
    var boundTexts = BoundTexts()
    var histogram = HistogramBuffers()

    /// Times of the present resource's samples, in milliseconds.
    var earliest = Int64.max
    var latest = Int64.min
    /// The present, in milliseconds since 1970.
    var now: Int64 = 0
    private var joined = WireWriter()

    /// Numbers of the names that are ours.
    struct FixedNames {
        var job = 0
        var instance = 0
        var scopeName = 0
        var scopeVersion = 0
        var scopeSchemaURL = 0
    }

    /// - Parameter options: fixed for the translator's life.
    package init(_ options: TranslationOptions) {
        self.options = options
        names = LabelNames(LabelNamer(options))
        families = FamilyTable(MetricNamer(options))
        setFixedNames()
    }

    /// Writes the series of a batch to `sink`, in the order of the data points; after those of a resource its
    /// `target_info`. What cannot be translated is counted, and the rest goes on.
    ///
    /// - Parameters:
    ///   - batch: of metrics; only read.
    ///   - items: the metrics to translate, as positions in the batch.
    ///   - now: milliseconds since 1970, for points without a time.
    /// - Returns: what became of the data points.
    package func translate(
        _ batch: TelemetryBatch, items: Range<Int>, now: Int64, into sink: any SeriesSink
    ) -> TranslationReport {
        report = TranslationReport()
        self.now = now
        if names.isOverSoftLimit || families.isOverSoftLimit { startTablesAnew(sink) }
        let items = items.clamped(to: 0..<batch.items.count)
        let scopes = batch.scopes
        let records = batch.items
        for resource in batch.resources {
            guard scopes[resource.scopes].contains(where: { $0.items.overlaps(items) }) else { continue }
            beginResource(batch.message(of: resource))
            for scope in scopes[resource.scopes] where scope.items.overlaps(items) {
                beginScope(batch.message(of: scope))
                for index in scope.items.clamped(to: items) {
                    translate(batch, records[index], sink)
                }
            }
            if options.addsTargetInfo { writeTargetInfo(sink) }
        }
        return report
    }

    private func translate(_ batch: TelemetryBatch, _ item: ItemRecord, _ sink: any SeriesSink) {
        guard item.tailCount > 0 else {
            if let message = FieldCursor(batch.payload(of: item)) { metric(message, sink) }
            return
        }
        joined.removeAll()
        joined.append(batch.payload(of: item))
        joined.append(batch.tail(of: item))
        if !joined.overflowed, let message = FieldCursor(joined.bytes) { metric(message, sink) }
    }

    /// Forgets all names: addresses and numbers of before are void.
    private func startTablesAnew(_ sink: any SeriesSink) {
        names.removeAll()
        families.removeAll()
        shapes.removeAll()
        setFixedNames()
        sink.namesChanged()
    }

    private func setFixedNames() {
        // The tables have just been made: there is room.
        fixedNames.job = names.number(ofName: "job") ?? 0
        fixedNames.instance = names.number(ofName: "instance") ?? 0
        fixedNames.scopeName = names.number(ofName: "otel_scope_name") ?? 0
        fixedNames.scopeVersion = names.number(ofName: "otel_scope_version") ?? 0
        fixedNames.scopeSchemaURL = names.number(ofName: "otel_scope_schema_url") ?? 0
        externalLabels = []
        externalStore.removeAll()
        for (name, value) in options.externalLabels {
            let number = Array(name.utf8).withUnsafeBytes { names.number(ofKey: $0) }
            guard let number, names.entries[number].isValid else { continue }
            let count = value.utf8.count
            let copy = Array(value.utf8).withUnsafeBytes { externalStore.copy($0) }
            externalLabels.append((number, TextSlice(copy, count)))
        }
    }

    // MARK: Metrics

    /// One metric: its fields may come in any order, so they are gathered first.
    private func metric(_ message: FieldCursor, _ sink: any SeriesSink) {
        var identity = MetricIdentity()
        var data = MetricData(message)
        var hint: MetricType?
        var cursor = message
        while !cursor.isAtEnd {
            guard let tag = cursor.varint() else { break }
            guard tag & 7 == 2 else {
                cursor.skipField(tag)
                continue
            }
            guard let payload = cursor.payload() else { break }
            switch tag >> 3 {
            case 1: identity.name = payload.rest
            case 2: identity.description = payload.rest
            case 3: identity.unit = payload.rest
            case 5, 7, 9, 10, 11: data.read(payload, MetricData.Kind(rawValue: tag >> 3) ?? .none)
            case 12: hint = Self.typeHint(payload) ?? hint
            default: break
            }
        }
        guard data.points > 0 else {
            report.emptyMetrics += 1
            return
        }
        report.points += data.points
        if let reason = data.refusal {
            report.reject(reason, data.points)
            return
        }
        data.describe(&identity, hint)
        do throws(FamilyError) {
            let family = try families.family(identity)
            guard takes(family) else {
                report.reject(.typeConflict, data.points)
                return
            }
            sink.begin(family)
            points(data, family, sink)
        } catch {
            report.reject(error.reason, data.points)
        }
    }

    /// Whether the present resource uses the family's name with this type only.
    private func takes(_ family: MetricFamily) -> Bool {
        let conflict = family.conflict
        if conflict.resource == resourceSerial { return conflict.type == family.type }
        conflict.resource = resourceSerial
        conflict.type = family.type
        return true
    }

    private func points(_ data: MetricData, _ family: MetricFamily, _ sink: any SeriesSink) {
        var cursor = data.message
        while !cursor.isAtEnd {
            guard let tag = cursor.varint() else { return }
            guard tag == 0x0A else {
                cursor.skipField(tag)
                continue
            }
            guard let point = cursor.payload() else { return }
            shapes.trim()
            if hasPointText {
                pointStore.removeAll()
                hasPointText = false
            }
            attributes.removeAll()
            let reason: RejectReason? =
                switch data.kind {
                case .gauge, .sum: number(point, data, family, sink)
                case .histogram: classicHistogram(point, family, sink)
                case .exponentialHistogram: exponentialHistogram(point, family, sink)
                case .summary: summary(point, family, sink)
                case .none: nil
                }
            if let reason { report.reject(reason) }
        }
    }

    /// Metadata `prometheus.type`, which a scraped metric may come with.
    private static func typeHint(_ attribute: FieldCursor) -> MetricType? {
        guard let pair = KeyAndValue(attribute), pair.key.rest.elementsEqual("prometheus.type".utf8) else { return nil }
        var value = pair.value
        guard value.varint() == 0x0A, let text = value.payload() else { return nil }
        switch String(decoding: text.rest, as: UTF8.self) {
        case "unknown": return .unknown
        case "info": return .info
        case "stateset": return .stateSet
        default: return nil
        }
    }
}

/// The part of a metric that holds its data points.
struct MetricData {
    /// Field numbers of `Metric`.
    enum Kind: UInt64 {
        case none = 0
        case gauge = 5
        case sum = 7
        case histogram = 9
        case exponentialHistogram = 10
        case summary = 11
    }

    var kind = Kind.none
    var message: FieldCursor
    var points = 0
    var temporality: UInt64 = 0
    var isMonotonic = false

    init(_ place: FieldCursor) { message = FieldCursor(place.at, place.at) }

    /// Counts the points, and reads what stands behind them.
    mutating func read(_ payload: FieldCursor, _ kind: Kind) {
        self.kind = kind
        message = payload
        points = 0
        var cursor = payload
        while !cursor.isAtEnd {
            guard let tag = cursor.varint() else { return }
            switch tag {
            case 0x0A:
                guard cursor.payload() != nil else { return }
                points &+= 1
            case 0x10: temporality = cursor.varint() ?? 0
            case 0x18: isMonotonic = (cursor.varint() ?? 0) != 0
            default: cursor.skipField(tag)
            }
        }
    }

    /// Why the metric as a whole has no series. Deltas have to be made cumulative before they come here: that needs
    /// state, which must not depend on how often a request is translated.
    var refusal: RejectReason? {
        switch kind {
        case .none: .malformed
        case .gauge, .summary: nil
        case .sum, .histogram, .exponentialHistogram:
            temporality == 2 ? nil : temporality == 1 ? .deltaTemporality : .unspecifiedTemporality
        }
    }

    var isCounter: Bool { kind == .sum && isMonotonic }

    /// Fills in what the kind says about names and type. `hint` is for gauges only.
    func describe(_ identity: inout MetricIdentity, _ hint: MetricType?) {
        switch kind {
        case .none: break
        case .gauge:
            identity.kind = .gauge
            identity.type = hint ?? .gauge
        case .sum:
            identity.kind = isMonotonic ? .counter : .other
            identity.type = isMonotonic ? .counter : .gauge
        case .histogram, .exponentialHistogram: identity.type = .histogram
        case .summary: identity.type = .summary
        }
    }
}
