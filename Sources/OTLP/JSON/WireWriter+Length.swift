internal import Glibc

extension WireWriter {
    /// Writes, in shortest form, the length of everything after the `reserved` bytes at `start` into them, moving the
    /// rest when another size is needed.
    ///
    /// - Returns: bytes that the length took, 1 to 10. Nothing is done after an overflow.
    mutating func setLength(at start: Int, reserved: Int) -> Int {
        let payload = count - start - reserved
        let size = varintSize(UInt64(max(0, payload)))
        guard payload >= 0, !overflowed else { return size }
        if size > reserved, appendUninitialized(size - reserved) == nil { return size }
        guard let base else { return size }
        let target = (base + start).assumingMemoryBound(to: UInt8.self)
        if size != reserved { memmove(target + size, target + reserved, payload) }
        truncate(to: start + size + payload)
        var rest = UInt64(payload)
        for position in 0..<size {
            target[position] = UInt8(truncatingIfNeeded: rest) & 0x7F | (position < size - 1 ? 0x80 : 0)
            rest >>= 7
        }
        return size
    }
}
