internal import Glibc

extension SpanScan {
    /// Elements of an array that are looked at.
    private static let maximumElements = 256
    /// Longest text within a text that is unescaped to be read.
    private static let maximumUnescaped = 64 << 10

    /// Reads the paths of all structured values that may still say something.
    func readBlobs() {
        for index in 0..<blobCount {
            let (root, value) = blobs[index]
            guard isWanted(Int(root)) else { continue }
            switch value.form {
            case .text: read(text: value.content, Int(root))
            case .array, .list: read(structured: value, Int(root))
            default: continue
            }
        }
    }

    /// Whether a line below `root` is better than what its field has.
    private func isWanted(_ root: Int) -> Bool {
        let node = mapping.nodes[root]
        for index in Int(node.firstOfAll)..<Int(node.firstOfAll) + Int(node.countOfAll)
        where actions[index].rank < ranks[Int(actions[index].field.rawValue)] {
            let isOfKind = actions[index].argument == operationKind.rawValue
            if !isKindKnown || isOfKind || !actions[index].flags.contains(.onlyKind) { return true }
        }
        return false
    }

    /// Whether an attribute tells the span's kind, so that nothing needs to wait for it.
    private var isKindKnown: Bool { ranks[Int(CallField.operation.rawValue)] != ModelCall.unranked }

    private func read(text: UnsafeRawBufferPointer, _ root: Int) {
        if mapping.nodes[root].isShort, text.count > SpanRecogniser.maximumShortText { return read(endOf: text, root) }
        var text = text
        if text.count > structuredBytesLeft {
            call.pointee.marks.insert(.textTooLong)
            text = UnsafeRawBufferPointer(rebasing: text[..<structuredBytesLeft])
        }
        structuredBytesLeft -= text.count
        guard let cursor = WireCursor(text) else { return }
        var reader = BlobReader(cursor, isOwned: true)
        if reader.peek() == UInt8(ascii: "\""), text.count <= Self.maximumUnescaped {
            readEncodedTwice(text, root)
        } else if !reader.read(root, self) {
            call.pointee.marks.insert(.unreadableText)
        }
    }

    /// Of a long array of objects in JSON, the last member of the last object, when it has a simple value.
    private func read(endOf text: UnsafeRawBufferPointer, _ root: Int) {
        let element = child(of: root, named: UnsafeRawBufferPointer.nothing)
        guard element != 0 else { return }
        var end = BlobEnd(text)
        guard end.take(UInt8(ascii: "]")), end.take(UInt8(ascii: "}")), let value = end.string(),
            end.take(UInt8(ascii: ":")), let name = end.string()
        else { return }
        let node = child(of: element, named: name)
        if node != 0 { apply(AttributeValue(text: value), at: node, isOwned: true) }
    }

    /// JSON in a JSON string.
    private func readEncodedTwice(_ text: UnsafeRawBufferPointer, _ root: Int) {
        withUnsafeTemporaryAllocation(byteCount: text.count, alignment: 1) { plain in
            var count = 0
            var position = 1
            while position < text.count - 1 {
                // Quotes and backslashes are what matters; other escapes stand inside strings that nobody wants.
                if text[position] == UInt8(ascii: "\\") { position += 1 }
                plain[count] = text[position]
                count += 1
                position += 1
            }
            guard let cursor = WireCursor(UnsafeRawBufferPointer(rebasing: plain[..<count])) else { return }
            var reader = BlobReader(cursor, isOwned: false)
            if !reader.read(root, self) { call.pointee.marks.insert(.unreadableText) }
        }
    }

    /// The same paths through KeyValueList and ArrayValue messages. As deep as the paths, no deeper.
    private func read(structured value: AttributeValue, _ node: Int) {
        apply(value, at: node, isOwned: true)
        guard mapping.nodes[node].firstChild != 0, var cursor = WireCursor(value.content),
            value.form == .list || value.form == .array
        else { return }
        var count = 0
        while let tag = cursor.varint(), count < Self.maximumElements {
            guard tag == 0x0A else {
                cursor.skipField(tag)
                continue
            }
            guard let payload = cursor.payload() else { return }
            count += 1
            if value.form == .array {
                let child = child(of: node, named: UnsafeRawBufferPointer.nothing)
                if child != 0 { read(structured: AttributeValue(payload), child) }
            } else if let attribute = WireAttribute(payload), attribute.keyCount > 0 {
                let name = UnsafeRawBufferPointer(start: attribute.key, count: attribute.keyCount)
                let child = child(of: node, named: name)
                if child != 0 { read(structured: AttributeValue(attribute.value), child) }
            }
        }
    }

    /// Gives a value to the lines whose path ends at `node`. A text that is not the span's own may not be kept.
    func apply(_ value: AttributeValue, at node: Int, isOwned: Bool) {
        let node = mapping.nodes[node]
        for index in Int(node.firstAction)..<Int(node.firstAction) + Int(node.actionCount) {
            let action = actions[index]
            let isNumber = action.field.form == .count || action.field.form == .double
            guard isOwned || isNumber else { continue }
            guard action.flags.contains(.onlyKind) else {
                take(value, action, addedRank: 0)
                continue
            }
            if isKindKnown {
                if action.argument == operationKind.rawValue { take(value, action, addedRank: 0) }
            } else if isOwned {
                take(value, index, addedRank: 0)
            }
        }
    }

    /// The child of a node; an empty name means "any element". 0 without one.
    @inline(__always)
    func child(of node: Int, named name: UnsafeRawBufferPointer) -> Int {
        var child = Int(mapping.nodes[node].firstChild)
        while child != 0 {
            let own = mapping.nodes[child].name
            if sameBytes(own, name) { return child }
            child = Int(mapping.nodes[child].sibling)
        }
        return 0
    }
}

/// Reads tokens of a JSON text from its end, within its last `reach` bytes.
private struct BlobEnd {
    private static let reach = 256

    private let text: UnsafeRawBufferPointer
    private var end: Int

    init(_ text: UnsafeRawBufferPointer) {
        self.text = UnsafeRawBufferPointer(rebasing: text.suffix(Self.reach))
        end = self.text.count
    }

    private mutating func skipBlanks() {
        while end > 0, text[end - 1] <= 0x20 { end -= 1 }
    }

    /// Whether this byte stands before what has been read; then it is read.
    mutating func take(_ byte: UInt8) -> Bool {
        skipBlanks()
        guard end > 0, text[end - 1] == byte else { return false }
        end -= 1
        return true
    }

    /// A string without its quotes and without escaped quotes in it.
    mutating func string() -> UnsafeRawBufferPointer? {
        guard take(UInt8(ascii: "\"")) else { return nil }
        let last = end
        while end > 0, text[end - 1] != UInt8(ascii: "\"") { end -= 1 }
        guard end > 1, text[end - 2] != UInt8(ascii: "\\") else { return nil }
        let string = UnsafeRawBufferPointer(rebasing: text[end..<last])
        end -= 1
        return string
    }
}

/// Looks for the paths of a mapping in JSON text, or in the text of a Python literal, without decoding the rest.
///
/// Values that no path leads to are skipped by counting brackets outside of strings: their inside is not checked.
/// A text that ends early is read up to there.
struct BlobReader {
    /// Most names in a path; also how deep the reader nests.
    static let deepestPath = 8

    private var cursor: WireCursor
    /// The bytes are the span's own, so that slices of them may be kept.
    private let isOwned: Bool

    init(_ cursor: WireCursor, isOwned: Bool) {
        self.cursor = cursor
        self.isOwned = isOwned
    }

    /// The next byte that is no white space; 0 at the end.
    @inline(__always)
    mutating func peek() -> UInt8 {
        while cursor.at < cursor.end {
            let byte = cursor.at.pointee
            if byte > 0x20 { return byte }
            cursor.at += 1
        }
        return 0
    }

    /// Reads one value, by the paths below `node`. False when the text is broken or ends in it.
    mutating func read(_ node: Int, _ scan: SpanScan) -> Bool {
        let hasChildren = scan.mapping.nodes[node].firstChild != 0
        switch peek() {
        case UInt8(ascii: "{"):
            guard hasChildren else { return skipNested() }
            return readObject(node, scan)
        case UInt8(ascii: "["):
            let child = scan.child(of: node, named: UnsafeRawBufferPointer.nothing)
            guard child != 0 else { return skipNested() }
            return readArray(child, scan)
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
            guard let text = string() else { return false }
            scan.apply(AttributeValue(text: text), at: node, isOwned: isOwned)
            return true
        default:
            guard let word = word() else { return false }
            scan.apply(AttributeValue(text: word), at: node, isOwned: isOwned)
            return true
        }
    }

    private mutating func readObject(_ node: Int, _ scan: SpanScan) -> Bool {
        cursor.at += 1
        while true {
            switch peek() {
            case UInt8(ascii: "}"):
                cursor.at += 1
                return true
            case UInt8(ascii: ","): cursor.at += 1
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                guard let key = string(), peek() == UInt8(ascii: ":") else { return false }
                cursor.at += 1
                let child = scan.child(of: node, named: key)
                guard child != 0 && key.count > 0 ? read(child, scan) : skip() else { return false }
            default: return false
            }
        }
    }

    private mutating func readArray(_ child: Int, _ scan: SpanScan) -> Bool {
        cursor.at += 1
        while true {
            switch peek() {
            case UInt8(ascii: "]"):
                cursor.at += 1
                return true
            case UInt8(ascii: ","): cursor.at += 1
            case 0: return false
            default:
                guard read(child, scan) else { return false }
            }
        }
    }

    // MARK: Tokens

    /// A value that no path leads to.
    private mutating func skip() -> Bool {
        switch peek() {
        case UInt8(ascii: "{"), UInt8(ascii: "["): return skipNested()
        case UInt8(ascii: "\""), UInt8(ascii: "'"): return string() != nil
        default: return word() != nil
        }
    }

    private mutating func skipNested() -> Bool {
        var depth = 0
        while cursor.at < cursor.end {
            switch cursor.at.pointee {
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                if depth == 0 {
                    cursor.at += 1
                    return true
                }
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                guard string() != nil else { return false }
                continue
            default: break
            }
            cursor.at += 1
        }
        return false
    }

    /// A string without its quotes, escapes left as they are; nil when it does not end.
    private mutating func string() -> UnsafeRawBufferPointer? {
        let quote = Int32(cursor.at.pointee)
        cursor.at += 1
        let start = cursor.at
        guard var end = find(quote) else { return nil }
        while let escape = memchr(cursor.at, Int32(UInt8(ascii: "\\")), end - cursor.at) {
            // What follows a backslash may be a quote: then the string does not end there.
            let next = UnsafeRawPointer(escape).assumingMemoryBound(to: UInt8.self) + 2
            guard next <= cursor.end else { return nil }
            cursor.at = next
            if next > end {
                guard let further = find(quote) else { return nil }
                end = further
            }
        }
        cursor.at = end + 1
        return UnsafeRawBufferPointer(start: start, count: end - start)
    }

    /// Where a byte stands next; nil, with the cursor at the end, when it does not.
    private mutating func find(_ byte: Int32) -> WireCursor.Address? {
        guard cursor.at < cursor.end, let found = memchr(cursor.at, byte, cursor.end - cursor.at) else {
            cursor.at = cursor.end
            return nil
        }
        return UnsafePointer(UnsafeMutableRawPointer(found).assumingMemoryBound(to: UInt8.self))
    }

    /// A number, `true`, `null`, `None`: up to what ends a value; nil when there is nothing.
    private mutating func word() -> UnsafeRawBufferPointer? {
        let start = cursor.at
        loop: while cursor.at < cursor.end {
            switch cursor.at.pointee {
            case 0...0x20, UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "]"), UInt8(ascii: ":"): break loop
            default: cursor.at += 1
            }
        }
        guard cursor.at > start else { return nil }
        // A number that the end of the text cut off is not the number.
        guard cursor.at < cursor.end else { return nil }
        return UnsafeRawBufferPointer(start: start, count: cursor.at - start)
    }
}
