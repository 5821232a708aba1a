/// What a request body holds.
package struct RemoteWriteCounts: Sendable, Equatable {
    /// Float samples.
    package var samples = 0
    /// Native histograms.
    package var histograms = 0
    package var exemplars = 0
    /// Data points of OTLP: those whose main series (`SeriesRole.countsPoint`) is here.
    package var points = 0

    /// Nothing.
    package init() {}

    /// Whether there is a series at all.
    package var isEmpty: Bool { samples == 0 && histograms == 0 }

    /// Both together.
    package static func + (first: Self, second: Self) -> Self {
        var sum = first
        sum.samples += second.samples
        sum.histograms += second.histograms
        sum.exemplars += second.exemplars
        sum.points += second.points
        return sum
    }
}

/// Versions of remote write's messages.
package enum RemoteWriteVersion: Sendable {
    /// `prometheus.WriteRequest`.
    case v1
    /// `io.prometheus.write.v2.Request`.
    case v2
}

/// Writes series into the bodies of remote-write requests.
///
/// Series are spread over shards by a hash of their labels: all samples of a series are in one shard, in their order,
/// so that shards can be sent in parallel. The bodies of one shard have to be sent one after the other. One owner, one
/// thread at a time; the buffers are kept from one request to the next.
package protocol RemoteWriteEncoder: SeriesSink {
    /// Begins a request. What was not finished is dropped.
    /// - Parameters:
    ///   - shards: 1 or more.
    ///   - maximumBytes: of a body; one series may pass it.
    ///   - now: milliseconds on any clock that does not go back, for the metadata's interval.
    func start(shards: Int, maximumBytes: Int, now: Int64)

    /// Ends the request: passes on all bodies that are not full.
    func finish()
}

/// Takes a complete body: its shard, its bytes, which are valid during the call only, and what they hold.
package typealias RemoteWriteOutput = (_ shard: Int, _ body: UnsafeRawBufferPointer, RemoteWriteCounts) -> Void

/// Which shard a series is in.
@inline(__always)
func shardNumber(_ labels: UnsafeBufferPointer<SeriesLabel>, _ shards: Int) -> Int {
    var hash = ByteHash.seed
    for label in labels {
        hash = ByteHash.add(label.encodedName, Int(label.encodedNameCount), to: hash)
        hash = ByteHash.add(label.value, Int(label.valueCount), to: hash)
    }
    return Int(hash.multipliedFullWidth(by: UInt64(shards)).high)
}

/// Size on the wire of what both versions have in common.
enum RemoteWriteSizes {
    /// Bytes of a native histogram without times, as a message.
    static func histogram(_ histogram: NativeHistogram) -> Int {
        var size = 1 + varintLength(histogram.count) + 9
        size += 1 + varintLength(zigzag(Int64(histogram.schema))) + 9 + 1 + varintLength(histogram.zeroCount)
        for buckets in [histogram.negative, histogram.positive] where buckets.spans.count > 0 {
            for span in buckets.spans {
                let content = spanSize(span)
                size += 1 + varintLength(content) + content
            }
            let packed = deltasSize(buckets.deltas)
            size += 1 + varintLength(packed) + packed
        }
        return size
    }

    static func spanSize(_ span: BucketSpan) -> Int {
        1 + varintLength(zigzag(Int64(span.offset))) + 1 + varintLength(UInt64(span.length))
    }

    static func deltasSize(_ deltas: UnsafeBufferPointer<Int64>) -> Int {
        var size = 0
        for delta in deltas { size += varintLength(zigzag(delta)) }
        return size
    }
}

extension Pen {
    /// A native histogram's fields but for its times; their size is `RemoteWriteSizes.histogram`.
    mutating func histogram(_ histogram: NativeHistogram) {
        byte(0x08)
        varint(histogram.count)
        byte(0x19)
        fixed64(histogram.sum.bitPattern)
        byte(0x20)
        varint(zigzag(Int64(histogram.schema)))
        byte(0x29)
        fixed64(histogram.zeroThreshold.bitPattern)
        byte(0x30)
        varint(histogram.zeroCount)
        buckets(histogram.negative, spanTag: 0x42, deltaTag: 0x4A)
        buckets(histogram.positive, spanTag: 0x5A, deltaTag: 0x62)
    }

    private mutating func buckets(_ buckets: NativeBuckets, spanTag: UInt8, deltaTag: UInt8) {
        guard buckets.spans.count > 0 else { return }
        for span in buckets.spans {
            byte(spanTag)
            varint(RemoteWriteSizes.spanSize(span))
            byte(0x08)
            varint(zigzag(Int64(span.offset)))
            byte(0x10)
            varint(UInt64(span.length))
        }
        byte(deltaTag)
        varint(RemoteWriteSizes.deltasSize(buckets.deltas))
        for delta in buckets.deltas { varint(zigzag(delta)) }
    }
}
