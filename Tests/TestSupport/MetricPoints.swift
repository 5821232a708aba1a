package import OTLP

/// One data point of a metrics batch, read whole, for comparisons.
package struct MetricPoint: Sendable {
    /// `key=value` for each attribute, in the order of the message.
    package var resource: [String] = []
    package var scope = ""
    package var metric = ""
    package var unit = ""
    package var description = ""
    package var temporality: Int32 = 0
    package var isMonotonic = false
    package var attributes: [String] = []
    package var start: UInt64 = 0
    package var time: UInt64 = 0
    package var flags: UInt32 = 0
    package var int: Int64?
    package var double: Double?
    package var count: UInt64?
    package var sum: Double?
    package var buckets: [UInt64] = []
    package var bounds: [Double] = []
    package var minimum: Double?
    package var maximum: Double?
    package var scale: Int32?
    package var zeroCount: UInt64?
    package var offset: Int32?
    package var exemplars: [(time: UInt64, value: Double, traceID: [UInt8], spanID: [UInt8])] = []

    /// All points of a metrics batch, in order.
    package static func all(in batch: TelemetryBatch) -> [MetricPoint] {
        let arena = WireArena(limit: 256 << 20)
        var points: [MetricPoint] = []
        for resource in batch.resources {
            var template = MetricPoint()
            if let group = ResourceGroupView(batch.message(of: resource), arena: arena),
                let message = ResourceView(group.resource, arena: arena)
            {
                template.resource = Self.attributes(message.attributes, arena)
            }
            for scope in batch.scopes[resource.scopes] {
                if let group = ScopeGroupView(batch.message(of: scope), arena: arena),
                    let message = ScopeView(group.scope, arena: arena)
                {
                    template.scope = text(message.name)
                }
                for index in scope.items {
                    guard let metric = MetricView(batch.payload(of: batch.items[index]), arena: arena) else { continue }
                    template.metric = text(metric.name)
                    template.unit = text(metric.unit)
                    template.description = text(metric.description)
                    points += read(metric, template, arena)
                }
            }
        }
        return points
    }

    private static func read(_ metric: MetricView, _ template: MetricPoint, _ arena: WireArena) -> [MetricPoint] {
        var template = template
        func each(_ data: UnsafeRawBufferPointer, _ read: (UnsafeRawBufferPointer, inout MetricPoint) -> Void)
            -> [MetricPoint]
        {
            guard let data = MetricDataView(data, arena: arena) else { return [] }
            template.temporality = data.aggregationTemporality
            template.isMonotonic = data.isMonotonic
            return data.dataPoints.map { bytes in
                var point = template
                read(bytes, &point)
                return point
            }
        }
        switch metric.data {
        case .gauge(let data), .sum(let data):
            return each(data) { bytes, point in
                guard let view = NumberDataPointView(bytes, arena: arena) else { return }
                point.fill(view.attributes, view.startTime, view.time, view.flags, view.exemplars, arena)
                switch view.value {
                case .int(let value): point.int = value
                case .double(let value): point.double = value
                default: break
                }
            }
        case .histogram(let data):
            return each(data) { bytes, point in
                guard let view = HistogramDataPointView(bytes, arena: arena) else { return }
                point.fill(view.attributes, view.startTime, view.time, view.flags, view.exemplars, arena)
                point.count = view.count
                point.sum = view.sum
                point.buckets = Array(view.bucketCounts)
                point.bounds = Array(view.explicitBounds)
                point.minimum = view.minimum
                point.maximum = view.maximum
            }
        case .exponentialHistogram(let data):
            return each(data) { bytes, point in
                guard let view = ExponentialHistogramDataPointView(bytes, arena: arena) else { return }
                point.fill(view.attributes, view.startTime, view.time, view.flags, view.exemplars, arena)
                point.count = view.count
                point.sum = view.sum
                point.scale = view.scale
                point.zeroCount = view.zeroCount
                point.minimum = view.minimum
                point.maximum = view.maximum
                if let buckets = BucketsView(view.positive, arena: arena) {
                    point.offset = buckets.offset
                    point.buckets = Array(buckets.bucketCounts)
                }
            }
        default:
            return []
        }
    }

    private mutating func fill(
        _ attributes: ByteSlices, _ start: UInt64, _ time: UInt64, _ flags: UInt32, _ exemplars: ByteSlices,
        _ arena: WireArena
    ) {
        self.attributes = Self.attributes(attributes, arena)
        self.start = start
        self.time = time
        self.flags = flags
        for bytes in exemplars {
            guard let view = ExemplarView(bytes, arena: arena), case .double(let value) = view.value else { continue }
            self.exemplars.append((view.time, value, Array(view.traceID), Array(view.spanID)))
        }
    }

    private static func attributes(_ slices: ByteSlices, _ arena: WireArena) -> [String] {
        slices.map { bytes in
            guard let pair = KeyValueView(bytes, arena: arena), let value = AnyValueView(pair.value, arena: arena)
            else { return "?" }
            let shown: String
            switch value.value {
            case .string(let bytes): shown = text(bytes)
            case .bool(let flag): shown = "\(flag)"
            case .int(let number): shown = "\(number)"
            case .double(let number): shown = "\(number)"
            default: shown = "?"
            }
            return "\(text(pair.key))=\(shown)"
        }
    }

    private static func text(_ bytes: UnsafeRawBufferPointer) -> String { String(decoding: bytes, as: UTF8.self) }
}
