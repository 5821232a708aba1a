internal import OTLP
internal import Pipeline

/// A request's resources, sorted by the files that they go to.
struct ResourceGroups {
    /// The resources of one file: ResourceSpans, ResourceMetrics or ResourceLogs messages, valid as long as this value
    /// is kept.
    struct Group {
        let path: String
        var resources: [UnsafeRawBufferPointer] = []
    }

    /// Memory that looking into one resource may take. One that needs more counts as nameless.
    static let arenaLimit = 1 << 30

    /// In the order in which the files first come up.
    private(set) var groups: [Group] = []
    /// Resources without an attribute that makes a path.
    private(set) var nameless: [UnsafeRawBufferPointer] = []
    /// Owners of the bytes.
    private var batches: [TelemetryBatch] = []
    private var positions: [String: Int] = [:]

    /// Throws when bytes of a batch cannot be read, which had been read before.
    init(_ request: ExportRequest, pattern: GroupPath, attribute: String) throws(OTLPDecodeError) {
        let arena = WireArena(limit: Self.arenaLimit)
        let key = Array(attribute.utf8)
        for slice in request.slices {
            let batch = try Self.pristine(slice)
            batches.append(batch)
            for resource in batch.resources {
                let message = batch.message(of: resource)
                if let path = Self.value(of: key, in: message, arena).flatMap({ pattern.path(for: $0) }) {
                    add(message, to: path)
                } else {
                    nameless.append(message)
                }
                arena.reset()
            }
        }
    }

    private mutating func add(_ message: UnsafeRawBufferPointer, to path: String) {
        let position = positions[path] ?? groups.count
        if position == groups.count {
            groups.append(Group(path: path))
            positions[path] = position
        }
        groups[position].resources.append(message)
    }

    /// A batch whose resources' messages are what the slice holds. Encoding it once is linear, whatever the number of
    /// resources.
    private static func pristine(_ slice: BatchSlice) throws(OTLPDecodeError) -> TelemetryBatch {
        if slice.isWholeBatch, slice.batch.isPristine { return slice.batch }
        var writer = WireWriter(limit: RecordEncoder.maximumBytes)
        slice.batch.encode(slice.items, into: &writer)
        return try TelemetryBatch(WireBytes(taking: &writer), signal: slice.batch.signal, limits: limits)
    }

    /// What was accepted before must be accepted again.
    private static let limits = DecodeLimits(maximumDepth: RecordEncoder.maximumDepth, maximumItems: .max)

    /// The string that the resource's first attribute of that name holds. Valid until the arena is reset.
    private static func value(
        of key: [UInt8], in group: UnsafeRawBufferPointer, _ arena: WireArena
    ) -> UnsafeRawBufferPointer? {
        guard let group = ResourceGroupView(group, arena: arena),
            let resource = ResourceView(group.resource, arena: arena)
        else { return nil }
        for bytes in resource.attributes {
            guard let attribute = KeyValueView(bytes, arena: arena) else { return nil }
            guard attribute.key.elementsEqual(key) else { continue }
            guard case .string(let text)? = AnyValueView(attribute.value, arena: arena)?.value else { return nil }
            return text
        }
        return nil
    }

    /// What the self-metrics count in these resources.
    static func itemCount(in resources: [UnsafeRawBufferPointer], _ signal: Signal) -> Int {
        var writer = WireWriter(limit: RecordEncoder.maximumBytes)
        for resource in resources { writer.append(field: 1, bytes: resource) }
        return (try? TelemetryBatch(WireBytes(taking: &writer), signal: signal, limits: limits))?.itemCount ?? 0
    }
}
