/// Where configuration comes from: the argument of one `--config`.
package enum ConfigSource: Sendable, Hashable {
    /// A file, by path.
    case file(String)
    /// An environment variable that holds YAML, by name.
    case environment(String)
    /// YAML in the argument itself, in which `a::b: c` is a path.
    case yaml(String)

    /// Reads an argument: a path, `file:path`, `env:NAME` or `yaml:text`. `http:` and `https:` are refused by name,
    /// other schemes as unknown; a path with a colon after its first letters needs `./` or `file:` before it.
    package init(argument: String) throws(ConfigError) {
        func refusal(_ message: String) -> ConfigError { ConfigError(ConfigDiagnostic(at: nil, message)) }
        let (scheme, rest) = SubstitutionScheme.cut(argument)
        switch scheme {
        case nil:
            guard !argument.isEmpty else { throw refusal("--config is empty; give it a path") }
            self = .file(argument)
        case "file":
            guard !rest.isEmpty else { throw refusal("--config \"file:\" names no file") }
            self = .file(rest)
        case "env":
            guard SubstitutionScheme.isVariableName(rest) else {
                throw refusal("--config \(quoted(argument)): \(SubstitutionScheme.variableNameRule)")
            }
            self = .environment(rest)
        case "yaml": self = .yaml(rest)
        case "http", "https":
            throw refusal(
                "--config \(quoted(argument)): configuration over \(scheme ?? "") is not supported; "
                    + "download it and give its path")
        case .some(let other):
            throw refusal(
                "--config \(quoted(argument)): the scheme \(quoted(other)) is unknown; "
                    + "it can be \(SubstitutionScheme.supported.listed()), or a path")
        }
    }

    /// What the positions in this source call it. `number` counts `--config` arguments from 1.
    package func name(number: Int) -> String {
        switch self {
        case .file(let path): path
        case .environment(let name): "env:\(name)"
        case .yaml: "--config#\(number)"
        }
    }
}

/// The schemes of sources and of `${scheme:…}`.
enum SubstitutionScheme {
    static let supported = ["env", "file", "yaml"]
    static let variableNameRule =
        "the name of an environment variable is letters, digits and \"_\", and does not start with a digit"

    /// Cuts `scheme:rest`, where a scheme is a letter and at least one more letter, digit, `+`, `.` or `-`.
    static func cut(_ text: String) -> (scheme: String?, rest: String) {
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else { return (nil, text) }
        let scheme = text.utf8[..<colon]
        guard scheme.count >= 2, let first = scheme.first, isLetter(first),
            scheme.allSatisfy({ isLetter($0) || isDigit($0) || $0 == 0x2B || $0 == 0x2D || $0 == 0x2E })
        else { return (nil, text) }
        return (String(text[..<colon]), String(text[text.index(after: colon)...]))
    }

    static func isVariableName(_ text: String) -> Bool {
        guard let first = text.utf8.first, !isDigit(first) else { return false }
        return text.utf8.allSatisfy { isLetter($0) || isDigit($0) || $0 == UInt8(ascii: "_") }
    }

    static func isLetter(_ byte: UInt8) -> Bool {
        UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20
    }

    static func isDigit(_ byte: UInt8) -> Bool {
        UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
    }
}
