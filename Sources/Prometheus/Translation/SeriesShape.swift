/// The label whose values are the translator's own, besides `__name__`.
enum ExtraLabel: UInt8 {
    case none
    case bound
    case quantile
}

/// How the labels of a series come about, for all points with the same attribute keys in the same order below the same
/// frame: which label takes its value from where, sorted and without collisions. Plain memory, owned by `ShapeTable`.
struct SeriesShape: BitwiseCopyable {
    struct Key: BitwiseCopyable {
        var base: UnsafePointer<UInt8>
        var count: UInt32
    }

    /// A label's place, and the number of what its value is taken from.
    struct Place: BitwiseCopyable {
        var slot: Int32
        var source: Int32
    }

    /// A label whose value is several values, joined.
    struct Join: BitwiseCopyable {
        var slot: Int32
        /// Range of `joinSources`: from 0, an attribute; below 0, `~` of a frame label.
        var first: Int32
        var count: Int32
    }

    var hash: UInt64
    var frameKey: Int
    var extra: ExtraLabel
    /// An attribute key has no translation: the point has no series.
    var isInvalid = false
    var keys: UnsafeMutableBufferPointer<Key>
    /// The series' labels, sorted. Names stay; values are put in for each point.
    var labels: UnsafeMutableBufferPointer<SeriesLabel>
    /// Labels from attributes.
    var dynamics: UnsafeMutableBufferPointer<Place>
    /// Labels from the frame.
    var statics: UnsafeMutableBufferPointer<Place>
    var joins: UnsafeMutableBufferPointer<Join>
    var joinSources: UnsafeMutableBufferPointer<Int32>
    /// For labels of attributes: the frame's label to take when the attributes are empty.
    var fallbacks: UnsafeMutableBufferPointer<Place>
    var nameSlot = 0
    var extraSlot = -1
    /// The serial of the frame whose values the static labels hold.
    var boundFrame = -1

    /// Whether a point has these attribute keys.
    @inline(__always)
    func matches(_ attributes: borrowing Scratch<PointAttribute>) -> Bool {
        let count = attributes.count
        guard keys.count == count else { return false }
        var index = 0
        while index < count {
            let key = keys[index]
            let attribute = attributes[index]
            guard key.count == attribute.keyCount, equalBytes(key.base, attribute.key, Int(key.count)) else {
                return false
            }
            index &+= 1
        }
        return true
    }

    /// Puts the frame's values in.
    mutating func bind(_ frame: borrowing LabelFrame) {
        for place in statics {
            let label = frame.labels[Int(place.source)]
            labels[Int(place.slot)].value = label.value
            labels[Int(place.slot)].valueCount = label.valueCount
        }
        boundFrame = frame.serial
    }

    func free() {
        keys.deallocate()
        labels.deallocate()
        dynamics.deallocate()
        statics.deallocate()
        joins.deallocate()
        joinSources.deallocate()
        fallbacks.deallocate()
    }
}

/// Shapes by frame, keys and extra label. Bounded; what it gives is valid until the next `trim` or `removeAll`.
struct ShapeTable: ~Copyable {
    typealias Address = UnsafeMutablePointer<SeriesShape>

    /// Shapes from which on the table begins anew.
    static let shapeLimit = 1024
    /// Attributes of all shapes from which on it does.
    static let keyLimit = 32_768
    /// Combinations of frame labels that are told apart before the list begins anew.
    static let frameLimit = 256

    private var shapes: [Address] = []
    private var keyCount = 0
    /// Shape number + 1; 0 is free.
    private var slots = [UInt32](repeating: 0, count: 4 * ShapeTable.shapeLimit)
    /// The last shape given for each extra label.
    private var latest: (Address?, Address?, Address?) = (nil, nil, nil)
    private var frames: [(words: [UInt32], key: Int)] = []
    private var lastFrameKey = 0

    deinit { release() }

    private func release() {
        for shape in shapes {
            shape.pointee.free()
            shape.deallocate()
        }
    }

    mutating func removeAll() {
        release()
        shapes = []
        keyCount = 0
        slots = [UInt32](repeating: 0, count: 4 * Self.shapeLimit)
        latest = (nil, nil, nil)
        frames = []
    }

    /// Call between two points.
    @inline(__always)
    mutating func trim() {
        if shapes.count >= Self.shapeLimit || keyCount >= Self.keyLimit { removeAll() }
    }

    /// A number for frames with these names and ranks, in this order.
    mutating func frameKey(_ words: [UInt32]) -> Int {
        if let known = frames.last(where: { $0.words == words }) { return known.key }
        if frames.count >= Self.frameLimit { frames = [] }
        // Never used before, so that no shape of a forgotten combination can be mistaken for one of this.
        lastFrameKey += 1
        frames.append((words, lastFrameKey))
        return lastFrameKey
    }

    /// The shape for a point with these attributes; nil when the table of names is full.
    @inline(__always)
    mutating func shape(
        _ attributes: borrowing Scratch<PointAttribute>, _ frame: borrowing LabelFrame, _ extra: ExtraLabel,
        _ names: inout LabelNames
    ) -> Address? {
        let candidate =
            switch extra {
            case .none: latest.0
            case .bound: latest.1
            case .quantile: latest.2
            }
        if let candidate, candidate.pointee.frameKey == frame.key, candidate.pointee.matches(attributes) {
            return candidate
        }
        return find(attributes, frame, extra, &names)
    }

    @inline(never)
    private mutating func find(
        _ attributes: borrowing Scratch<PointAttribute>, _ frame: borrowing LabelFrame, _ extra: ExtraLabel,
        _ names: inout LabelNames
    ) -> Address? {
        var hash = ByteHash.mix(ByteHash.seed ^ UInt64(truncatingIfNeeded: frame.key) << 2 ^ UInt64(extra.rawValue))
        for index in 0..<attributes.count {
            hash = ByteHash.add(attributes[index].key, Int(attributes[index].keyCount), to: hash)
        }
        let mask = slots.count - 1
        var position = Int(truncatingIfNeeded: hash) & mask
        while slots[position] != 0 {
            let shape = shapes[Int(slots[position]) - 1]
            if shape.pointee.hash == hash, shape.pointee.frameKey == frame.key, shape.pointee.extra == extra,
                shape.pointee.matches(attributes)
            {
                remember(shape, extra)
                return shape
            }
            position = (position + 1) & mask
        }
        var builder = ShapeBuilder(extra)
        guard builder.collect(attributes, frame, &names) else { return nil }
        let shape = Address.allocate(capacity: 1)
        shape.initialize(to: builder.shape(attributes, frame, hash, names))
        shapes.append(shape)
        keyCount += attributes.count
        slots[position] = UInt32(shapes.count)
        remember(shape, extra)
        return shape
    }

    private mutating func remember(_ shape: Address, _ extra: ExtraLabel) {
        switch extra {
        case .none: latest.0 = shape
        case .bound: latest.1 = shape
        case .quantile: latest.2 = shape
        }
    }
}
