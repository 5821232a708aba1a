/// Which target may import which. Imports point down only; what is not listed is refused.
enum ImportRules {
    /// Modules of the toolchain that any target may import.
    static let toolchain: Set<String> = ["Glibc", "Synchronization"]

    /// Modules that nothing may import, with the reason.
    static let banned: [String: String] = [
        "Foundation": "costs megabytes and start-up time; use Glibc and Synchronization",
        "FoundationEssentials": "costs megabytes and start-up time; use Glibc and Synchronization",
        "FoundationNetworking": "HTTP goes through Transport",
    ]

    private static let base: Set<String> = ["OTLP", "Config", "Telemetry", "Compression", "Temporality", "Storage"]
    private static let middle: Set<String> = [
        "Pipeline", "Transport", "Delivery", "GenAI", "Sampling", "Aggregation", "Prometheus", "Ledger", "Query",
        "Alerting",
    ]
    private static let componentTargets: Set<String> = [
        "Receivers", "Processors", "Exporters", "Connectors", "Extensions",
    ]
    private static let network: Set<String> = [
        "NIOCore", "NIOPosix", "NIOHTTP1", "NIOSSL", "NIOTLS",
    ]

    private static let logging: Set<String> = ["Logging"]
    private static let layersBelowComponents = base.union(middle).union(network).union(logging)

    /// Targets whose direct subfolders are components.
    static let componentFolders = componentTargets.sorted()

    /// The allowed edges, without `toolchain`.
    static let edges: [String: Set<String>] = [
        "OTLP": ["COTLP", "CProtobufC"],
        "Compression": ["CZlib", "CDeflate", "CISAL", "CZstd", "CSnappy"],
        "Config": ["CYAML"],
        "Storage": ["CISAL"],
        "Telemetry": logging,
        "Pipeline": base.union(logging).union(["NIOCore"]),
        "Transport": base.union(network).union(logging).union(["Pipeline", "CCurl", "CZlib", "NIOHPACK"]),
        // NIOPosix for its thread pool: Delivery knows no sockets.
        "Delivery": base.union(logging).union(["Pipeline", "NIOCore", "NIOPosix"]),
        "Generator": ["OTLP", "Compression", "Transport"],
        "Prometheus": ["OTLP"],
        "GenAI": ["OTLP", "Config", "CPrefetch", "CPrices"],
        "Sampling": ["GenAI", "OTLP", "CPCRE2"],
        "Aggregation": ["OTLP", "CPrefetch"],
        "Temporality": ["OTLP"],
        "Ledger": ["GenAI", "OTLP", "Config", "Telemetry", "CSQLite"],
        "Query": ["Ledger", "GenAI", "OTLP"],
        "Alerting": ["Query", "Ledger", "GenAI", "OTLP"],
        "Receivers": layersBelowComponents,
        "Processors": layersBelowComponents,
        "Exporters": layersBelowComponents,
        "Connectors": layersBelowComponents,
        "Extensions": layersBelowComponents.union(["CCrypt"]),
        "Service": layersBelowComponents.union(componentTargets),
        "martlet": layersBelowComponents.union(componentTargets).union([
            "Service", "Generator", "CGetopt", "CSegments", "Dispatch",
        ]),
    ]

    /// The modules that a file imports, with the offset of each import. `import struct A.B` and `import A.B` count as A.
    static func imports(of source: SwiftSource) -> [(module: String, offset: Int)] {
        source.offsets(of: "import").compactMap { offset in
            let line = source.line(at: offset)
            let start = source.lineStarts[line - 1]
            let before = String(decoding: source.code[start..<offset], as: UTF8.self)
            let isDeclaration = before.split(separator: " ").allSatisfy { word in
                word.hasPrefix("@") || ["package", "internal", "public", "private", "fileprivate"].contains(word)
            }
            guard isDeclaration else { return nil }
            let rest = source.code[(offset + 6)..<(source.codeLine(line).endIndex)]
            var words = String(decoding: rest, as: UTF8.self).split(separator: " ")
            if let kind = words.first, kinds.contains(String(kind)) { words.removeFirst() }
            guard let path = words.first, let module = path.split(separator: ".").first else { return nil }
            return (String(module), offset)
        }
    }

    private static let kinds: Set<String> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]

    /// The target that a path belongs to: the folder below `Sources`.
    static func target(of path: String) -> String? {
        let parts = path.split(separator: "/")
        return parts.count > 2 && parts[0] == "Sources" ? String(parts[1]) : nil
    }

    /// Imports that the table does not allow.
    static func check(_ source: SwiftSource) -> [Violation] {
        guard let target = target(of: source.path), let allowed = edges[target] else {
            return [Violation(path: source.path, line: 1, message: "no target of ImportRules.edges")]
        }
        return imports(of: source).compactMap { module, offset in
            if let reason = banned[module] { return source.violation(at: offset, "import of \(module): \(reason)") }
            guard !toolchain.contains(module), !allowed.contains(module) else { return nil }
            return source.violation(at: offset, "\(target) must not import \(module)")
        }
    }

    /// Imports that are banned in any file, tests included.
    static func checkBanned(_ source: SwiftSource) -> [Violation] {
        imports(of: source).compactMap { module, offset in
            banned[module].map { source.violation(at: offset, "import of \(module): \($0)") }
        }
    }

    /// Uses of another component folder's top-level types. Components share a target, so no import line gives them away.
    static func checkSiblings(_ sources: [SwiftSource]) -> [Violation] {
        var owners: [String: Set<String>] = [:]
        for source in sources {
            guard let folder = componentFolder(of: source.path) else { continue }
            for type in Declarations.topLevelTypes(in: source) { owners[type.name, default: []].insert(folder) }
        }
        return sources.flatMap { source -> [Violation] in
            guard let folder = componentFolder(of: source.path) else { return [] }
            return owners.sorted { $0.key < $1.key }.flatMap { type, folders -> [Violation] in
                guard folders.count == 1, let owner = folders.first, owner != folder else { return [] }
                return source.offsets(of: type).map { source.violation(at: $0, "\(folder) uses \(type) of \(owner)") }
            }
        }
    }

    /// `Exporters/File` for `Sources/Exporters/File/FileExporter.swift`; nil for files shared by a target's components.
    static func componentFolder(of path: String) -> String? {
        let parts = path.split(separator: "/")
        guard parts.count > 3, parts[0] == "Sources", componentTargets.contains(String(parts[1])) else { return nil }
        return "\(parts[1])/\(parts[2])"
    }
}
