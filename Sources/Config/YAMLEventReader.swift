import CYAML

/// A place in a YAML text as libyaml counts, from 0.
struct YAMLMark: Equatable {
    var line: Int
    var column: Int
}

/// Text that is not YAML, or more of it than the limits allow.
struct YAMLSyntaxError: Error {
    /// Nil when the whole text is meant.
    var mark: YAMLMark?
    var message: String
}

/// One libyaml event with its strings copied out.
struct YAMLEvent {
    enum Kind {
        case streamStart, streamEnd, documentStart, documentEnd
        case alias(String)
        case scalar(text: String, isPlain: Bool)
        case sequenceStart, sequenceEnd, mappingStart, mappingEnd
    }

    var kind: Kind
    var anchor: String?
    /// The resolved tag; nil when there is none.
    var tag: String?
    var mark: YAMLMark
}

/// The one owner of a libyaml parser and of the bytes it reads: both live until this value ends, and no pointer leaves.
struct YAMLEventReader: ~Copyable {
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let input: UnsafeMutableBufferPointer<UInt8>
    private let bytes: [UInt8]

    /// Starts reading. `bytes` must already be known to be UTF-8 without a byte order mark.
    init(_ bytes: [UInt8]) throws(YAMLSyntaxError) {
        self.bytes = bytes
        // libyaml refuses a null pointer, so that an empty text gets one byte of storage too.
        input = .allocate(capacity: max(1, bytes.count))
        _ = input.initialize(from: bytes)
        parser = .allocate(capacity: 1)
        guard yaml_parser_initialize(parser) == 1 else {
            parser.deallocate()
            input.deallocate()
            throw YAMLSyntaxError(mark: nil, message: "there is not enough memory to read it")
        }
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        yaml_parser_set_input_string(parser, input.baseAddress, bytes.count)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
        input.deallocate()
    }

    /// The next event. After an error or `streamEnd` it must not be called again.
    mutating func next() throws(YAMLSyntaxError) -> YAMLEvent {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else { throw failure() }
        defer { yaml_event_delete(&event) }
        let mark = YAMLMark(line: event.start_mark.line, column: event.start_mark.column)
        func make(
            _ kind: YAMLEvent.Kind, anchor: UnsafeMutablePointer<yaml_char_t>? = nil,
            tag: UnsafeMutablePointer<yaml_char_t>? = nil
        ) -> YAMLEvent {
            YAMLEvent(
                kind: kind, anchor: anchor.map { String(cString: $0) }, tag: tag.map { String(cString: $0) }, mark: mark
            )
        }
        switch event.type {
        case YAML_STREAM_START_EVENT: return make(.streamStart)
        case YAML_DOCUMENT_START_EVENT: return make(.documentStart)
        case YAML_DOCUMENT_END_EVENT: return make(.documentEnd)
        case YAML_SEQUENCE_END_EVENT: return make(.sequenceEnd)
        case YAML_MAPPING_END_EVENT: return make(.mappingEnd)
        case YAML_ALIAS_EVENT:
            return make(.alias(event.data.alias.anchor.map { String(cString: $0) } ?? ""))
        case YAML_SEQUENCE_START_EVENT:
            return make(.sequenceStart, anchor: event.data.sequence_start.anchor, tag: event.data.sequence_start.tag)
        case YAML_MAPPING_START_EVENT:
            return make(.mappingStart, anchor: event.data.mapping_start.anchor, tag: event.data.mapping_start.tag)
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            // Escapes such as "\0" and "\uD800" are resolved by libyaml; it refuses surrogates itself.
            let text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            let isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE
            return make(.scalar(text: text, isPlain: isPlain), anchor: scalar.anchor, tag: scalar.tag)
        default: return make(.streamEnd)
        }
    }

    /// What the parser says about the text, with a hint for the two mistakes that everyone makes.
    private func failure() -> YAMLSyntaxError {
        let state = parser.pointee
        let problem = state.problem.map { String(cString: $0) } ?? "it cannot be read"
        if state.error == YAML_READER_ERROR {
            return YAMLSyntaxError(mark: mark(at: state.problem_offset), message: "\(problem)")
        }
        if state.error == YAML_MEMORY_ERROR {
            return YAMLSyntaxError(mark: nil, message: "there is not enough memory to read it")
        }
        let mark = YAMLMark(line: state.problem_mark.line, column: state.problem_mark.column)
        var message = problem
        if let context = state.context {
            message += " (\(String(cString: context))"
            let start = state.context_mark
            if start.line != mark.line || start.column != mark.column {
                message += " that starts at line \(start.line + 1), column \(start.column + 1)"
            }
            message += ")"
        }
        let at = state.problem_mark.index
        if let offset = byteOffset(ofScalar: at) {
            if bytes[offset] == UInt8(ascii: "\t") { message += "; indent with spaces, not tabs" }
            if offset > 0, bytes[offset] == UInt8(ascii: "{"), bytes[offset - 1] == UInt8(ascii: "$") {
                message += "; put \"${…}\" in quotes inside [ ] and { }"
            }
        }
        return YAMLSyntaxError(mark: mark, message: message)
    }

    /// The byte where Unicode scalar number `index` starts; nil past the end.
    private func byteOffset(ofScalar index: Int) -> Int? {
        var seen = 0
        for (offset, byte) in bytes.enumerated() where byte & 0xC0 != 0x80 {
            if seen == index { return offset }
            seen += 1
        }
        return nil
    }

    /// The line and column of a byte.
    private func mark(at offset: Int) -> YAMLMark { YAMLMark(of: offset, in: bytes) }
}

extension YAMLMark {
    /// The line and column of byte `offset` in UTF-8 text, with lines ended by line feeds.
    init(of offset: Int, in bytes: [UInt8]) {
        self.init(line: 0, column: 0)
        for byte in bytes.prefix(offset) {
            if byte == UInt8(ascii: "\n") {
                line += 1
                column = 0
            } else if byte & 0xC0 != 0x80 {
                column += 1
            }
        }
    }
}
