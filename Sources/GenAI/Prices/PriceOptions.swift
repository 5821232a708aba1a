package import Config

/// The `prices` section of a configuration:
///
///     prices:
///       files: [prices.yaml]        # later files win over earlier ones, all over the built-in table
///       overrides: [{provider: openai, model: gpt-4o, per_1m: {input: 2, output: 8}}]   # win over files
///       reload_interval: 1m         # how often changed files are looked for; 0 is never
package struct PriceOptions: Sendable {
    /// Files of entries, at most.
    package static let maximumFiles = 32
    /// Entries of all files and overrides together, at most.
    package static let maximumEntries = 20_000

    /// Paths of price files.
    package var files: [String] = []
    /// How often changed files are looked for; zero is never.
    package var reloadInterval = Duration.seconds(60)
    var overrides: [UserPrice] = []

    /// The built-in table alone.
    package init() {}

    /// Reads the section. What is wrong is recorded there; the caller finishes it.
    package init(_ section: ConfigSection) {
        files = section.stringList("files") ?? []
        if files.count > Self.maximumFiles { section.error("files", "has more than \(Self.maximumFiles) entries") }
        if let interval = section.duration("reload_interval", in: .zero ... .seconds(86_400)) {
            reloadInterval = interval
        }
        overrides = Self.entries(section, "overrides", origin: "overrides")
    }

    static func entries(_ section: ConfigSection, _ key: String, origin: String) -> [UserPrice] {
        let listed = section.sectionList(key) ?? []
        if listed.count > maximumEntries { section.error(key, "has more than \(maximumEntries) entries") }
        let reader = UserPriceReader(origin: origin)
        return listed.prefix(maximumEntries).map { reader.read($0) }
    }
}

/// A price file: `version` (any text, for the stamp of costs), `currency` (USD), `prices` (entries).
package struct PriceFile: Sendable {
    /// Its path.
    package let path: String
    /// What it says its version is, or eight hex digits that stand for its content.
    package let version: String
    /// What is not wrong, but looks it.
    package let warnings: [ConfigDiagnostic]
    /// A number that stands for its content.
    let digest: UInt64
    let entries: [UserPrice]

    /// How many entries it has.
    package var count: Int { entries.count }

    /// Reads and checks a file. Blocks. Throws everything that is wrong with it, with places.
    package init(path: String, inputs: ConfigInputs = .process) throws(ConfigError) {
        let bytes: [UInt8]
        do throws(ConfigReadError) {
            bytes = try inputs.readFile(path, ConfigLimits.maximumSourceBytes)
        } catch {
            throw ConfigError(ConfigDiagnostic(at: nil, "cannot read the price file \"\(path)\": \(error)"))
        }
        try self.init(path: path, bytes: bytes)
    }

    /// Checks the bytes of a file; `path` is for messages.
    package init(path: String, bytes: [UInt8]) throws(ConfigError) {
        // Prices come from the file alone: `${env:…}` finds nothing.
        let inputs = ConfigInputs(
            environment: { _ in nil },
            readFile: { (wanted: String, _: Int) throws(ConfigReadError) in
                guard wanted == path else { throw ConfigReadError("a price file cannot include files") }
                return bytes
            })
        let loaded = try ConfigLoader(inputs: inputs).load(configs: ["file:" + path])
        var diagnostics = loaded.diagnostics
        let content = ConfigSection.decode(loaded.root, path: "", into: &diagnostics) { section throws(ConfigError) in
            section.require("prices")
            if let currency = section.string("currency"), currency != "USD" {
                section.error("currency", "must be USD; prices in other currencies are not converted")
            }
            let entries = PriceOptions.entries(section, "prices", origin: path)
            return (version: section.nonEmptyString("version"), entries: entries)
        }
        try diagnostics.check()
        self.path = path
        digest = Self.digest(bytes)
        entries = content?.entries ?? []
        version = content?.version ?? Self.hex(digest)
        warnings = diagnostics.warnings
    }

    /// FNV-1a.
    static func digest(_ bytes: [UInt8]) -> UInt64 {
        bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
    }

    private static func hex(_ digest: UInt64) -> String {
        let text = String(digest >> 32, radix: 16)
        return String(repeating: "0", count: 8 - text.utf8.count) + text
    }
}
