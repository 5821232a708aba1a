internal import CISAL

/// CRC-32C (Castagnoli), with the processor's instruction where it has one.
struct CRC32C {
    private var state: UInt32 = ~0

    /// The sum of what was added.
    var value: UInt32 { ~state }

    /// The library counts in `Int32`: longer runs go in parts of 1 GiB.
    private static let part = 1 << 30

    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes
        while let base = rest.baseAddress, rest.count > 0 {
            let count = min(rest.count, Self.part)
            // The library does not write through the pointer; its type only lacks the `const`.
            let start = UnsafeMutableRawPointer(mutating: base).assumingMemoryBound(to: UInt8.self)
            state = crc32_iscsi(start, Int32(count), state)
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    mutating func add(_ value: UInt64) { withUnsafeBytes(of: value.littleEndian) { add($0) } }
}
