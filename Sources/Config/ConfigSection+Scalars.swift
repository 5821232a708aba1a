extension ConfigSection {
    /// `true` or `false`; nil when missing or null.
    package func bool(_ key: String) -> Bool? {
        guard let node = value(key) else { return nil }
        if case .bool(let value)? = node.scalar?.value { return value }
        mismatch(key, node, "must be true or false")
        return nil
    }

    /// An integer within `range`; nil when missing or null. A number such as `1e6` counts when it is whole.
    /// Units (bytes, seconds …) are the option's own.
    package func integer<Value: FixedWidthInteger & Sendable>(
        _ key: String, in range: ClosedRange<Value> = Value.min...Value.max
    ) -> Value? {
        guard let node = value(key) else { return nil }
        var number: Value?
        switch node.scalar?.value {
        case .int(let value): number = Value(exactly: value)
        case .float(let value): number = value.magnitude < 0x1p63 ? Value(exactly: value) : nil
        default:
            mismatch(key, node, "must be an integer")
            return nil
        }
        if let number, range.contains(number) { return number }
        if case .float(let value)? = node.scalar?.value, value != value.rounded() {
            mismatch(key, node, "must be an integer")
        } else {
            mismatch(key, node, "must be \(bounds(range, Value.min, Value.max))", namesKind: false)
        }
        return nil
    }

    /// A number within `range`, never NaN or infinite; nil when missing or null.
    package func double(
        _ key: String,
        in range: ClosedRange<Double> = -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude
    ) -> Double? {
        guard let node = value(key) else { return nil }
        let number: Double
        switch node.scalar?.value {
        case .int(let value): number = Double(value)
        case .float(let value): number = value
        default:
            mismatch(key, node, "must be a number")
            return nil
        }
        if range.contains(number) { return number }
        mismatch(
            key, node,
            number.isFinite
                ? "must be \(bounds(range, -.greatestFiniteMagnitude, .greatestFiniteMagnitude))"
                : "must be a finite number", namesKind: false)
        return nil
    }

    /// A string, possibly empty; nil when missing or null. Numbers and booleans written without quotes are refused, as
    /// in otelcol; what `${…}` gave is taken as text.
    package func string(_ key: String) -> String? {
        // Unlike other values, a substituted empty text is a string, so that an unset variable does not become the
        // default.
        guard let node = node(key) else { return nil }
        return text(node, key)
    }

    /// A string with at least one character; nil when missing or null.
    package func nonEmptyString(_ key: String) -> String? {
        guard let text = string(key) else { return nil }
        if !text.isEmpty { return text }
        error(key, "must not be empty")
        return nil
    }

    /// One of `choices`, by exact spelling; nil when missing or null.
    package func choice(_ key: String, _ choices: [String]) -> String? {
        guard let text = string(key) else { return nil }
        if choices.contains(text) { return text }
        let shown = isQuotable(key) ? ", not \(quoted(text))" : ""
        error(
            key, "must be \(choices.listed())\(shown)",
            suggestion: isQuotable(key) ? nearest(to: text, among: choices) : nil)
        return nil
    }

    /// The case of an enumeration whose raw value is written; nil when missing or null.
    package func choice<Value: RawRepresentable<String> & CaseIterable>(
        _ key: String, as type: Value.Type = Value.self
    ) -> Value? {
        choice(key, Value.allCases.map(\.rawValue)).flatMap { Value(rawValue: $0) }
    }

    /// A Go duration such as `1.5s`, within `range`; nil when missing or null. Numbers need a unit, except 0.
    package func duration(
        _ key: String, in range: ClosedRange<Duration> = .zero ... .nanoseconds(Int64.max)
    ) -> Duration? {
        guard let node = value(key) else { return nil }
        let parsed: Duration
        switch node.scalar?.value {
        case .int(0): parsed = .zero
        case .int, .float:
            error(key, subject(key, node) + "needs a unit, such as 30s or 200ms")
            return nil
        case .string:
            do throws(DurationText.Malformed) {
                parsed = try DurationText.parse(text(node, key) ?? "")
            } catch let problem {
                error(key, subject(key, node) + problem.description)
                return nil
            }
        default:
            mismatch(key, node, "must be a duration such as 30s or 200ms")
            return nil
        }
        if range.contains(parsed) { return parsed }
        let low = DurationText.format(range.lowerBound)
        let bounds =
            range.upperBound == .nanoseconds(Int64.max)
            ? (range.lowerBound == .zero ? "must not be negative" : "must be at least \(low)")
            : "must be from \(low) to \(DurationText.format(range.upperBound))"
        error(key, bounds + (isQuotable(key) ? ", not \(DurationText.format(parsed))" : ""))
        return nil
    }

    /// A `host:port`; nil when missing or null.
    package func endpoint(_ key: String) -> ConfigEndpoint? {
        guard let node = node(key), let text = text(node, key) else { return nil }
        do throws(ConfigEndpoint.Malformed) {
            return try ConfigEndpoint.parse(text)
        } catch let problem {
            error(key, subject(key, node) + problem.description)
            return nil
        }
    }

    /// A URL with one of `schemes` (lower case); nil when missing or null. What it must not hold: see `ConfigURL`.
    package func url(_ key: String, schemes: [String] = ["http", "https"]) -> ConfigURL? {
        guard let node = node(key), let text = text(node, key) else { return nil }
        do throws(ConfigEndpoint.Malformed) {
            return try ConfigURL.parse(text, schemes: schemes)
        } catch let problem {
            // A URL with a password in it must not be quoted.
            let isSafe = !text.utf8.contains(UInt8(ascii: "@")) && !text.utf8.contains(UInt8(ascii: "?"))
            error(key, (isSafe ? subject(key, node) : "") + problem.description)
            return nil
        }
    }

    /// A string that is never shown; nil when missing or null.
    package func secret(_ key: String) -> SecretString? {
        guard let node = node(key) else { return nil }
        return secretText(node, key).map { SecretString($0) }
    }

    /// The id of another component, which is to be of `role`; nil when missing or null. Whether there is such a one is
    /// found out by whoever knows all components: see `ConfigDiagnostics.references`.
    package func reference(_ key: String, role: String) -> ComponentID? {
        guard let text = nonEmptyString(key) else { return nil }
        do throws(IDError) {
            let id = try ComponentID.parse(text)
            let place = node(key)?.position ?? position
            record(ConfigReference(id: id, role: role, position: place, path: ConfigPath.join(path, key)))
            return id
        } catch {
            self.error(key, error.description)
            return nil
        }
    }

    // MARK: Shared

    /// The string at `node`; nil for null, and after recording an error for what is no string.
    func text(_ node: ConfigNode, _ key: String) -> String? {
        if let text = node.substitutedText { return text }
        if node.isNull { return nil }
        if case .string? = node.scalar?.value { return node.scalar?.text }
        if let scalar = node.scalar, isQuotable(key) {
            error(at: node, key, "must be a string, not \(scalar.kind); write \(quoted(scalar.text)) in quotes")
        } else {
            error(at: node, key, "must be a string, not \(node.kind)")
        }
        return nil
    }

    /// The same for secrets: nothing of the value is shown.
    func secretText(_ node: ConfigNode, _ key: String) -> String? {
        if let text = node.substitutedText { return text }
        if node.isNull { return nil }
        if case .string? = node.scalar?.value { return node.scalar?.text }
        error(at: node, key, "must be a string, not \(node.kind)" + (node.scalar == nil ? "" : "; put it in quotes"))
        return nil
    }

    /// Whether messages may quote the value of `key`.
    private func isQuotable(_ key: String) -> Bool {
        node(key)?.substitutedText == nil && !ConfigRedaction.isSecret(key: key)
    }

    /// `"value" `, or nothing when the value must not be shown; the start of a message about it.
    private func subject(_ key: String, _ node: ConfigNode) -> String {
        guard isQuotable(key), let scalar = node.scalar, !scalar.text.isEmpty else { return "" }
        return quoted(scalar.text) + " "
    }

    /// Records `must be …, not …`, with the kind of the value, its text when that may be shown, or both.
    private func mismatch(_ key: String, _ node: ConfigNode, _ message: String, namesKind: Bool = true) {
        var found = namesKind ? [node.kind] : []
        if isQuotable(key), let scalar = node.scalar {
            found.append(scalar.value == .string ? quoted(scalar.text) : printable(scalar.text))
        }
        error(key, found.isEmpty ? message : "\(message), not \(found.joined(separator: " "))")
    }

    /// `from a to b`, or `at least a` when the upper end is the type's own.
    private func bounds<Value: Comparable>(_ range: ClosedRange<Value>, _ least: Value, _ most: Value) -> String {
        if range.upperBound == most, range.lowerBound != least { return "at least \(range.lowerBound)" }
        if range.lowerBound == least, range.upperBound != most { return "at most \(range.upperBound)" }
        return "from \(range.lowerBound) to \(range.upperBound)"
    }
}
