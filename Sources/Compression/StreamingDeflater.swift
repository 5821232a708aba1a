internal import CISAL
internal import Glibc

/// Compresses whole bodies with ISA-L, slice after slice. Keeps its tables (360 KB) from one body to the next. One
/// owner; not thread-safe.
struct StreamingDeflater: ~Copyable {
    /// ISA-L counts in 32 bits; more bytes than this are refused.
    static let maxInput = 1 << 31
    private static let cacheLine = 64

    private let stream: UnsafeMutablePointer<isal_zstream>
    private let tables: UnsafeMutablePointer<UInt8>
    private let framing: UInt16

    /// - Parameter zlibFraming: RFC 1950 in place of gzip.
    /// - Throws: `.outOfMemory`.
    init(zlibFraming: Bool) throws(CompressionError) {
        let size = martlet_isal_tables_size
        guard let state = aligned_alloc(Self.cacheLine, Self.rounded(MemoryLayout<isal_zstream>.size)) else {
            throw .outOfMemory
        }
        guard let memory = aligned_alloc(Self.cacheLine, Self.rounded(size)) else {
            free(state)
            throw .outOfMemory
        }
        stream = state.assumingMemoryBound(to: isal_zstream.self)
        tables = memory.assumingMemoryBound(to: UInt8.self)
        framing = UInt16(zlibFraming ? IGZIP_ZLIB : IGZIP_GZIP)
        isal_deflate_init(stream)
        stream.pointee.level = 1
        stream.pointee.level_buf = tables
        stream.pointee.level_buf_size = UInt32(size)
    }

    deinit {
        free(stream)
        free(tables)
    }

    /// Compresses the bytes of all `slices`, in order, which are only read during the call.
    /// - Throws: `.tooLarge`, `.outOfMemory`.
    mutating func encode(_ slices: [UnsafeRawBufferPointer]) throws(CompressionError) -> OwnedBytes {
        var rest = slices.reduce(0) { $0 + $1.count }
        guard rest <= Self.maxInput else { throw .tooLarge(limit: Self.maxInput) }
        isal_deflate_reset(stream)
        // ISA-L leaves a mark here that the header has been written, which the reset does not take back.
        stream.pointee.gzip_flag = framing
        // Telemetry shrinks to an eighth; what shrinks less makes the buffer grow. Room for all of the input would cost
        // 50 ns a span in fresh pages.
        var output = try OutputBuffer(capacity: rest / 4 + 1024)
        for slice in slices where !slice.isEmpty {
            rest -= slice.count
            try compress(slice, isLast: rest == 0, &output)
            if rest == 0 { break }
        }
        // Without any byte the end has not been told yet.
        if martlet_isal_ended(stream) == 0 {
            try compress(UnsafeRawBufferPointer(start: nil, count: 0), isLast: true, &output)
        }
        return output.finish(count: Int(stream.pointee.total_out))
    }

    private func compress(
        _ slice: UnsafeRawBufferPointer, isLast: Bool, _ output: inout OutputBuffer
    ) throws(CompressionError) {
        // ISA-L does not write to its input, it only lacks the const.
        stream.pointee.next_in = UnsafeMutableRawPointer(mutating: slice.baseAddress)?
            .assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_in = UInt32(slice.count)
        stream.pointee.end_of_stream = isLast ? 1 : 0
        while true {
            let written = Int(stream.pointee.total_out)
            if written == output.capacity { try output.grow(to: output.capacity * 2) }
            stream.pointee.next_out = (output.base + written).assumingMemoryBound(to: UInt8.self)
            stream.pointee.avail_out = UInt32(min(output.capacity - written, Int(UInt32.max)))
            // It only refuses arguments, none of which depend on the input.
            guard isal_deflate(stream) == COMP_OK else { throw .outOfMemory }
            if isLast ? martlet_isal_ended(stream) != 0 : stream.pointee.avail_in == 0 { return }
        }
    }

    private static func rounded(_ size: Int) -> Int { (size + cacheLine - 1) / cacheLine * cacheLine }
}
