internal import OTLP

extension DebugFormatter {
    // MARK: Lines of the detailed form

    /// `Noun #number`.
    mutating func putHeading(_ noun: StaticString, _ number: Int) {
        text.put(noun)
        text.put(" #")
        text.put(number)
        text.put("\n")
    }

    mutating func putField(_ label: StaticString, text value: UnsafeRawBufferPointer) {
        text.put(label)
        text.put(text: value)
        text.put("\n")
    }

    mutating func putField(_ label: StaticString, hex value: UnsafeRawBufferPointer) {
        text.put(label)
        text.put(hex: value)
        text.put("\n")
    }

    mutating func putField(_ label: StaticString, time: UInt64) {
        text.put(label)
        text.put(time: time)
        text.put("\n")
    }

    mutating func putField(_ label: StaticString, _ value: String) {
        text.put(label)
        text.put(value)
        text.put("\n")
    }

    mutating func putField(_ label: StaticString, _ value: some BinaryInteger) { putField(label, String(value)) }

    mutating func putField(_ label: StaticString, _ value: Double) { putField(label, "\(value)") }

    /// Nothing for zero.
    mutating func putDropped(_ label: StaticString, _ count: UInt32) {
        if count > 0 { putField(label, count) }
    }

    /// The title, and a line for each attribute; nothing when there is none.
    mutating func putAttributes(
        _ title: StaticString, _ attributes: ByteSlices, indent: StaticString = "     -> "
    ) {
        if attributes.isEmpty { return }
        text.put(title)
        text.put("\n")
        for bytes in attributes {
            if text.isFull { return }
            text.put(indent)
            guard let attribute = KeyValueView(bytes, arena: arena) else {
                putUnreadable()
                continue
            }
            text.put(text: attribute.key)
            text.put(": ")
            putTyped(attribute.value)
            text.put("\n")
        }
    }

    /// A value with its type: `Str(hello)`, `Int(5)`, `Map({"a":1})`.
    mutating func putTyped(_ bytes: UnsafeRawBufferPointer) {
        guard let value = AnyValueView(bytes, arena: arena)?.value else { return text.put("(unreadable)") }
        switch value {
        case .empty: text.put("Empty(")
        case .string: text.put("Str(")
        case .bool: text.put("Bool(")
        case .int: text.put("Int(")
        case .double: text.put("Double(")
        case .array: text.put("Slice(")
        case .keyValueList: text.put("Map(")
        case .bytes: text.put("Bytes(")
        }
        putPlain(value)
        text.put(")")
    }

    // MARK: Words of the normal form

    /// `key=value` for each attribute, each with a blank behind it.
    mutating func putPairs(_ attributes: ByteSlices) {
        for bytes in attributes {
            if text.isFull { return }
            putPair(bytes)
            text.put(" ")
        }
    }

    /// `key=value`.
    mutating func putPair(_ bytes: UnsafeRawBufferPointer) {
        guard let attribute = KeyValueView(bytes, arena: arena),
            let value = AnyValueView(attribute.value, arena: arena)?.value
        else { return text.put("(unreadable)") }
        text.put(text: attribute.key)
        text.put("=")
        putPlain(value)
    }

    // MARK: Values

    /// The value without its type; lists and maps in the manner of JSON, bytes in hex.
    mutating func putPlain(_ value: AnyValueView.Value, depth: Int = 1) {
        switch value {
        case .empty: break
        case .string(let string): text.put(text: string)
        case .bool(let flag): text.put(flag ? "true" : "false")
        case .int(let number): text.put(number)
        case .double(let number): text.put(number)
        case .bytes(let bytes): text.put(hex: bytes)
        case .array(let bytes): putList(bytes, depth: depth)
        case .keyValueList(let bytes): putMap(bytes, depth: depth)
        }
    }

    private mutating func putList(_ bytes: UnsafeRawBufferPointer, depth: Int) {
        guard depth <= Self.maximumDepth else { return text.put("[…]") }
        guard let list = ArrayValueView(bytes, arena: arena) else { return text.put("(unreadable)") }
        text.put("[")
        for (index, element) in list.values.enumerated() {
            if text.isFull { return }
            if index > 0 { text.put(",") }
            putInner(element, depth: depth)
        }
        text.put("]")
    }

    private mutating func putMap(_ bytes: UnsafeRawBufferPointer, depth: Int) {
        guard depth <= Self.maximumDepth else { return text.put("{…}") }
        guard let map = KeyValueListView(bytes, arena: arena) else { return text.put("(unreadable)") }
        text.put("{")
        for (index, element) in map.values.enumerated() {
            if text.isFull { return }
            if index > 0 { text.put(",") }
            guard let entry = KeyValueView(element, arena: arena) else {
                text.put("(unreadable)")
                continue
            }
            putQuoted(entry.key)
            text.put(":")
            putInner(entry.value, depth: depth)
        }
        text.put("}")
    }

    private mutating func putInner(_ bytes: UnsafeRawBufferPointer, depth: Int) {
        guard let value = AnyValueView(bytes, arena: arena)?.value else { return text.put("(unreadable)") }
        switch value {
        case .empty: text.put("null")
        case .string(let string): putQuoted(string)
        default: putPlain(value, depth: depth + 1)
        }
    }

    private mutating func putQuoted(_ string: UnsafeRawBufferPointer) {
        text.put("\"")
        text.put(text: string)
        text.put("\"")
    }
}
