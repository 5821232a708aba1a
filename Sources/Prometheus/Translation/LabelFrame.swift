internal import OTLP

/// Who wins when two labels have one name: the higher rank. Attributes among each other are joined.
enum LabelRank: UInt8, BitwiseCopyable {
    /// Only where there is nothing else.
    case external
    case attribute
    /// `job`, `instance` and the scope's labels.
    case fixed
    /// `__name__`, `le`, `quantile`.
    case own
}

/// A label that all series of a scope have.
struct FrameLabel: BitwiseCopyable {
    var nameID: UInt32
    var rank: LabelRank
    var value: UnsafePointer<UInt8>
    var valueCount: UInt32
}

/// The labels that all series of a scope (or of a resource) have besides those of their points.
struct LabelFrame: ~Copyable {
    private(set) var labels = Scratch<FrameLabel>()
    /// Names and ranks, for `ShapeTable.frameKey`.
    private(set) var words: [UInt32] = []
    /// Equal for frames of the same names; what shapes are looked up by.
    var key = 0
    /// Unique to this content: shapes remember whose values they hold.
    private(set) var serial = 0

    /// Empties the frame. `serial` must not have been used before.
    mutating func begin(serial: Int) {
        labels.removeAll()
        words.removeAll(keepingCapacity: true)
        self.serial = serial
    }

    /// Adds a label unless its value is empty. The value stays where it is as long as the frame is used.
    mutating func add(_ nameID: Int, _ rank: LabelRank, _ value: TextSlice) {
        guard value.count > 0 else { return }
        let nameID = UInt32(truncatingIfNeeded: nameID)
        labels.append(FrameLabel(nameID: nameID, rank: rank, value: value.base, valueCount: UInt32(value.count)))
        words.append(nameID << 2 | UInt32(rank.rawValue))
    }

    /// Adds all labels of another frame.
    mutating func add(_ other: borrowing LabelFrame) {
        for index in 0..<other.labels.count {
            let label = other.labels[index]
            labels.append(label)
            words.append(label.nameID << 2 | UInt32(label.rank.rawValue))
        }
    }
}

/// Bytes of a text, never without an address.
struct TextSlice: BitwiseCopyable {
    var base: UnsafePointer<UInt8>
    var count: Int

    /// No text.
    static var empty: TextSlice { TextSlice("") }

    @inline(__always)
    init(_ base: UnsafePointer<UInt8>, _ count: Int) {
        self.base = base
        self.count = count
    }

    init(_ text: StaticString) {
        base = text.utf8Start
        count = text.utf8CodeUnitCount
    }

    init(_ cursor: FieldCursor) {
        base = cursor.at
        count = cursor.count
    }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }
}

/// An attribute of a data point, its value as text.
struct PointAttribute: BitwiseCopyable {
    var key: UnsafePointer<UInt8>
    var value: UnsafePointer<UInt8>
    var keyCount: UInt32
    var valueCount: UInt32
}
