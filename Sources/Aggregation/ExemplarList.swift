internal import Glibc

/// A measurement that stands for others, with the span it came from.
struct Exemplar {
    var time: UInt64
    var value: Double
    var traceID: (UInt64, UInt64)
    var spanID: UInt64
}

/// The exemplars of a series since the last collection: this header, then room for `capacity` of them. From `malloc`.
struct ExemplarList {
    var count: UInt32
    var capacity: UInt32

    /// Bytes of a list.
    static func size(_ capacity: Int) -> Int {
        MemoryLayout<ExemplarList>.stride + capacity * MemoryLayout<Exemplar>.stride
    }

    static func entries(_ list: UnsafeMutablePointer<ExemplarList>) -> UnsafeMutablePointer<Exemplar> {
        UnsafeMutableRawPointer(list + 1).assumingMemoryBound(to: Exemplar.self)
    }

    /// Adds an exemplar while there are fewer than `limit`.
    ///
    /// - Returns: bytes by which the list has grown.
    static func append(
        _ exemplar: Exemplar, to list: inout UnsafeMutablePointer<ExemplarList>?, limit: Int
    ) -> Int {
        let count = list.map { Int($0.pointee.count) } ?? 0
        let capacity = list.map { Int($0.pointee.capacity) } ?? 0
        guard count < limit else { return 0 }
        var grown = 0
        if count == capacity {
            let wanted = min(limit, max(2, capacity * 2))
            guard let moved = realloc(list, size(wanted)) else { return 0 }
            let header = moved.bindMemory(to: ExemplarList.self, capacity: 1)
            header.initialize(to: ExemplarList(count: UInt32(count), capacity: UInt32(wanted)))
            grown = size(wanted) - (capacity == 0 ? 0 : size(capacity))
            list = header
        }
        guard let list else { return grown }
        (entries(list) + count).initialize(to: exemplar)
        list.pointee.count += 1
        return grown
    }

    /// Frees the list; gives its size.
    static func free(_ list: inout UnsafeMutablePointer<ExemplarList>?) -> Int {
        guard let old = list else { return 0 }
        let bytes = size(Int(old.pointee.capacity))
        Glibc.free(old)
        list = nil
        return bytes
    }
}
