package import Config
import Synchronization

/// All prices in force: the built-in table, the user's files and overrides, and what names resolve to.
///
/// Any thread may use it. Calls are priced through a `PriceReader`, which one thread at a time has; take it once for a
/// batch. `reload` replaces the prices under running readers, which notice at their next call.
package final class PriceBook: Sendable {
    private struct State {
        var catalog: PriceCatalog
        var generation: Int
        var digests: [UInt64]
    }

    // Unchecked: a reader is in this list or with one caller of `withReader`, never both.
    private struct IdleReaders: @unchecked Sendable {
        var readers: [PriceReader] = []
    }

    /// Readers kept for reuse; more threads than that at once make and drop theirs.
    private static let maximumIdleReaders = 64

    private let options: PriceOptions
    private let inputs: ConfigInputs
    private let state: Mutex<State>
    private let generationCounter = Atomic<Int>(0)
    private let idle = Mutex(IdleReaders())

    /// The built-in prices alone.
    package init() {
        options = PriceOptions()
        inputs = .process
        state = Mutex(State(catalog: PriceCatalog(), generation: 0, digests: []))
    }

    /// The built-in prices under those of `options`. Blocks on files. Throws everything that is wrong with them.
    package init(_ options: PriceOptions, inputs: ConfigInputs = .process) throws(ConfigError) {
        self.options = options
        self.inputs = inputs
        let (catalog, digests) = try Self.load(options, Self.read(options, inputs))
        state = Mutex(State(catalog: catalog, generation: 0, digests: digests))
    }

    /// Reads the price files again and takes their prices if any of them changed; says whether. Blocks on files: not
    /// for an event loop. When a file is missing or wrong, the prices stay as they are and the reason is thrown.
    package func reload() throws(ConfigError) -> Bool {
        let contents = try Self.read(options, inputs)
        if contents.map(PriceFile.digest) == state.withLock({ $0.digests }) { return false }
        let (catalog, digests) = try Self.load(options, contents)
        state.withLock { current in
            current.catalog = catalog
            current.digests = digests
            current.generation += 1
            generationCounter.store(current.generation, ordering: .releasing)
        }
        return true
    }

    private static func read(_ options: PriceOptions, _ inputs: ConfigInputs) throws(ConfigError) -> [[UInt8]] {
        var contents: [[UInt8]] = []
        for path in options.files {
            do throws(ConfigReadError) {
                contents.append(try inputs.readFile(path, ConfigLimits.maximumSourceBytes))
            } catch {
                throw ConfigError(ConfigDiagnostic(at: nil, "cannot read the price file \"\(path)\": \(error)"))
            }
        }
        return contents
    }

    private static func load(
        _ options: PriceOptions, _ contents: [[UInt8]]
    ) throws(ConfigError) -> (PriceCatalog, [UInt64]) {
        var diagnostics = ConfigDiagnostics()
        var files: [PriceFile] = []
        for (path, bytes) in zip(options.files, contents) {
            do throws(ConfigError) {
                files.append(try PriceFile(path: path, bytes: bytes))
            } catch {
                diagnostics.add(error)
            }
        }
        try diagnostics.check()
        let entries = options.overrides + files.reversed().flatMap(\.entries)
        guard entries.count <= PriceOptions.maximumEntries else {
            throw ConfigError(
                ConfigDiagnostic(at: nil, "there are more than \(PriceOptions.maximumEntries) price entries in all"))
        }
        let versions = files.map(\.version) + (options.overrides.isEmpty ? [] : ["overrides"])
        let catalog = PriceCatalog(user: entries, userVersion: versions.joined(separator: "+"))
        return (catalog, files.map(\.digest))
    }

    // MARK: Pricing

    /// Lends a reader to `body`, which must not keep it. Costs a lock or two: call it once a batch, not once a call.
    package func withReader<Result>(_ body: (PriceReader) -> Result) -> Result {
        let reader = idle.withLock { $0.readers.popLast() } ?? PriceReader(self)
        defer {
            // Given away: nobody uses it here any more.
            nonisolated(unsafe) let reader = reader
            idle.withLock { if $0.readers.count < Self.maximumIdleReaders { $0.readers.append(reader) } }
        }
        return body(reader)
    }

    /// The cost of one call; see `PriceReader.cost`.
    package func cost(
        of usage: TokenUsage, provider: UnsafeRawBufferPointer, model: UnsafeRawBufferPointer,
        serviceTier: ServiceTier = .standard, operation: CallMode = .unknown, at time: UInt64
    ) -> CostResult {
        withReader {
            $0.cost(
                of: usage, provider: provider, model: model, serviceTier: serviceTier, operation: operation, at: time)
        }
    }

    /// The same for names as strings, for commands.
    package func cost(
        of usage: TokenUsage, provider: String, model: String, serviceTier: ServiceTier = .standard,
        operation: CallMode = .unknown, at time: UInt64
    ) -> CostResult {
        let (provider, model) = (Array(provider.utf8), Array(model.utf8))
        return provider.withUnsafeBytes { provider in
            model.withUnsafeBytes { model in
                cost(
                    of: usage, provider: provider, model: model, serviceTier: serviceTier, operation: operation,
                    at: time)
            }
        }
    }

    // MARK: Looking

    /// What costs are stamped with, such as `2026-11-21` or `2026-11-21+team-prices-7`.
    package var version: String { current().0.version }

    /// The date of the built-in table.
    package var builtinVersion: String { current().0.builtin.version }

    /// Counts reloads that changed prices.
    package var generation: Int { generationCounter.load(ordering: .relaxed) }

    func current() -> (PriceCatalog, Int) { state.withLock { ($0.catalog, $0.generation) } }

    /// The row that a result was computed with; nil for none.
    package func describe(_ reference: PriceReference) -> PriceDescription? {
        PriceDescription(reference, in: current().0)
    }

    /// Every row of a provider (by any of its names), or of all: the user's first.
    package func rows(provider: String? = nil) -> [PriceDescription] {
        let catalog = current().0
        let wanted = provider.flatMap { name in
            Array(name.utf8).withUnsafeBytes { ProviderName.canonical(ASCII.trimmedAndLowered($0)) }
        }
        let user = catalog.user.indices.map { PriceReference.firstUser + Int32($0) }
        return (user + catalog.builtin.rows.indices.map { Int32($0) })
            .compactMap { PriceDescription(PriceReference(index: $0), in: catalog) }
            .filter { provider == nil || $0.provider == wanted || $0.provider == "any" }
    }

    /// The rows that a name resolves to, the strongest first, with how each was found. An empty provider is "not known".
    package func rows(provider: String, model: String) -> [(row: PriceDescription, match: PriceMatch)] {
        let catalog = current().0
        let (provider, model) = (Array(provider.utf8), Array(model.utf8))
        let found = provider.withUnsafeBytes { provider in
            model.withUnsafeBytes { catalog.resolve(provider: provider, model: $0) }
        }
        return found.compactMap { price in
            PriceDescription(price.reference, in: catalog).map { (row: $0, match: price.match) }
        }
    }
}
