import Config

/// Inputs without a real environment or file system.
func inputs(environment: [String: String] = [:], files: [String: String] = [:]) -> ConfigInputs {
    ConfigInputs(
        environment: { environment[$0] },
        readFile: { path, limit throws(ConfigReadError) in
            guard let text = files[path] else { throw ConfigReadError("No such file or directory") }
            if text.utf8.count > limit { throw ConfigReadError("it is larger than \(limit) bytes") }
            return Array(text.utf8)
        })
}

/// Loads `yaml` as the file `a.yaml`.
func load(
    _ yaml: String, environment: [String: String] = [:], files: [String: String] = [:], sets: [String] = []
) throws(ConfigError) -> LoadedConfig {
    var all = files
    all["a.yaml"] = yaml
    return try ConfigLoader(inputs: inputs(environment: environment, files: all)).load(configs: ["a.yaml"], sets: sets)
}

/// The tree of `yaml`, a file `a.yaml`.
func tree(_ yaml: String) throws(ConfigError) -> ConfigNode { try load(yaml).root }

/// The errors of loading `yaml`, one a line; empty when there is none.
func errors(_ yaml: String, environment: [String: String] = [:], files: [String: String] = [:]) -> String {
    do throws(ConfigError) {
        _ = try load(yaml, environment: environment, files: files)
        return ""
    } catch {
        return error.description
    }
}

/// A node written compactly, with types, for comparisons: `{a: 1, b: ["x", null]}`.
func shape(_ node: ConfigNode?) -> String {
    guard let node else { return "missing" }
    switch node.content {
    case .sequence(let elements): return "[" + elements.map { shape($0) }.joined(separator: ", ") + "]"
    case .mapping(let mapping):
        return "{" + mapping.entries.map { "\($0.key): \(shape($0.value))" }.joined(separator: ", ") + "}"
    case .scalar(let scalar):
        switch scalar.value {
        case .null: return "null"
        case .bool(let value): return "\(value)"
        case .int(let value): return "\(value)"
        case .float(let value): return value.isNaN ? "nan" : "\(value)f"
        case .string: return "\"\(scalar.text)\""
        }
    }
}

/// A small seeded generator (SplitMix64), so that every run sees the same cases.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
