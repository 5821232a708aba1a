import CYAML

/// The one owner of a libyaml emitter and of the bytes it wrote; no pointer leaves.
struct YAMLWriter: ~Copyable {
    /// The emitter refused an event: it ran out of memory.
    struct Failed: Error {}

    private let emitter: UnsafeMutablePointer<yaml_emitter_t>
    private let output: UnsafeMutablePointer<[UInt8]>

    init() throws(Failed) {
        emitter = .allocate(capacity: 1)
        output = .allocate(capacity: 1)
        output.initialize(to: [])
        guard yaml_emitter_initialize(emitter) == 1 else {
            emitter.deallocate()
            output.deinitialize(count: 1)
            output.deallocate()
            throw Failed()
        }
        yaml_emitter_set_output(
            emitter,
            { target, bytes, count in
                guard let target, let bytes else { return 0 }
                // `target` is `output`, which lives as long as the emitter.
                target.assumingMemoryBound(to: [UInt8].self).pointee
                    .append(contentsOf: UnsafeBufferPointer(start: bytes, count: count))
                return 1
            }, output)
        yaml_emitter_set_unicode(emitter, 1)
        yaml_emitter_set_width(emitter, -1)
    }

    deinit {
        yaml_emitter_delete(emitter)
        emitter.deallocate()
        output.deinitialize(count: 1)
        output.deallocate()
    }

    /// Emits the event that `make` initialises. libyaml owns the event from there on.
    private func emit(_ make: (UnsafeMutablePointer<yaml_event_t>) -> Int32) throws(Failed) {
        var event = yaml_event_t()
        guard make(&event) == 1, yaml_emitter_emit(emitter, &event) == 1 else { throw Failed() }
    }

    func start() throws(Failed) {
        try emit { yaml_stream_start_event_initialize($0, YAML_UTF8_ENCODING) }
        try emit { yaml_document_start_event_initialize($0, nil, nil, nil, 1) }
    }

    /// Ends the document and returns everything written.
    func finish() throws(Failed) -> String {
        try emit { yaml_document_end_event_initialize($0, 1) }
        try emit { yaml_stream_end_event_initialize($0) }
        guard yaml_emitter_flush(emitter) == 1 else { throw Failed() }
        return String(decoding: output.pointee, as: UTF8.self)
    }

    func startSequence(isEmpty: Bool) throws(Failed) {
        let style = isEmpty ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE
        try emit { yaml_sequence_start_event_initialize($0, nil, nil, 1, style) }
    }

    func endSequence() throws(Failed) { try emit { yaml_sequence_end_event_initialize($0) } }

    func startMapping(isEmpty: Bool) throws(Failed) {
        let style = isEmpty ? YAML_FLOW_MAPPING_STYLE : YAML_BLOCK_MAPPING_STYLE
        try emit { yaml_mapping_start_event_initialize($0, nil, nil, 1, style) }
    }

    func endMapping() throws(Failed) { try emit { yaml_mapping_end_event_initialize($0) } }

    /// Writes a scalar: without quotes where its syntax allows that and `isPlain` says that its meaning does.
    func scalar(_ text: String, isPlain: Bool) throws(Failed) {
        let style = isPlain ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE
        var bytes = Array(text.utf8)
        let count = Int32(clamping: bytes.count)
        // libyaml copies the text; it refuses a null pointer, which an empty array may have.
        bytes.append(0)
        try emit { yaml_scalar_event_initialize($0, nil, nil, bytes, count, isPlain ? 1 : 0, 1, style) }
    }
}

extension ConfigNode {
    /// The tree as YAML that loads to the same configuration (`$` written as `$$`). With `redacting`, values of secret
    /// keys, everything under headers, and users and passwords in URLs are `[REDACTED]`. Throws when memory runs out.
    package func yaml(redacting: Bool = true) throws(ConfigError) -> String {
        do throws(YAMLWriter.Failed) {
            let writer = try YAMLWriter()
            try writer.start()
            try write(to: writer, redacting: redacting, isSecret: false)
            return try writer.finish()
        } catch {
            throw ConfigError(ConfigDiagnostic(at: nil, "there is not enough memory to print the configuration"))
        }
    }

    private func write(
        to writer: borrowing YAMLWriter, redacting: Bool, isSecret: Bool
    ) throws(YAMLWriter.Failed) {
        switch content {
        case .scalar(let scalar):
            try write(scalar, to: writer, redacting: redacting, isSecret: isSecret)
        case .sequence(let elements):
            try writer.startSequence(isEmpty: elements.isEmpty)
            for element in elements { try element.write(to: writer, redacting: redacting, isSecret: isSecret) }
            try writer.endSequence()
        case .mapping(let mapping):
            try writer.startMapping(isEmpty: mapping.entries.isEmpty)
            // In a list of headers the names are no secret.
            let isNameAndValue = isSecret && mapping["name"] != nil && mapping["value"] != nil
            for entry in mapping.entries {
                let isPath = ConfigPath.split(entry.key, by: "::") != nil
                try writer.scalar(entry.key, isPlain: !isPath && entry.key != "<<")
                let isHidden =
                    redacting && !(isNameAndValue && entry.key == "name")
                    && (isSecret || ConfigRedaction.isSecret(key: entry.key)
                        || ConfigRedaction.holdsSecrets(key: entry.key))
                try entry.value.write(to: writer, redacting: redacting, isSecret: isHidden)
            }
            try writer.endMapping()
        }
    }

    private func write(
        _ scalar: ConfigScalar, to writer: borrowing YAMLWriter, redacting: Bool, isSecret: Bool
    ) throws(YAMLWriter.Failed) {
        var scalar = scalar
        if case .null = scalar.value {
            // A value such as `#word` is only a comment to YAML, but a string option takes it as it is.
            guard scalar.text.isEmpty, let text = substitutedText, text.utf8.contains(where: { $0 > 0x20 }) else {
                return try writer.scalar("null", isPlain: true)
            }
            scalar = ConfigScalar(string: text)
        }
        if isSecret, !scalar.text.isEmpty { return try writer.scalar(ConfigRedaction.mask, isPlain: true) }
        guard case .string = scalar.value else { return try writer.scalar(scalar.text, isPlain: true) }
        var text = redacting ? ConfigRedaction.withoutUserInfo(scalar.text) : scalar.text
        if text.utf8.contains(UInt8(ascii: "$")) { text = ConfigExpander.escaped(text) }
        let isPlain = YAMLScalarResolver.resolve(text) == .string && !text.utf8.contains(UInt8(ascii: "\n"))
        try writer.scalar(text, isPlain: isPlain)
    }
}
