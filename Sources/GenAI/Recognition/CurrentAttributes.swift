package import OTLP

/// Writing a call back to its span under the current names of the conventions.
extension GenAIMapping {
    /// Fields that have a value and a current name, and do not stand on the span that way yet. Empty for a span that
    /// was written before: normalising is idempotent.
    ///
    /// Where the answer meets `ModelCall.outdated`, the span has the name with another value: remove that attribute, or
    /// rely on readers that take the last of equal keys, as Martlet's does.
    package func fieldsToWrite(_ call: UnsafePointer<ModelCall>) -> CallFields {
        var fields = call.pointee.present.subtracting(call.pointee.current)
        if call.pointee.usage.cacheWrite5m != nil, !call.pointee.present.contains(.cacheWrite) {
            fields.insert(CallFields(.cacheWrite))
        }
        if call.pointee.needsUsageMark {
            fields.insert(CallFields(.usageMark))
        } else {
            fields.remove(CallFields(.usageMark))
        }
        return fields.intersection(writtenFields)
    }

    /// Whether an attribute is an older or another name of one of `fields`, which stand under their current names.
    /// Never one whose value is structured, and never a name that others than AI instrumentations use.
    package func isOriginal(_ key: UnsafeRawBufferPointer, of fields: CallFields) -> Bool {
        guard key.count >= 4, let base = key.baseAddress else { return false }
        let position = keys.find(base, key.count)
        guard position >= 0, entries[position].root == 0, entries[position].actionCount > 0 else { return false }
        for name: StaticString in [
            "session.id", "enduser.id", "db.system", "tool.name", "agent.name", "operation.name",
        ]
        where sameBytes(key, UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)) {
            return false
        }
        let first = Int(entries[position].firstAction)
        return (first..<first + Int(entries[position].actionCount)).allSatisfy { index in
            !actions[index].flags.contains(.isCurrent) && fields.contains(actions[index].field)
        }
    }

    /// Appends `fields` of a call as attributes of a span. Fields without a value or a name are passed over.
    package func append(_ fields: CallFields, of call: UnsafePointer<ModelCall>, to writer: inout WireWriter) {
        var rest = fields.rawValue
        let texts = call.pointee.present.rawValue & Self.plainTexts & rest
        if texts != 0 { rest &= ~appendShort(texts, of: call, to: &writer) }
        while rest != 0 {
            let index = rest.trailingZeroBitCount
            rest &= rest &- 1
            let key = writtenKeys[index]
            guard key.count > 0 else { continue }
            if index < CallField.textSlots {
                appendText(index, key, call, &writer)
            } else if let field = CallField(rawValue: UInt8(index)) {
                appendOther(field, key, call, &writer)
            }
        }
    }

    /// Fields whose value is a text, the mark of the usage excepted. Computed: see `SpanScan`.
    private static var plainTexts: UInt64 { 1 &<< UInt64(CallField.usageMark.rawValue) &- 1 }
    /// Bytes of the longest text that is written by `appendShort`: its attribute has lengths of a byte each.
    private static var shortText: Int { 64 }

    /// Appends those of the texts that are short, and says which ones.
    @inline(__always)
    private func appendShort(_ texts: UInt64, of call: UnsafePointer<ModelCall>, to writer: inout WireWriter) -> UInt64
    {
        let start = writer.count
        let room = (GenAIMapping.longestWrittenName + Self.shortText + 48) &* texts.nonzeroBitCount
        guard let first = writer.appendUninitialized(room) else { return 0 }
        var at = first
        var written: UInt64 = 0
        var rest = texts
        while rest != 0 {
            let index = rest.trailingZeroBitCount
            rest &= rest &- 1
            let key = writtenKeys[index]
            let text = call.pointee.texts[index]
            let size = text.count
            let sum = key.count &+ 3 &+ size
            guard key.count > 0, let from = key.baseAddress, size > 0, size <= Self.shortText, sum < 128,
                let content = text.baseAddress
            else { continue }
            written |= 1 &<< UInt64(index)
            at.storeBytes(of: 0x4A, as: UInt8.self)
            at.storeBytes(of: UInt8(truncatingIfNeeded: sum), toByteOffset: 1, as: UInt8.self)
            copyShort(from, to: at + 2, key.count)
            at += 2 &+ key.count
            at.storeBytes(of: UInt8(truncatingIfNeeded: size &+ 2), as: UInt8.self)
            at.storeBytes(of: 0x0A, toByteOffset: 1, as: UInt8.self)
            at.storeBytes(of: UInt8(truncatingIfNeeded: size), toByteOffset: 2, as: UInt8.self)
            copyShort(content, to: at + 3, size)
            at += 3 &+ size
        }
        writer.truncate(to: start &+ (at - first))
        return written
    }

    @inline(__always)
    private func appendText(
        _ index: Int, _ key: UnsafeRawBufferPointer, _ call: UnsafePointer<ModelCall>, _ writer: inout WireWriter
    ) {
        if index == Int(CallField.usageMark.rawValue), call.pointee.needsUsageMark {
            return writer.append(encodedKey: key, .literal("inclusive"))
        }
        guard call.pointee.present.rawValue & 1 &<< UInt64(index) != 0 else { return }
        writer.append(encodedKey: key, text: call.pointee.texts[index])
    }

    private func appendOther(
        _ field: CallField, _ key: UnsafeRawBufferPointer, _ call: UnsafePointer<ModelCall>,
        _ writer: inout WireWriter
    ) {
        if field == .finish {
            guard call.pointee.present.contains(.finish) else { return }
            let reasons = call.pointee.finishReasons
            if reasons.form == .text, let first = reasons.content.first, first != UInt8(ascii: "["),
                first != UInt8(ascii: "\""), writer.append(encodedKey: key, list: reasons.content)
            {
                return
            }
            writer.append(attribute: writtenName(.finish)) { ModelCall.forEachReason(of: reasons, $0) }
        } else if let content = call.pointee.content(field) {
            writer.append(encodedKey: key, content)
        }
    }
}

/// The key of every field that is written, encoded as the beginning of a KeyValue: up to its value.
final class WrittenKeys: Sendable {
    // Sendable: written before `init` returns and never after.
    private nonisolated(unsafe) let slices: UnsafeMutablePointer<UnsafeRawBufferPointer>
    private nonisolated(unsafe) let block: UnsafeMutableRawPointer

    /// - Parameter names: by field; empty where a field is not written.
    init(_ names: [UnsafeRawBufferPointer]) {
        var writer = WireWriter()
        var ends: [Int] = []
        for name in names {
            if name.count > 0 {
                writer.append(field: 1, bytes: name)
                writer.append(tag: 2, .lengthDelimited)
            }
            ends.append(writer.count)
        }
        block = .allocate(byteCount: max(1, writer.count), alignment: 8)
        block.copyMemory(from: writer.bytes.baseAddress ?? UnsafeRawPointer(block), byteCount: writer.count)
        slices = .allocate(capacity: max(1, names.count))
        var start = 0
        for (index, end) in ends.enumerated() {
            (slices + index).initialize(to: UnsafeRawBufferPointer(start: block + start, count: end - start))
            start = end
        }
    }

    deinit {
        slices.deallocate()
        block.deallocate()
    }

    @inline(__always)
    subscript(_ field: Int) -> UnsafeRawBufferPointer { slices[field] }
}

extension ModelCall {
    /// True when counts were changed in a way that a second look at the span would repeat.
    var needsUsageMark: Bool {
        guard !present.contains(.usageMark) else { return false }
        return usageRule.isExclusive || !marks.isDisjoint(with: [.reasoningAdded, .inputRaised, .extraAdded])
    }

    /// A field as it is written: counts of usage normalised, everything else as it was read.
    func content(_ field: CallField) -> AttributeContent? {
        switch field {
        case .input: return usage.input.map(AttributeContent.int)
        case .output: return usage.output.map(AttributeContent.int)
        case .cacheWrite:
            return usage.cacheWrite5m.map { .int($0 + (usage.cacheWrite1h ?? 0)) }
        case .usageMark: return .literal("inclusive")
        default: break
        }
        switch field.form {
        case .operation, .provider, .text: return text(field).map(AttributeContent.text)
        case .count: return count(field).map(AttributeContent.int)
        case .double: return double(field).map(AttributeContent.double)
        case .flag: return isStreaming.map(AttributeContent.bool)
        case .reasons: return nil
        }
    }
}
