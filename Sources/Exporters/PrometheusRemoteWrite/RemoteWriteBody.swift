internal import Compression
internal import Glibc
internal import OTLP
internal import Prometheus
internal import Transport

/// One request body, compressed. Immutable.
final class RemoteWriteBody: @unchecked Sendable {
    // Sendable: the bytes are written before `init` takes them and never after.

    private let base: UnsafeMutableRawPointer?
    /// Bytes after compression.
    let count: Int
    /// Bytes before compression.
    let plainCount: Int
    let version: RemoteWriteVersion
    let counts: RemoteWriteCounts

    /// Compresses `bytes`.
    /// - Throws: `SnappyBlock.Failure`.
    init(
        _ bytes: UnsafeRawBufferPointer, _ version: RemoteWriteVersion, _ counts: RemoteWriteCounts
    ) throws(SnappyBlock.Failure) {
        let compressed = try SnappyBlock.encode(bytes)
        (base, count) = compressed.release()
        plainCount = bytes.count
        self.version = version
        self.counts = counts
    }

    deinit { free(base) }

    /// The body as the client takes it.
    var http: HTTPRequestBody {
        HTTPRequestBody(gathering: [UnsafeRawBufferPointer(start: base, count: count)], owner: self)
    }

    /// Two bodies with half of the series each; nil when there are not two series, or no memory.
    func halves() -> [RemoteWriteBody]? {
        let packed = UnsafeRawBufferPointer(start: base, count: count)
        guard let plain = try? SnappyBlock.decode(packed, limit: plainCount) else { return nil }
        // 1.0: series are field 1, metadata field 3. 2.0: symbols are field 4, which both need, series field 5.
        let seriesTags: Set<UInt8> = version == .v1 ? [0x0A, 0x1A] : [0x2A]
        let fields = Self.fields(plain.bytes)
        let series = fields.filter { seriesTags.contains($0.tag) }
        guard series.count > 1 else { return nil }
        var bodies: [RemoteWriteBody] = []
        let middle = series.count / 2
        for range in [0..<middle, middle..<series.count] {
            var writer = WireWriter(capacity: plainCount)
            for field in fields where !seriesTags.contains(field.tag) {
                writer.append(UnsafeRawBufferPointer(rebasing: plain.bytes[field.range]))
            }
            for field in series[range] { writer.append(UnsafeRawBufferPointer(rebasing: plain.bytes[field.range])) }
            let part = counts.part(range.count, of: series.count, isRest: range.lowerBound > 0)
            guard !writer.overflowed, let body = try? RemoteWriteBody(writer.bytes, version, part) else { return nil }
            bodies.append(body)
        }
        return bodies
    }

    /// The fields of a message that we wrote ourselves: one-byte tags, length-delimited.
    private static func fields(_ bytes: UnsafeRawBufferPointer) -> [(tag: UInt8, range: Range<Int>)] {
        var fields: [(tag: UInt8, range: Range<Int>)] = []
        var at = 0
        while at < bytes.count {
            let start = at
            let tag = bytes[at]
            at += 1
            var length = 0
            var shift = 0
            while at < bytes.count, shift < 35 {
                let byte = bytes[at]
                at += 1
                length |= Int(byte & 0x7F) << shift
                shift += 7
                if byte < 0x80 { break }
            }
            guard length <= bytes.count - at else { break }
            at += length
            fields.append((tag, start..<at))
        }
        return fields
    }
}

extension RemoteWriteCounts {
    /// About what `series` of `total` series hold; the part and the rest add up.
    fileprivate func part(_ series: Int, of total: Int, isRest: Bool) -> RemoteWriteCounts {
        func share(_ count: Int) -> Int {
            isRest ? count - count * (total - series) / total : count * series / total
        }
        var part = RemoteWriteCounts()
        part.samples = share(samples)
        part.histograms = share(histograms)
        part.exemplars = share(exemplars)
        part.points = share(points)
        return part
    }
}
