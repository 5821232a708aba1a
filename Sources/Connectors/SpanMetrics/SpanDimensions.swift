internal import Aggregation
internal import OTLP

/// The configured dimensions of one metric: what they are called, and the values that a span has for them.
///
/// Values are encoded AnyValue messages. Those of the span go first, then those of the event, then those of the resource,
/// then the default. Used by one thread at a time.
final class SpanDimensions {
    private typealias Pair = (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)

    /// Of the span and of the resource, by the same indices.
    private let ofSpan: AttributeLookup
    private let ofResource: AttributeLookup
    private let fallbacks: [[UInt8]?]
    private let globs: [[UInt8]]
    /// What matched a glob, in the order of the keys.
    private var matches: [Pair] = []
    private var matchesOfResource: [Pair] = []

    init(_ dimensions: [SpanMetricsSettings.Dimension]) {
        let named = dimensions.filter { !$0.isGlob }
        ofSpan = AttributeLookup(named.map(\.name))
        ofResource = AttributeLookup(named.map(\.name))
        fallbacks = named.map { $0.fallback.map(Self.encoded) }
        globs = dimensions.filter { $0.isGlob }.map { Array($0.name.utf8) }
    }

    /// Whether there is nothing to look for.
    var isEmpty: Bool { ofSpan.count == 0 && globs.isEmpty }

    /// An AnyValue with a text.
    private static func encoded(_ text: String) -> [UInt8] {
        var writer = WireWriter()
        Array(text.utf8).withUnsafeBytes { writer.append(field: 1, bytes: $0) }
        return Array(writer.bytes)
    }

    // MARK: Reading

    /// Begins a resource, whose message is kept by the caller until the next one.
    func begin(resource: UnsafeRawBufferPointer) {
        ofResource.clear()
        ofResource.find(in: resource, key: 0x0A)
        matchesOfResource = []
        if !globs.isEmpty { match(resource, 1, replaces: true, &matchesOfResource) }
    }

    /// Begins a span.
    func begin(span payload: UnsafeRawBufferPointer, tail: UnsafeRawBufferPointer) {
        ofSpan.clear()
        ofSpan.find(in: payload, key: 0x4A)
        if tail.count > 0 { ofSpan.find(in: tail, key: 0x4A) }
        guard !globs.isEmpty else { return }
        matches.removeAll(keepingCapacity: true)
        match(payload, 9, replaces: true, &matches)
        match(tail, 9, replaces: true, &matches)
    }

    /// Adds what an event of that span has.
    func add(event: UnsafeRawBufferPointer) {
        ofSpan.find(in: event, key: 0x1A, keepsFound: true)
        if !globs.isEmpty { match(event, 3, replaces: false, &matches) }
    }

    /// Adds the attributes of a message that match a glob.
    private func match(_ message: UnsafeRawBufferPointer, _ field: UInt32, replaces: Bool, _ found: inout [Pair]) {
        var walk = WireFields(message)
        while let attribute = walk.next() {
            guard attribute.number == field else { continue }
            let key = WireFields.payload(of: 1, in: attribute.payload)
            // Names that are dimensions by themselves, and those that a span has anyway, are not added twice.
            guard globs.contains(where: { Glob.matches(key, $0) }), !isNamed(key) else { continue }
            let value = WireFields.payload(of: 2, in: attribute.payload)
            let position = found.firstIndex { !$0.key.lexicographicallyPrecedes(key) } ?? found.endIndex
            if position < found.endIndex, found[position].key.elementsEqual(key) {
                if replaces { found[position].value = value }
            } else {
                found.insert((key, value), at: position)
            }
        }
    }

    private func isNamed(_ key: UnsafeRawBufferPointer) -> Bool {
        (0..<ofSpan.count).contains { ofSpan.name($0).elementsEqual(key) }
            || SpanMetricsSettings.ownDimensions.contains { $0.utf8.elementsEqual(key) }
    }

    // MARK: Writing

    /// Calls `body` with each dimension that has a value.
    private func forEach(_ body: (_ index: Int, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void)
    {
        for index in 0..<ofSpan.count {
            let own = ofSpan.value(index)
            let value = own.baseAddress == nil ? ofResource.value(index) : own
            if value.baseAddress != nil {
                body(index, ofSpan.name(index), value)
            } else if let fallback = fallbacks[index] {
                fallback.withUnsafeBytes { body(index, ofSpan.name(index), $0) }
            }
        }
        guard !globs.isEmpty else { return }
        for match in matches { body(ofSpan.count, match.key, match.value) }
        for match in matchesOfResource where !matches.contains(where: { $0.key.elementsEqual(match.key) }) {
            body(ofSpan.count, match.key, match.value)
        }
    }

    /// Appends what tells these values from others.
    func appendKey(to writer: inout WireWriter) {
        var key = WireWriter()
        swap(&key, &writer)
        forEach { index, name, value in
            key.append(varint: UInt64(index + 1))
            if index == ofSpan.count {
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
