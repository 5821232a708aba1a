extension ConfigSection {
    /// A list of strings; nil when missing or null. One string with commas is a list too, as in otelcol.
    package func stringList(_ key: String) -> [String]? {
        guard let node = value(key) else { return nil }
        guard let elements = node.sequence else {
            if let scalar = node.scalar, scalar.value == .string || node.substitutedText != nil,
                let text = text(node, key)
            {
                return text.isEmpty ? [] : ConfigPath.split(text, by: ",") ?? [text]
            }
            error(key, "must be a list of strings, not \(node.kind)")
            return nil
        }
        var result: [String] = []
        for (index, element) in elements.enumerated() {
            if let text = elementText(element, "\(key)[\(index)]") { result.append(text) }
        }
        return result
    }

    /// A list of integers within `range`; nil when missing or null.
    package func integerList<Value: FixedWidthInteger & Sendable>(
        _ key: String, in range: ClosedRange<Value> = Value.min...Value.max
    ) -> [Value]? {
        numberList(key, "integers") { scalar in
            guard case .int(let integer) = scalar.value, let value = Value(exactly: integer), range.contains(value)
            else { return nil }
            return value
        } describing: {
            "must be an integer from \(range.lowerBound) to \(range.upperBound)"
        }
    }

    /// A list of numbers within `range`; nil when missing or null.
    package func doubleList(
        _ key: String,
        in range: ClosedRange<Double> = -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude
    ) -> [Double]? {
        numberList(key, "numbers") { scalar in
            switch scalar.value {
            case .int(let value): range.contains(Double(value)) ? Double(value) : nil
            case .float(let value): range.contains(value) ? value : nil
            default: nil
            }
        } describing: {
            "must be a number from \(range.lowerBound) to \(range.upperBound)"
        }
    }

    /// A list of Go durations, none negative, such as histogram buckets; nil when missing or null.
    package func durationList(_ key: String) -> [Duration]? {
        numberList(key, "durations") { scalar in
            guard let value = try? DurationText.parse(scalar.text), value >= .zero else { return nil }
            return value
        } describing: {
            "must be a duration such as 30s or 200ms"
        }
    }

    private func numberList<Value>(
        _ key: String, _ what: String, _ read: (ConfigScalar) -> Value?, describing: () -> String
    ) -> [Value]? {
        guard let node = value(key) else { return nil }
        guard let elements = node.sequence else {
            error(key, "must be a list of \(what), not \(node.kind)")
            return nil
        }
        var result: [Value] = []
        for (index, element) in elements.enumerated() {
            if let value = element.scalar.flatMap(read) {
                result.append(value)
            } else {
                let shown = element.substitutedText == nil ? element.scalar.map { ", not \(printable($0.text))" } : ""
                error(at: element, "\(key)[\(index)]", describing() + (shown ?? ", not \(element.kind)"))
            }
        }
        return result
    }

    /// Names and strings in the order of the text; nil when missing or null. A null value is the empty string.
    package func stringMap(_ key: String) -> OrderedMap<String, String>? {
        guard let node = value(key) else { return nil }
        guard let mapping = node.mapping else {
            error(key, "must be a mapping of strings, not \(node.kind)")
            return nil
        }
        var result = OrderedMap<String, String>()
        for entry in mapping.entries {
            let name = ConfigPath.join(key, entry.key)
            if entry.value.isNull, entry.value.substitutedText == nil {
                result[entry.key] = ""
            } else if let text = elementText(entry.value, name) {
                result[entry.key] = text
            }
        }
        return result
    }

    /// Names and strings that are never shown, such as headers; nil when missing or null. Either a mapping, or a list
    /// of `{name: …, value: …}` as newer otelcol writes it. A null value is the empty string.
    package func secretMap(_ key: String) -> OrderedMap<String, SecretString>? {
        guard let node = value(key) else { return nil }
        var result = OrderedMap<String, SecretString>()
        switch node.content {
        case .mapping(let mapping):
            for entry in mapping.entries {
                let name = ConfigPath.join(key, entry.key)
                if let text = secretOrEmpty(entry.value, name) { result[entry.key] = SecretString(text) }
            }
        case .sequence:
            for element in sectionList(key) ?? [] {
                element.require("name")
                let value = element.node("value")
                if value == nil { element.require("value") }
                guard let name = element.nonEmptyString("name"), let value else { continue }
                if result[name] != nil { element.error("name", "\(quoted(name)) is in the list twice") }
                if let text = element.secretOrEmpty(value, "value") { result[name] = SecretString(text) }
            }
        case .scalar:
            error(key, "must be a mapping of strings, not \(node.kind)")
            return nil
        }
        return result
    }

    private func secretOrEmpty(_ node: ConfigNode, _ key: String) -> String? {
        if node.isNull, node.substitutedText == nil { return "" }
        return secretText(node, key)
    }

    /// The string of an element; its place and path are the element's own.
    private func elementText(_ node: ConfigNode, _ key: String) -> String? {
        if let text = node.substitutedText { return text }
        if case .string? = node.scalar?.value { return node.scalar?.text }
        error(
            at: node, key, "must be a string, not \(node.kind)" + (node.scalar == nil ? "" : "; put it in quotes"))
        return nil
    }
}
