internal import OTLP

/// Finds the values of a few attributes by name. One owner, one thread at a time; the values point into the messages
/// that were looked at.
package final class AttributeLookup {
    private typealias Address = UnsafePointer<UInt8>

    /// Number of names.
    package let count: Int
    private let bytes: UnsafeMutablePointer<UInt8>
    /// In `bytes`.
    private let names: UnsafeMutablePointer<UnsafeRawBufferPointer>
    private let values: UnsafeMutablePointer<UnsafeRawBufferPointer>
    /// A bit for each length that a name has, modulo 64: most attributes are passed over by it.
    private let lengths: UInt64

    /// - Parameter texts: UTF-8; at most one place each.
    package init(_ texts: [String]) {
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        count = texts.count
        bytes = .allocate(capacity: texts.reduce(1) { $0 + $1.utf8.count })
        names = .allocate(capacity: max(1, texts.count))
        names.initialize(repeating: none, count: max(1, texts.count))
        values = .allocate(capacity: max(1, texts.count))
        values.initialize(repeating: none, count: max(1, texts.count))
        var lengths: UInt64 = 0
        var end = bytes
        for (index, text) in texts.enumerated() {
            let start = end
            for byte in text.utf8 {
                end.initialize(to: byte)
                end += 1
            }
            names[index] = UnsafeRawBufferPointer(start: start, count: end - start)
            lengths |= 1 << UInt64((end - start) & 63)
        }
        self.lengths = lengths
    }

    deinit {
        bytes.deallocate()
        names.deallocate()
        values.deallocate()
    }

    /// The name at an index below `count`; empty beyond. Valid as long as this object.
    package func name(_ index: Int) -> UnsafeRawBufferPointer {
        index >= 0 && index < count ? names[index] : UnsafeRawBufferPointer(start: nil, count: 0)
    }

    /// The encoded AnyValue of the name at `index`; without an address when it was not found.
    package func value(_ index: Int) -> UnsafeRawBufferPointer {
        index >= 0 && index < count ? values[index] : UnsafeRawBufferPointer(start: nil, count: 0)
    }

    /// Forgets what was found.
    package func clear() {
        for index in 0..<count { values[index] = UnsafeRawBufferPointer(start: nil, count: 0) }
    }

    /// Looks at the attributes of a message; of a name that is there twice the last value counts.
    ///
    /// - Parameters:
    ///   - key: field number and wire type of the attributes in that message, as on the wire: 0x4A in a span, 0x0A in a
    ///     resource.
    ///   - keepsFound: values from before are not replaced.
    package func find(in message: UnsafeRawBufferPointer, key: UInt8, keepsFound: Bool = false) {
        guard count > 0, message.count > 0, let base = message.baseAddress else { return }
        var at = base.assumingMemoryBound(to: UInt8.self)
        let end = at + message.count
        while at < end {
            guard let tag = WireFields.varint(&at, end) else { return }
            if tag & 7 != 2 {
                guard WireFields.skip(tag, &at, end) else { return }
                continue
            }
            guard let size = WireFields.varint(&at, end), size <= UInt64(end - at) else { return }
            let pair = at
            at += Int(size)
            if tag == UInt64(key) { look(at: pair, Int(size), keepsFound) }
        }
    }

    @inline(__always)
    private func look(at pair: Address, _ size: Int, _ keepsFound: Bool) {
        // The common shape: a short name, then the value.
        if size >= 2, pair[0] == 0x0A, pair[1] < 0x80 {
            let length = Int(pair[1])
            if length &+ 2 < size, pair[length &+ 2] == 0x12 {
                guard lengths & (1 &<< UInt64(length & 63)) != 0 else { return }
                return take(
                    UnsafeRawBufferPointer(start: pair + 2, count: length),
                    UnsafeRawBufferPointer(start: pair, count: size), keepsFound)
            }
        }
        let whole = UnsafeRawBufferPointer(start: pair, count: size)
        take(WireFields.payload(of: 1, in: whole), whole, keepsFound)
    }

    private func take(_ name: UnsafeRawBufferPointer, _ pair: UnsafeRawBufferPointer, _ keepsFound: Bool) {
        for index in 0..<count where names[index].count == name.count {
            if name.count > 0 {
                guard let left = names[index].baseAddress, let right = name.baseAddress,
                    SeriesHash.equal(left, right, name.count)
                else { continue }
            }
            if keepsFound, values[index].baseAddress != nil { continue }
            let value = WireFields.payload(of: 2, in: pair)
            // An attribute without a value is there all the same.
            values[index] = value.baseAddress == nil ? UnsafeRawBufferPointer(rebasing: pair.prefix(0)) : value
        }
    }
}
