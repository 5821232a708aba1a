/// Reads a base-128 varint at `cursor` and moves it on.
///
/// - Returns: the value; nil, with `cursor` unspecified, when the bytes end inside the varint, when it is longer
///   than ten bytes, or when it does not fit in 64 bits.
@inline(__always)
func readVarint(_ cursor: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> UInt64? {
    guard cursor < end else { return nil }
    let first = cursor.pointee
    if first < 0x80 {
        cursor += 1
        return UInt64(first)
    }
    return readLongVarint(&cursor, end)
}

@inline(__always)
private func readLongVarint(_ cursor: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> UInt64? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while cursor < end {
        let byte = cursor.pointee
        cursor += 1
        if shift == 63, byte > 1 { return nil }
        value |= UInt64(byte & 0x7F) &<< shift
        if byte < 0x80 { return value }
        shift &+= 7
        if shift > 63 { return nil }
    }
    return nil
}
