internal import OTLP

/// The stored form: optional doubles by a mask of flags, everything that counts as varints. Most buckets of most
/// histograms hold little, so they take one or two bytes.
extension HistogramValue {
    private enum Part {
        static let sum: UInt8 = 1
        static let minimum: UInt8 = 2
        static let maximum: UInt8 = 4
        static let exponential: UInt8 = 8
        static let threshold: UInt8 = 16
    }

    /// Writes the stored form.
    func store(isExponential: Bool, into writer: inout WireWriter) {
        var parts: UInt8 = isExponential ? Part.exponential : 0
        if sum != nil { parts |= Part.sum }
        if minimum != nil { parts |= Part.minimum }
        if maximum != nil { parts |= Part.maximum }
        if zeroThreshold != 0 { parts |= Part.threshold }
        writer.append(byte: parts)
        writer.append(varint: count)
        for number in [sum, minimum, maximum] {
            if let number { writer.append(fixed64: number.bitPattern) }
        }
        guard isExponential else {
            writer.append(fixed64: boundsHash)
            Self.store(positive, into: &writer)
            return
        }
        if zeroThreshold != 0 { writer.append(fixed64: zeroThreshold.bitPattern) }
        writer.append(varint: zeroCount)
        writer.append(varint: UInt64(bitPattern: Int64(scale)))
        Self.store(positive, into: &writer)
        Self.store(negative, into: &writer)
    }

    private static func store(_ buckets: ExponentialBuckets, into writer: inout WireWriter) {
        writer.append(varint: UInt64(buckets.counts.count))
        writer.append(varint: zigZag(buckets.offset))
        for count in buckets.counts { writer.append(varint: count) }
    }

    /// Reads what was stored in a `StoredBlock`; whatever follows it there does not matter.
    mutating func load(_ block: UnsafeMutableRawPointer) {
        removeAll()
        let whole = UnsafeRawBufferPointer(StoredBlock.bytes(block))
        guard let parts = whole.first else { return }
        var cursor = StoredCursor(rest: UnsafeRawBufferPointer(rebasing: whole.dropFirst()))
        count = cursor.varint()
        if parts & Part.sum != 0 { sum = cursor.double() }
        if parts & Part.minimum != 0 { minimum = cursor.double() }
        if parts & Part.maximum != 0 { maximum = cursor.double() }
        guard parts & Part.exponential != 0 else {
            boundsHash = cursor.double().bitPattern
            cursor.buckets(&positive)
            return
        }
        if parts & Part.threshold != 0 { zeroThreshold = cursor.double() }
        zeroCount = cursor.varint()
        scale = Int32(truncatingIfNeeded: cursor.varint())
        cursor.buckets(&positive)
        cursor.buckets(&negative)
    }

    /// Small numbers of either sign as small numbers.
    static func zigZag(_ number: Int64) -> UInt64 { UInt64(bitPattern: (number << 1) ^ (number >> 63)) }
}

/// Reads what `store` wrote; a fault, which cannot be, reads as zero.
private struct StoredCursor {
    var rest: UnsafeRawBufferPointer

    mutating func varint() -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while let byte = rest.first, shift < 64 {
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst())
            value |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return 0
    }

    mutating func double() -> Double {
        guard rest.count >= 8 else { return 0 }
        let bits = rest.loadUnaligned(as: UInt64.self)
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(8))
        return Double(bitPattern: UInt64(littleEndian: bits))
    }

    mutating func buckets(_ buckets: inout ExponentialBuckets) {
        let count = varint()
        let offset = varint()
        buckets.start(at: Int32(truncatingIfNeeded: Int64(offset >> 1) ^ -Int64(offset & 1)))
        guard count <= UInt64(rest.count) else { return }
        for _ in 0..<count { buckets.append(varint()) }
    }
}
