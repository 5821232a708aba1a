internal import Aggregation
internal import OTLP

/// The configured dimensions of one metric: what they are called, and the values that a span has for them.
///
/// Values are encoded AnyValue messages. Those of the span go first, then those of the event, then those of the resource,
/// then the default. Used by one thread at a time.
final class SpanDimensions {
    private struct Dimension {
        let name: [UInt8]
        let fallback: [UInt8]?
        let isGlob: Bool
    }

    private let dimensions: [Dimension]
    private let hasGlobs: Bool
    /// Values found, by dimension; a slice without an address is none.
    private let values: UnsafeMutablePointer<UnsafeRawBufferPointer>
    private let ofResource: UnsafeMutablePointer<UnsafeRawBufferPointer>
    /// What matched a glob, and by key: whole KeyValues in the order of their keys.
    private var matches: [(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)] = []
    private var matchesOfResource: [(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)] = []

    init(_ dimensions: [SpanMetricsSettings.Dimension]) {
        self.dimensions = dimensions.map { dimension in
            Dimension(
                name: Array(dimension.name.utf8), fallback: dimension.fallback.map(Self.encoded),
                isGlob: dimension.isGlob)
        }
        hasGlobs = dimensions.contains { $0.isGlob }
        values = .allocate(capacity: max(1, dimensions.count))
        values.initialize(repeating: UnsafeRawBufferPointer(start: nil, count: 0), count: max(1, dimensions.count))
        ofResource = .allocate(capacity: max(1, dimensions.count))
        ofResource.initialize(repeating: UnsafeRawBufferPointer(start: nil, count: 0), count: max(1, dimensions.count))
    }

    deinit {
        values.deallocate()
        ofResource.deallocate()
    }

    /// Whether there is nothing to look for.
    var isEmpty: Bool { dimensions.isEmpty }

    /// An AnyValue with a text.
    private static func encoded(_ text: String) -> [UInt8] {
        var writer = WireWriter()
        Array(text.utf8).withUnsafeBytes { writer.append(field: 1, bytes: $0) }
        return Array(writer.bytes)
    }

    // MARK: Reading

    /// Begins a resource, whose message is kept by the caller until the next one.
    func begin(resource: UnsafeRawBufferPointer) {
        clear()
        look(at: resource, field: 0x0A, replaces: true)
        for index in dimensions.indices { ofResource[index] = values[index] }
        matchesOfResource = matches
        clear()
    }

    /// Begins a span.
    func begin(span payload: UnsafeRawBufferPointer, tail: UnsafeRawBufferPointer) {
        clear()
        look(at: payload, field: 0x4A, replaces: true)
        if tail.count > 0 { look(at: tail, field: 0x4A, replaces: true) }
    }

    /// Adds what an event of that span has.
    func add(event: UnsafeRawBufferPointer) { look(at: event, field: 0x1A, replaces: false) }

    private func clear() {
        for index in dimensions.indices { values[index] = UnsafeRawBufferPointer(start: nil, count: 0) }
        if hasGlobs { matches.removeAll(keepingCapacity: true) }
    }

    private func look(at message: UnsafeRawBufferPointer, field: UInt64, replaces: Bool) {
        var walk = WireFields(message)
        while let attribute = walk.next() {
            guard attribute.key == field else { continue }
            let key = WireFields.payload(of: 0x0A, in: attribute.payload)
            for index in dimensions.indices where !dimensions[index].isGlob {
                guard dimensions[index].name.count == key.count, dimensions[index].name.elementsEqual(key),
                    replaces || values[index].baseAddress == nil
                else { continue }
                values[index] = Self.value(attribute.payload)
            }
            if hasGlobs, dimensions.contains(where: { $0.isGlob && Glob.matches(key, $0.name) }) {
                insert(key, Self.value(attribute.payload), replaces: replaces)
            }
        }
    }

    /// The AnyValue of a KeyValue: one without an address stands for no dimension, so an empty one has that of the pair.
    private static func value(_ pair: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let value = WireFields.payload(of: 0x12, in: pair)
        return value.baseAddress == nil ? UnsafeRawBufferPointer(rebasing: pair.prefix(0)) : value
    }

    private func insert(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, replaces: Bool) {
        // Names that are dimensions by themselves, and those that a span has anyway, are not added twice.
        let isNamed = dimensions.contains { !$0.isGlob && $0.name.elementsEqual(key) }
        let isOwn = SpanMetricsSettings.ownDimensions.contains { $0.utf8.elementsEqual(key) }
        guard !isNamed, !isOwn else { return }
        let position = matches.firstIndex { !$0.key.lexicographicallyPrecedes(key) } ?? matches.endIndex
        if position < matches.endIndex, matches[position].key.elementsEqual(key) {
            if replaces { matches[position].value = value }
        } else {
            matches.insert((key, value), at: position)
        }
    }

    // MARK: Writing

    /// Calls `body` with each dimension that has a value.
    private func forEach(_ body: (_ index: Int, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void)
    {
        for index in dimensions.indices where !dimensions[index].isGlob {
            let value = values[index].baseAddress == nil ? ofResource[index] : values[index]
            dimensions[index].name.withUnsafeBytes { name in
                if value.baseAddress != nil {
                    body(index, name, value)
                } else if let fallback = dimensions[index].fallback {
                    fallback.withUnsafeBytes { body(index, name, $0) }
                }
            }
        }
        guard hasGlobs else { return }
        for match in matches { body(dimensions.count, match.key, match.value) }
        for match in matchesOfResource where !matches.contains(where: { $0.key.elementsEqual(match.key) }) {
            body(dimensions.count, match.key, match.value)
        }
    }

    /// Appends what tells these values from others.
    func appendKey(to writer: inout WireWriter) {
        var key = WireWriter()
        swap(&key, &writer)
        forEach { index, name, value in
            key.append(varint: UInt64(index + 1))
            if index == dimensions.count {
                key.append(varint: UInt64(name.count))
                key.append(name)
            }
            key.append(varint: UInt64(value.count))
            key.append(value)
        }
        // What follows the values can not be taken for one.
        key.append(byte: 0)
        swap(&key, &writer)
    }

    /// Appends the attributes, as fields of number 1.
    func appendAttributes(to writer: inout WireWriter) {
        var attributes = WireWriter()
        swap(&attributes, &writer)
        forEach { _, name, value in
            let start = attributes.count
            attributes.append(field: 1, bytes: name)
            attributes.append(field: 2, bytes: value)
            attributes.wrap(since: start, field: 1)
        }
        swap(&attributes, &writer)
    }
}

/// Patterns with `*` for any characters and `?` for one byte.
enum Glob {
    /// Whether the whole of `text` matches; time is at most the product of the lengths.
    static func matches(_ text: UnsafeRawBufferPointer, _ pattern: [UInt8]) -> Bool {
        var position = 0
        var at = 0
        var star = -1
        var resume = 0
        while position < text.count {
            if at < pattern.count, pattern[at] == UInt8(ascii: "*") {
                star = at
                resume = position
                at += 1
            } else if at < pattern.count, pattern[at] == UInt8(ascii: "?") || pattern[at] == text[position] {
                at += 1
                position += 1
            } else if star >= 0 {
                at = star + 1
                resume += 1
                position = resume
            } else {
                return false
            }
        }
        return pattern[at...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}
