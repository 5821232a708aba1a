/// The words of a command line, by the names its command gave them.
struct ParsedArguments {
    /// Values in the order given, by option; a switch has an empty one each time.
    private(set) var values: [String: [String]] = [:]
    /// Words that belong to no option.
    private(set) var words: [String] = []
    private var names: [String] = []

    init(arguments: [CommandArgument]) { names = arguments.map(\.name) }

    mutating func add(_ value: String, to option: String) { values[option, default: []].append(value) }

    mutating func add(word: String) { words.append(word) }

    /// The word at the place of the argument; all are there once the command line was parsed.
    func argument(_ name: String) -> String {
        guard let index = names.firstIndex(of: name), index < words.count else { return "" }
        return words[index]
    }

    func flag(_ option: String) -> Bool { values[option] != nil }

    /// All values in the order given.
    func texts(_ option: String) -> [String] { values[option] ?? [] }

    /// The last value given.
    func text(_ option: String) -> String? { values[option]?.last }

    func integer<Value: FixedWidthInteger>(_ option: String, as type: Value.Type = Value.self) throws -> Value? {
        guard let text = text(option) else { return nil }
        guard let value = Value(text) else {
            throw UsageError("--\(option) must be a whole number, not \"\(text)\"")
        }
        return value
    }

    func number(_ option: String) throws -> Double? {
        guard let text = text(option) else { return nil }
        guard let value = Double(text), value.isFinite else {
            throw UsageError("--\(option) must be a number, not \"\(text)\"")
        }
        return value
    }

    /// One of the values, by its raw text.
    func choice<Value: RawRepresentable & CaseIterable>(
        _ option: String, as type: Value.Type = Value.self
    ) throws -> Value? where Value.RawValue == String {
        guard let text = text(option) else { return nil }
        guard let value = Value(rawValue: text) else {
            let known = Value.allCases.map(\.rawValue).joined(separator: ", ")
            throw UsageError("--\(option) must be one of \(known), not \"\(text)\"")
        }
        return value
    }
}
