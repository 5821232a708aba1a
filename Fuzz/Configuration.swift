// A configuration from anywhere: YAML with aliases, merges and `${…}`, then keys read as every kind of value. What is
// accepted must be printable, and the print must be readable again. No file and no real environment is touched.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzConfiguration(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: data, count: size))
    let inputs = ConfigInputs(
        environment: { name in name == "SET" ? "value: [1]" : name == "EMPTY" ? "" : nil },
        readFile: { path, limit throws(ConfigReadError) in
            guard path == "a" || path.hasSuffix("b") else { throw ConfigReadError("No such file or directory") }
            guard bytes.count <= limit else { throw ConfigReadError("too long") }
            return bytes
        })
    do throws(ConfigError) {
        let loaded = try ConfigLoader(inputs: inputs).load(configs: ["a"])
        var diagnostics = loaded.diagnostics
        _ = CollectorConfig.decode(loaded.root, into: &diagnostics)
        _ = diagnostics.sorted()
        readKeys(loaded.root, depth: 0)
        check(loaded.root)
    } catch {
        if error.description.isEmpty { fatalError("an error says nothing") }
    }
    return 0
}

private func readKeys(_ node: ConfigNode, depth: Int) {
    guard depth < 6, let mapping = node.mapping else { return }
    for round in 0..<4 {
        let section = ConfigSection(node, path: "root")
        for (index, entry) in mapping.entries.prefix(50).enumerated() { read(section, entry.key, index + round) }
        do throws(ConfigError) { try section.finish() } catch { _ = error.description }
    }
    for entry in mapping.entries.prefix(50) { readKeys(entry.value, depth: depth + 1) }
}

private func read(_ section: ConfigSection, _ key: String, _ kind: Int) {
    switch kind % 16 {
    case 0: _ = section.bool(key)
    case 1: _ = section.integer(key, in: -5...1 << 40)
    case 2: _ = section.integer(key, in: Int8.min...Int8.max)
    case 3: _ = section.double(key, in: 0...1)
    case 4: _ = section.nonEmptyString(key)
    case 5: _ = section.choice(key, ["gzip", "none"])
    case 6: _ = section.duration(key, in: .zero ... .seconds(60))
    case 7: _ = section.duration(key)
    case 8: _ = section.endpoint(key)
    case 9: _ = section.url(key)
    case 10: _ = section.secret(key)
    case 11: _ = section.stringList(key)
    case 12: _ = section.durationList(key)
    case 13: _ = section.secretMap(key)
    case 14: _ = section.sectionList(key)
    default: _ = section.reference(key, role: "extension")
    }
}

/// What is printed loads to the same again.
private func check(_ node: ConfigNode) {
    guard let text = try? node.yaml(redacting: false) else { fatalError("a configuration cannot be printed") }
    _ = try? node.yaml(redacting: true)
    let inputs = ConfigInputs(
        environment: { _ in nil }, readFile: { _, _ throws(ConfigReadError) in Array(text.utf8) })
    do throws(ConfigError) {
        let again = try ConfigLoader(inputs: inputs).load(configs: ["a"]).root
        guard try again.yaml(redacting: false) == text else { fatalError("the print changes when it is read") }
    } catch {
        fatalError("the print cannot be read: \(error.description)")
    }
}
