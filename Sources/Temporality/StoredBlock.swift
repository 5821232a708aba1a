internal import Glibc

/// Memory for the stored form of a histogram: its capacity in 32 bits, then the bytes.
enum StoredBlock {
    private static let header = MemoryLayout<UInt32>.size
    /// What the allocator hands out is a multiple of this, of which it keeps `overhead` for itself.
    private static let granule = 16
    private static let overhead = MemoryLayout<Int>.size

    /// A block with room for that many bytes or some more; nil when memory is refused.
    static func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
        let whole = (size + header + overhead + granule - 1) / granule * granule
        guard size >= 0, let capacity = UInt32(exactly: whole - overhead - header),
            let block = malloc(whole - overhead)
        else { return nil }
        block.storeBytes(of: capacity, as: UInt32.self)
        return block
    }

    /// Gives a block back; nil is none.
    static func release(_ block: UnsafeMutableRawPointer?) { free(block) }

    /// The room for bytes in a block.
    static func bytes(_ block: UnsafeMutableRawPointer) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: block + header, count: Int(block.load(as: UInt32.self)))
    }

    /// All memory that a block takes.
    static func size(_ block: UnsafeMutableRawPointer) -> Int { bytes(block).count + header + overhead }
}
