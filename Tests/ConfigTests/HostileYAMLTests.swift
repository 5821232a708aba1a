import Config
import Testing

@Suite struct HostileYAMLTests {
    private func load(bytes: [UInt8]) throws(ConfigError) -> ConfigNode {
        let inputs = ConfigInputs(
            environment: { _ in nil }, readFile: { _, _ throws(ConfigReadError) in bytes })
        return try ConfigLoader(inputs: inputs).load(configs: ["a.yaml"]).root
    }

    private func failure(_ bytes: [UInt8]) -> String {
        do throws(ConfigError) {
            _ = try load(bytes: bytes)
            return ""
        } catch {
            return error.description
        }
    }

    @Test func `billion laughs`() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...20 {
            let aliases = [String](repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(aliases)]\n"
        }
        #expect(
            errors(text).hasSuffix("it holds more than 200000 values, counting each alias in full"), "\(errors(text))")
        let merges = (1...30).map { "m\($0): &m\($0) {<<: [*m\($0 - 1), *m\($0 - 1)], k\($0): 1}" }
        let merged = "m0: &m0 {k: 1}\n" + merges.joined(separator: "\n")
        #expect(errors(merged).contains("it holds more than 200000 values"))
    }

    @Test func `an alias counts with its own depth`() {
        var text = "a0: &a0 [x]\n"
        for level in 1...200 { text += "a\(level): &a\(level) [*a\(level - 1)]\n" }
        #expect(errors(text).contains("it is nested more than 100 levels deep"))
    }

    @Test(arguments: ["[", "{a: ", "- ", "? ", "a::"])
    func `deep nesting`(unit: String) {
        let text = String(repeating: unit, count: 50_000)
        #expect(errors(text + "x: 1").contains("is not usable YAML"))
    }

    @Test func `nesting at the limit`() throws {
        let fits = "a: " + String(repeating: "[", count: 99) + String(repeating: "]", count: 99)
        #expect(errors(fits) == "")
        #expect(errors("a: [" + fits.dropFirst(3) + "]").contains("nested more than 100 levels"))
        #expect(errors([String](repeating: "k", count: 101).joined(separator: "::") + ": 1").contains("nested"))
        #expect(errors([String](repeating: "k", count: 100).joined(separator: "::") + ": 1") == "")
    }

    @Test func `ten megabytes of brackets`() {
        let bytes = [UInt8](repeating: UInt8(ascii: "["), count: 10_000_000)
        #expect(failure(bytes) == "a.yaml:1:1: is 10000000 bytes long; the limit is 4194304")
        #expect(failure([UInt8](bytes.prefix(4_000_000))).contains("nested more than 100 levels deep"))
    }

    @Test func `too many nodes`() {
        let text = "a: [" + String(repeating: "1,", count: 250_000) + "]"
        #expect(errors(text).contains("it holds more than 200000 values"))
    }

    @Test(
        arguments: [
            ([0x61, 0x3A, 0x20, 0xFF], "a.yaml:1:4: is not usable YAML: it is not UTF-8"),
            ([0x61, 0x3A, 0x0A, 0xC3, 0xB6, 0xC3], "a.yaml:2:2: is not usable YAML: it is not UTF-8"),
            ([0xED, 0xA0, 0x80], "a.yaml:1:1: is not usable YAML: it is not UTF-8"),
            ([0xC0, 0x80], "a.yaml:1:1: is not usable YAML: it is not UTF-8"),
            ([0x61, 0x3A, 0x20, 0x00], "a.yaml:1:4: is not usable YAML: it contains a NUL byte"),
            ([0xFF, 0xFE, 0x61, 0x00], "a.yaml:1:1: is not usable YAML: it is UTF-16; save it as UTF-8"),
            ([0x61, 0x3A, 0x0A, 0x07], "a.yaml:2:1: is not usable YAML: control characters are not allowed"),
        ] as [([UInt8], String)])
    func `bytes that are no text`(bytes: [UInt8], expected: String) {
        #expect(failure(bytes) == expected)
    }

    private static let sample = """
        receivers: &r
          otlp: {protocols: {grpc: {endpoint: "0.0.0.0:4317"}, http: ~}}
        exporters:
          debug/ü: |
            ${env:A:-x} $$ text
          otlphttp: {<<: *r, headers::x: '${env:B}', "k\\u00e9": [1, .5, true, !!str 4]}
        service::pipelines::traces: {receivers: [otlp], exporters: [debug/ü]}

        """

    @Test func `truncated at every byte`() throws {
        let bytes = Array(Self.sample.utf8)
        #expect(failure(bytes) == "")
        var refused = 0
        for count in 0..<bytes.count where !failure(Array(bytes[..<count])).isEmpty { refused += 1 }
        #expect(refused > 50)
    }

    /// 20,000 mutated documents: none may trap, and what loads must print and load again to the same tree.
    @Test func `mutated documents`() throws {
        var generator = SeededGenerator(seed: 0x5EED)
        let sample = Array(Self.sample.utf8)
        let alphabet = Array("{}[]:,&*!|>'\"%@`#-?<$~. \n\t\u{FEFF}a0é\\".utf8) + [0, 0xFF, 0x80]
        var loaded = 0
        var refused = 0
        for _ in 0..<20_000 {
            var bytes = sample
            for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
                let at = Int.random(in: 0..<bytes.count, using: &generator)
                let byte = alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[at] = byte
                case 1: bytes.insert(byte, at: at)
                case 2: bytes.remove(at: at)
                default:
                    let end = min(bytes.count, at + Int.random(in: 1...12, using: &generator))
                    bytes.insert(contentsOf: bytes[at..<end], at: Int.random(in: 0..<bytes.count, using: &generator))
                }
            }
            do throws(ConfigError) {
                let root = try load(bytes: bytes)
                let again = try load(bytes: Array(root.yaml(redacting: false).utf8))
                #expect(shape(again) == shape(root), "\(String(decoding: bytes, as: UTF8.self))")
                var diagnostics = ConfigDiagnostics()
                _ = CollectorConfig.decode(root, into: &diagnostics)
                loaded += 1
            } catch {
                #expect(error.diagnostics.hasErrors)
                refused += 1
            }
        }
        #expect(loaded > 2000 && refused > 2000, "\(loaded) loaded, \(refused) refused")
    }
}
