internal import Glibc

/// A growable array of plain values whose memory is used again. One owner; nothing is checked but the capacity.
struct Scratch<Element: BitwiseCopyable>: ~Copyable {
    private(set) var base: UnsafeMutablePointer<Element>
    private(set) var count = 0
    private var capacity: Int

    init(capacity: Int = 16) {
        self.capacity = max(1, capacity)
        base = .allocate(capacity: self.capacity)
    }

    deinit { base.deallocate() }

    @inline(__always)
    mutating func append(_ element: Element) {
        if count == capacity { grow(to: capacity * 2) }
        (base + count).initialize(to: element)
        count &+= 1
    }

    @inline(never)
    private mutating func grow(to wanted: Int) {
        let moved = UnsafeMutablePointer<Element>.allocate(capacity: wanted)
        moved.update(from: base, count: count)
        base.deallocate()
        base = moved
        capacity = wanted
    }

    /// Makes room for `wanted` elements in all.
    @inline(__always)
    mutating func reserve(_ wanted: Int) {
        if wanted > capacity { grow(to: max(wanted, capacity * 2)) }
    }

    @inline(__always)
    mutating func removeAll() { count = 0 }

    /// `index` must be below `count`.
    @inline(__always)
    subscript(index: Int) -> Element {
        get { base[index] }
        set { base[index] = newValue }
    }

    /// Valid until the next change.
    @inline(__always)
    var elements: UnsafeBufferPointer<Element> { UnsafeBufferPointer(start: base, count: count) }
}

/// Bytes with stable addresses, taken one after the other and freed all at once. One owner.
struct ByteStore: ~Copyable {
    private static let chunkBytes = 16 << 10

    private var chunks: [UnsafeMutablePointer<UInt8>] = []
    private var room = 0
    private var cursor: UnsafeMutablePointer<UInt8>?
    /// Bytes of the chunks.
    private(set) var heldBytes = 0

    deinit { for chunk in chunks { chunk.deallocate() } }

    /// Uninitialised bytes, valid until `removeAll`.
    mutating func take(_ count: Int) -> UnsafeMutablePointer<UInt8> {
        if count <= room, let cursor {
            self.cursor = cursor + count
            room -= count
            return cursor
        }
        let size = max(count, Self.chunkBytes)
        let chunk = UnsafeMutablePointer<UInt8>.allocate(capacity: size)
        chunks.append(chunk)
        heldBytes += size
        cursor = chunk + count
        room = size - count
        return chunk
    }

    /// A copy of `bytes`.
    mutating func copy(_ bytes: UnsafeRawBufferPointer) -> UnsafePointer<UInt8> {
        let target = take(bytes.count)
        if let source = bytes.baseAddress, bytes.count > 0 { memcpy(target, source, bytes.count) }
        return UnsafePointer(target)
    }

    /// Makes every address void. Keeps one chunk of the usual size.
    mutating func removeAll() {
        if chunks.count == 1, heldBytes == Self.chunkBytes, let first = chunks.first {
            cursor = first
            room = Self.chunkBytes
            return
        }
        for chunk in chunks { chunk.deallocate() }
        chunks = []
        heldBytes = 0
        room = 0
        cursor = nil
    }
}

/// A fast hash with a seed of the process, so that senders cannot make keys collide.
enum ByteHash {
    static let seed = UInt64.random(in: 0 ... .max) | 1

    /// 64 bits of `count` bytes from `start`, added to what `state` has.
    @inline(__always)
    static func add(_ start: UnsafePointer<UInt8>, _ count: Int, to state: UInt64) -> UInt64 {
        let raw = UnsafeRawPointer(start)
        var state = state ^ UInt64(truncatingIfNeeded: count) &* 0x9E37_79B9_7F4A_7C15
        var at = 0
        while at &+ 8 <= count {
            state = mix(state ^ raw.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            at &+= 8
        }
        if at < count {
            var rest: UInt64 = 0
            if count >= 8 {
                rest = raw.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
            } else {
                while at < count {
                    rest = rest &<< 8 | UInt64(start[at])
                    at &+= 1
                }
            }
            state = mix(state ^ rest)
        }
        return state
    }

    @inline(__always)
    static func mix(_ value: UInt64) -> UInt64 {
        let product = value.multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
        return product.high ^ product.low
    }
}

/// Whether the same bytes lie at both places.
@inline(__always)
func equalBytes(_ left: UnsafePointer<UInt8>, _ right: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    let first = UnsafeRawPointer(left)
    let second = UnsafeRawPointer(right)
    if count >= 8 {
        var at = 0
        while at &+ 8 <= count {
            if first.loadUnaligned(fromByteOffset: at, as: UInt64.self)
                != second.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            {
                return false
            }
            at &+= 8
        }
        return first.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
            == second.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
    }
    var at = 0
    while at < count {
        if left[at] != right[at] { return false }
        at &+= 1
    }
    return true
}

/// Order of two names by their bytes: negative, zero, positive.
func compareBytes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
    let common = min(left.count, right.count)
    if common > 0, let first = left.baseAddress, let second = right.baseAddress {
        let order = memcmp(first, second, common)
        if order != 0 { return Int(order) }
    }
    return left.count - right.count
}
