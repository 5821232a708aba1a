internal import Glibc

/// Writes wire bytes into memory that has room for them: the caller has reserved as much as it announced.
struct Pen {
    var at: UnsafeMutablePointer<UInt8>

    @inline(__always)
    init(_ memory: UnsafeMutableRawPointer) { at = memory.assumingMemoryBound(to: UInt8.self) }

    @inline(__always)
    mutating func byte(_ value: UInt8) {
        at.pointee = value
        at += 1
    }

    @inline(__always)
    mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            byte(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        byte(UInt8(truncatingIfNeeded: rest))
    }

    @inline(__always)
    mutating func varint(_ value: Int) { varint(UInt64(truncatingIfNeeded: value)) }

    @inline(__always)
    mutating func fixed64(_ value: UInt64) {
        UnsafeMutableRawPointer(at).storeBytes(of: value.littleEndian, as: UInt64.self)
        at += 8
    }

    /// Copies `count` bytes; short ones with two overlapping moves, which costs less than a call.
    @inline(__always)
    mutating func copy(_ source: UnsafePointer<UInt8>, _ count: Int) {
        let from = UnsafeRawPointer(source)
        let to = UnsafeMutableRawPointer(at)
        if count > 16 {
            if count <= 32 {
                move(SIMD16<UInt8>.self, from, to, count)
            } else {
                memcpy(to, from, count)
            }
        } else if count >= 8 {
            move(UInt64.self, from, to, count)
        } else if count >= 4 {
            move(UInt32.self, from, to, count)
        } else {
            var index = 0
            while index < count {
                at[index] = source[index]
                index &+= 1
            }
        }
        at += count
    }

    /// Copies as many bytes as a word has, and those at the end once more.
    @inline(__always)
    private func move<Word: BitwiseCopyable>(
        _ word: Word.Type, _ from: UnsafeRawPointer, _ to: UnsafeMutableRawPointer, _ count: Int
    ) {
        let last = count &- MemoryLayout<Word>.size
        let head = from.loadUnaligned(as: word)
        let tail = from.loadUnaligned(fromByteOffset: last, as: word)
        to.storeBytes(of: head, as: word)
        to.storeBytes(of: tail, toByteOffset: last, as: word)
    }
}

/// Bytes of a number as a varint: 1 to 10.
@inline(__always)
func varintLength(_ value: UInt64) -> Int { (70 &- (value | 1).leadingZeroBitCount) / 7 }

/// The same for a number that is mostly small.
@inline(__always)
func varintLength(_ value: Int) -> Int { value < 0x80 ? 1 : varintLength(UInt64(truncatingIfNeeded: value)) }

/// A `sint64` as it goes on the wire.
@inline(__always)
func zigzag(_ value: Int64) -> UInt64 { UInt64(bitPattern: value &<< 1 ^ value &>> 63) }
