/// The id of a component: `type` or `type/name`.
package struct ComponentID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The component's type: a letter, then up to 62 letters, digits and `_`.
    package let type: String
    /// The name after `/`; empty without one. Up to 1024 characters, no spaces, symbols or control characters.
    package let name: String

    /// Makes an id from parts that are known to be valid, such as a component's own type; input goes through `parse`.
    package init(type: String, name: String = "") {
        self.type = type
        self.name = name
    }

    /// Reads `type` or `type/name`; spaces around either part are dropped, as in otelcol.
    package static func parse(_ text: String) throws(IDError) -> ComponentID {
        var type = Substring(text)
        var name = Substring("")
        if let slash = text.utf8.firstIndex(of: UInt8(ascii: "/")) {
            type = text[..<slash]
            name = trimmed(text[text.utf8.index(after: slash)...])
            if name.isEmpty { throw IDError("the id \(quoted(text)) has nothing after \"/\"") }
        }
        type = trimmed(type)
        if type.isEmpty {
            throw IDError(text.isEmpty ? "the id is empty" : "the id \(quoted(text)) has no type before \"/\"")
        }
        let bytes = type.utf8
        let isType =
            bytes.count <= 63 && bytes.first.map(SubstitutionScheme.isLetter) == true
            && bytes.allSatisfy {
                SubstitutionScheme.isLetter($0) || SubstitutionScheme.isDigit($0) || $0 == UInt8(ascii: "_")
            }
        guard isType else {
            throw IDError(
                "the type \(quoted(String(type))) must be a letter, then at most 62 letters, digits or \"_\"")
        }
        try checkName(name, of: text)
        return ComponentID(type: String(type), name: String(name))
    }

    /// Refuses names that otelcol refuses: longer than 1024 characters, or with separators, symbols or control
    /// characters.
    static func checkName(_ name: Substring, of text: String) throws(IDError) {
        guard name.unicodeScalars.count <= 1024 else {
            throw IDError("the name in the id \(quoted(text)) is longer than 1024 characters")
        }
        for scalar in name.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .spaceSeparator, .lineSeparator, .paragraphSeparator, .control, .format, .surrogate, .privateUse,
                .unassigned, .mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol:
                throw IDError(
                    "the name in the id \(quoted(text)) contains \(quoted(String(scalar))); "
                        + "spaces, symbols and control characters are not allowed")
            default: continue
            }
        }
    }

    /// `type` or `type/name`.
    package var description: String { name.isEmpty ? type : "\(type)/\(name)" }

    /// By type, then by name.
    package static func < (a: ComponentID, b: ComponentID) -> Bool { (a.type, a.name) < (b.type, b.name) }
}

/// An id that is not valid.
package struct IDError: Error, Sendable, CustomStringConvertible {
    /// What is wrong, with the id.
    package let description: String

    init(_ description: String) { self.description = description }
}

/// What flows through a pipeline.
package enum PipelineSignal: String, Sendable, Hashable, CaseIterable {
    /// Spans.
    case traces
    /// Data points.
    case metrics
    /// Log records.
    case logs
}

/// The id of a pipeline: a signal, or `signal/name`.
package struct PipelineID: Sendable, Hashable, CustomStringConvertible {
    /// What flows through it.
    package let signal: PipelineSignal
    /// The name after `/`; empty without one.
    package let name: String

    /// Makes an id from valid parts; input goes through `parse`.
    package init(signal: PipelineSignal, name: String = "") {
        self.signal = signal
        self.name = name
    }

    /// Reads `traces`, `metrics/name` and so on. `profiles` is refused by name.
    package static func parse(_ text: String) throws(IDError) -> PipelineID {
        var signalText = Substring(text)
        var name = Substring("")
        if let slash = text.utf8.firstIndex(of: UInt8(ascii: "/")) {
            signalText = text[..<slash]
            name = trimmed(text[text.utf8.index(after: slash)...])
            if name.isEmpty { throw IDError("the pipeline id \(quoted(text)) has nothing after \"/\"") }
        }
        let word = String(trimmed(signalText))
        guard let signal = PipelineSignal(rawValue: word) else {
            if word == "profiles" {
                throw IDError("pipelines for profiles are not supported; the signals are traces, metrics and logs")
            }
            var message =
                "the pipeline id \(quoted(text)) must start with " + PipelineSignal.allCases.map(\.rawValue).listed()
            if let near = NearestName.find(word, among: PipelineSignal.allCases.map(\.rawValue)) {
                message += " (did you mean \(quoted(near))?)"
            }
            throw IDError(message)
        }
        try ComponentID.checkName(name, of: text)
        return PipelineID(signal: signal, name: String(name))
    }

    /// `signal` or `signal/name`.
    package var description: String { name.isEmpty ? signal.rawValue : "\(signal.rawValue)/\(name)" }
}
