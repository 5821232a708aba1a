package import Config
internal import Logging
package import Pipeline
internal import Synchronization

/// API keys, each of a tenant: servers ask for one and know by it whose data comes.
package struct APIKeysExtensionFactory: ExtensionFactory {
    package typealias Settings = APIKeysSettings

    package init() {}

    package var descriptor: ComponentDescriptor { ComponentDescriptor(type: "api_keys") }

    package func settings(from section: ConfigSection) -> APIKeysSettings { APIKeysSettings(from: section) }

    package func roles(of settings: APIKeysSettings) -> Set<ExtensionRole> { [.serverAuthenticator] }

    package func make(
        _ settings: APIKeysSettings, id: ComponentID, environment: ComponentEnvironment
    ) throws -> any ServiceExtension {
        try APIKeysExtension(settings, id: id, environment: environment)
    }
}

/// What an `api_keys` section sets.
package struct APIKeysSettings: Sendable {
    /// The header's name. Key `header`.
    package var header = "x-api-key"
    /// The word before the key; empty for none. Key `scheme`.
    package var scheme = ""
    /// Under which name the tenant goes along with the data, in lower case. Key `tenant_metadata_key`.
    package var tenantKey = "tenant"
    /// Key `keys`.
    package var keys: [(key: SecretString, tenant: String)] = []
    /// A file with `tenant: key` in each line, beside `keys`. Key `filename`.
    package var file: String?
    /// How often the file is looked at; zero for never. Key `reload_interval`.
    package var reloadInterval = WatchedFile.interval
    package var failureLimit = AuthFailures.defaultLimit

    /// Shortest key: fewer characters can be guessed.
    static let shortestKey = 16

    init(from section: ConfigSection) {
        header = section.nonEmptyString("header") ?? header
        scheme = section.string("scheme") ?? scheme
        tenantKey = (section.nonEmptyString("tenant_metadata_key") ?? tenantKey).lowercased()
        for entry in section.sectionList("keys") ?? [] {
            entry.require("key")
            entry.require("tenant")
            guard let key = entry.secret("key"), let tenant = entry.nonEmptyString("tenant") else { continue }
            if key.reveal().utf8.count < Self.shortestKey {
                entry.error("key", "must have \(Self.shortestKey) characters or more")
            }
            keys.append((key, tenant))
        }
        file = section.nonEmptyString("filename")
        reloadInterval = section.duration("reload_interval") ?? reloadInterval
        failureLimit = AuthFailures.limit(section)
        if file == nil, keys.isEmpty { section.error("\"keys\", \"filename\" or both must be set") }
        guard !section.diagnostics.hasErrors else { return }
        do throws(WatchedFile.Unusable) {
            _ = try APIKeysExtension.table(
                self, file: file.map { path throws(WatchedFile.Unusable) in try WatchedFile.read(path) })
        } catch {
            section.error(file == nil ? "keys" : "filename", error.description)
        }
    }
}

/// Finds the tenant of a key.
final class APIKeysExtension: ServiceExtension, ServerAuthenticator {
    private let settings: APIKeysSettings
    private let header: String
    private let prefix: [UInt8]
    private let table: Mutex<SecretTable<ClientIdentity>>
    private let failures: AuthFailures
    private let file: WatchedFile?
    private let fileBytes: [UInt8]
    private let logger: Logger

    init(_ settings: APIKeysSettings, id: ComponentID, environment: ComponentEnvironment) throws {
        self.settings = settings
        header = settings.header.lowercased()
        prefix = Array((settings.scheme.isEmpty ? "" : settings.scheme + " ").utf8)
        logger = environment.logger("extension", id)
        failures = AuthFailures(
            environment, id: id, challenge: settings.scheme.isEmpty ? "ApiKey" : settings.scheme,
            limit: settings.failureLimit)
        fileBytes = try settings.file.map { try WatchedFile.read($0) } ?? []
        file = settings.file.map { WatchedFile($0, interval: settings.reloadInterval) }
        table = Mutex(try Self.table(settings, file: settings.file == nil ? nil : fileBytes))
    }

    /// All keys. Keys of one tenant share its identity.
    static func table(
        _ settings: APIKeysSettings, file: [UInt8]?
    ) throws(WatchedFile.Unusable) -> SecretTable<ClientIdentity> {
        var table = SecretTable<ClientIdentity>()
        var identities: [String: ClientIdentity] = [:]
        func add(_ key: String, _ tenant: String) -> Bool {
            let identity =
                identities[tenant]
                ?? ClientIdentity(metadata: [
                    settings.tenantKey: [tenant], ClientIdentity.attributePrefix + "tenant": [tenant],
                ])
            identities[tenant] = identity
            return table.add(Array(key.utf8), identity)
        }
        for (key, tenant) in settings.keys where !add(key.reveal(), tenant) {
            throw WatchedFile.Unusable(description: "hold one key twice, the second time for \"\(tenant)\"")
        }
        for (number, line) in WatchedFile.lines(file ?? []) {
            guard let colon = line.utf8.firstIndex(of: UInt8(ascii: ":")) else {
                throw WatchedFile.Unusable(description: "line \(number) is not `tenant: key`")
            }
            let tenant = String(line[..<colon].trimmingBlanks)
            let key = String(line[line.utf8.index(after: colon)...].trimmingBlanks)
            guard !tenant.isEmpty, key.utf8.count >= APIKeysSettings.shortestKey else {
                throw WatchedFile.Unusable(
                    description: "line \(number) has no tenant, or a key of fewer than "
                        + "\(APIKeysSettings.shortestKey) characters")
            }
            guard add(key, tenant) else {
                throw WatchedFile.Unusable(description: "line \(number) has a key that is there already")
            }
        }
        if table.isEmpty { throw WatchedFile.Unusable(description: "holds no key") }
        return table
    }

    func start() throws {
        file?.watch(fileBytes, logger: logger) { [weak self] bytes throws(WatchedFile.Unusable) in
            guard let self else { return }
            let table = try Self.table(self.settings, file: bytes)
            self.table.withLock { $0 = table }
        }
    }

    func stop() async { file?.stop() }

    func authenticate(_ request: AuthenticationRequest) -> AuthenticationResult {
        guard let value = request.header(header) else {
            return .denied(failures.refuse(.missing, peer: request.peer))
        }
        guard value.utf8.starts(with: prefix) else {
            return .denied(failures.refuse(.malformed, peer: request.peer))
        }
        let guess = Array(value.utf8.dropFirst(prefix.count))
        if let identity = table.withLock({ $0.find(guess) }) { return .allowed(identity) }
        return .denied(failures.refuse(.rejected, peer: request.peer))
    }
}

extension Substring {
    /// The text without spaces and tabs at its ends.
    fileprivate var trimmingBlanks: Substring {
        var text = self
        while text.utf8.first == 0x20 || text.utf8.first == 0x09 { text = text.dropFirst() }
        while text.utf8.last == 0x20 || text.utf8.last == 0x09 { text = text.dropLast() }
        return text
    }
}
