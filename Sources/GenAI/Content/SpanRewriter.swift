package import OTLP

/// Copies a span but for some of its attributes, and for its content. A value without state; any thread.
package struct SpanRewriter {
    private let names: ContentNames
    private let filter: ContentFilter

    /// - Parameters:
    ///   - mapping: says what content is.
    package init(mapping: GenAIMapping, content filter: ContentFilter) {
        names = mapping.content
        self.filter = filter
    }

    /// Writes the fields of a span.
    ///
    /// - Parameters:
    ///   - parts: the encoded Span message; by protobuf concatenation, in parts.
    ///   - writer: gets the message; incomplete when it has overflowed.
    ///   - removing: whether the attribute with a key is left out.
    /// - Returns: false when nothing was left out or changed.
    package func rewrite(
        _ parts: [UnsafeRawBufferPointer], into writer: inout WireWriter,
        removing: (UnsafeRawBufferPointer) -> Bool
    ) -> Bool {
        var isChanged = false
        for part in parts {
            guard var cursor = WireCursor(part) else { continue }
            while cursor.at < cursor.end {
                let start = cursor.at
                guard let tag = cursor.varint() else { break }
                var isDone = false
                if tag == 0x4A || tag == 0x5A, let message = cursor.payload() {
                    isDone =
                        tag == 0x4A
                        ? rewrite(attribute: message, field: 9, isContent: false, &writer, removing)
                        : filter.mode != .keep && rewrite(event: message, &writer)
                } else {
                    cursor.skipField(tag)
                }
                if isDone {
                    isChanged = true
                } else {
                    writer.append(UnsafeRawBufferPointer(start: start, count: cursor.at - start))
                }
            }
        }
        return isChanged
    }

    /// False when the attribute stays as it is; then nothing is written.
    private func rewrite(
        attribute message: WireCursor, field: UInt32, isContent: Bool, _ writer: inout WireWriter,
        _ removing: (UnsafeRawBufferPointer) -> Bool
    ) -> Bool {
        guard let attribute = WireAttribute(message) else { return false }
        let key = UnsafeRawBufferPointer(start: attribute.key, count: attribute.keyCount)
        if removing(key) { return true }
        guard filter.mode != .keep, isContent ? !names.isException(key) : names.contains(key) else { return false }
        let value = AttributeValue(attribute.value)
        switch value.form {
        case .text, .array, .list, .bytes: break
        // Numbers and flags tell nothing of a prompt.
        default: return false
        }
        switch filter.mode {
        case .keep: return false
        case .drop: return true
        case .hash:
            if value.form == .text, Self.isHash(value.content) { return false }
            let digest = SHA256.text(of: value.content)
            digest.withUnsafeBytes { writer.append(field: field, key: key, .text($0)) }
            return true
        case .truncate:
            guard value.content.count > filter.limit else { return false }
            if value.form == .text {
                writer.append(field: field, key: key, .text(Self.head(of: value.content, filter.limit)))
            }
            return true
        }
    }

    private func rewrite(event message: WireCursor, _ writer: inout WireWriter) -> Bool {
        var cursor = message
        var isContent = false
        while let tag = cursor.varint() {
            if tag == 0x12, let name = cursor.payload() {
                isContent = names.contains(event: name.rest)
            } else {
                cursor.skipField(tag)
            }
        }
        let start = writer.count
        var isChanged = false
        cursor = message
        while cursor.at < cursor.end {
            let fieldStart = cursor.at
            guard let tag = cursor.varint() else { break }
            if tag == 0x1A, let attribute = cursor.payload() {
                if rewrite(attribute: attribute, field: 3, isContent: isContent, &writer, { _ in false }) {
                    isChanged = true
                    continue
                }
            } else {
                cursor.skipField(tag)
            }
            writer.append(UnsafeRawBufferPointer(start: fieldStart, count: cursor.at - fieldStart))
        }
        guard isChanged else {
            writer.truncate(to: start)
            return false
        }
        writer.wrap(since: start, field: 11)
        return true
    }

    /// What another Martlet wrote is not hashed again.
    private static func isHash(_ text: UnsafeRawBufferPointer) -> Bool {
        text.count == SHA256.textCount && text.starts(with: SHA256.prefix)
    }

    /// At most `limit` bytes, without a part of a character at their end.
    static func head(of text: UnsafeRawBufferPointer, _ limit: Int) -> UnsafeRawBufferPointer {
        var end = min(limit, text.count)
        if end < text.count {
            while end > 0, text[end] & 0xC0 == 0x80 { end -= 1 }
        }
        return UnsafeRawBufferPointer(rebasing: text[..<end])
    }
}
