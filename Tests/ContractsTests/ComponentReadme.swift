import Config
import Glibc
import Pipeline

/// The README.md of a component's folder: its tables' first columns name the options.
struct ComponentReadme {
    let text: String

    struct Missing: Error {
        let what: String
    }

    /// Finds the README whose title is that of the component.
    init(of component: ComponentCase) throws {
        let title = "# `\(component.descriptor.type)` \(component.kind.singular)"
        let kind = component.kind.rawValue
        let folder = Self.root + "/Sources/" + kind.prefix(1).uppercased() + kind.dropFirst()
        for name in Self.names(in: folder) {
            guard let text = Self.read("\(folder)/\(name)/README.md"), text.hasPrefix(title + "\n") else { continue }
            self.text = text
            return
        }
        throw Missing(what: "a README.md in \(folder) that begins with \(title)")
    }

    /// Keys of the options, with `:` between parts.
    var keys: [String] {
        optionRows.flatMap { row in Self.codeSpans(row[0]).map(Self.path) }
    }

    /// Keys that the text says are refused.
    var refusedKeys: [String] {
        guard let start = text.firstRange(of: "Not supported, and refused:") else { return [] }
        let rest = text[start.upperBound...]
        let paragraph = rest.firstRange(of: "\n\n").map { rest[..<$0.lowerBound] } ?? rest
        return Self.codeSpans(paragraph).map(Self.path)
    }

    /// The texts of the YAML blocks.
    var examples: [String] {
        text.split(separator: "```yaml\n", omittingEmptySubsequences: false).dropFirst().map { block in
            String(block.firstRange(of: "```").map { block[..<$0.lowerBound] } ?? block)
        }
    }

    /// The rows of those tables whose head says that they list options.
    private var optionRows: [[Substring]] {
        var rows: [[Substring]] = []
        var isOptions = false
        var wasTable = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            guard line.hasPrefix("|") else {
                wasTable = false
                continue
            }
            let cells = line.split(separator: "|").map { $0 }
            if !wasTable {
                isOptions = cells.first.map { ["key", "option"].contains(Self.trimmed($0).lowercased()) } ?? false
            } else if isOptions, !line.hasPrefix("|--"), !line.hasPrefix("| --") {
                rows.append(cells)
            }
            wasTable = true
        }
        return rows.filter { !$0.isEmpty }
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return text
    }

    /// What stands between backticks.
    private static func codeSpans(_ text: some StringProtocol) -> [String] {
        text.split(separator: "`", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }
            .map { String($0.element) }
    }

    private static func path(_ key: String) -> String { key.replacing("::", with: ":").replacing(".", with: ":") }

    // MARK: Files

    /// The checkout: three levels above this file.
    private static let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
        .joined(separator: "/")

    private static func names(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    private static func read(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer.prefix(count)
        }
    }
}
