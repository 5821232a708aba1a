package import Config
internal import Logging
package import Pipeline
internal import Synchronization

/// otelcol's `bearertokenauth`: a fixed token in a header, asked for by servers and sent by clients.
package struct BearerTokenAuthExtensionFactory: ExtensionFactory {
    package typealias Settings = BearerTokenAuthSettings

    package init() {}

    package var descriptor: ComponentDescriptor {
        ComponentDescriptor(type: "bearertokenauth", aliases: ["bearer_token_auth"])
    }

    package func settings(from section: ConfigSection) -> BearerTokenAuthSettings {
        BearerTokenAuthSettings(from: section)
    }

    package func roles(of settings: BearerTokenAuthSettings) -> Set<ExtensionRole> {
        [.serverAuthenticator, .clientAuthenticator]
    }

    package func make(
        _ settings: BearerTokenAuthSettings, id: ComponentID, environment: ComponentEnvironment
    ) throws -> any ServiceExtension {
        try BearerTokenAuthExtension(settings, id: id, environment: environment)
    }
}

/// What a `bearertokenauth` section sets.
package struct BearerTokenAuthSettings: Sendable {
    /// The header's name. Key `header`.
    package var header = "Authorization"
    /// The word before the token; empty for none. Key `scheme`.
    package var scheme = "Bearer"
    /// Keys `token` and `tokens`; clients send the first.
    package var tokens: [SecretString] = []
    /// A file with a token in each line, which goes before the others. Key `filename`.
    package var file: String?
    /// How often the file is looked at; zero for never. Key `reload_interval`.
    package var reloadInterval = WatchedFile.interval
    package var failureLimit = AuthFailures.defaultLimit

    init(from section: ConfigSection) {
        header = section.nonEmptyString("header") ?? header
        scheme = section.string("scheme") ?? scheme
        if let token = section.secret("token"), !token.isEmpty { tokens = [token] }
        if let list = section.stringList("tokens"), !list.isEmpty {
            if !tokens.isEmpty { section.error("tokens", "must not be set beside \"token\"") }
            if list.contains(where: \.isEmpty) { section.error("tokens", "must not hold an empty token") }
            tokens = list.map { SecretString($0) }
        }
        file = section.nonEmptyString("filename")
        reloadInterval = section.duration("reload_interval") ?? reloadInterval
        failureLimit = AuthFailures.limit(section)
        if file == nil, tokens.isEmpty {
            section.error("one of \"token\", \"tokens\" and \"filename\" must be set, and not be empty")
        }
        if let file {
            if !tokens.isEmpty { section.warn("filename", "goes before \"token\" and \"tokens\"") }
            do throws(WatchedFile.Unusable) {
                _ = try BearerTokenAuthExtension.tokens(in: WatchedFile.read(file))
            } catch {
                section.error("filename", error.description)
            }
        }
    }
}

/// Compares the whole header with those that the tokens make.
final class BearerTokenAuthExtension: ServiceExtension, ServerAuthenticator, ClientAuthenticator {
    private struct State {
        var accepted = SecretTable<Void>()
        /// What clients send.
        var first = ""
    }

    private let header: String
    private let lowercasedHeader: String
    private let prefix: String
    private let state: Mutex<State>
    private let failures: AuthFailures
    private let file: WatchedFile?
    private let fileBytes: [UInt8]
    private let logger: Logger
    private let identity = ClientIdentity()

    init(_ settings: BearerTokenAuthSettings, id: ComponentID, environment: ComponentEnvironment) throws {
        header = settings.header
        lowercasedHeader = settings.header.lowercased()
        prefix = settings.scheme.isEmpty ? "" : settings.scheme + " "
        logger = environment.logger("extension", id)
        failures = AuthFailures(
            environment, id: id, challenge: settings.scheme.isEmpty ? "Bearer" : settings.scheme,
            limit: settings.failureLimit)
        var tokens = settings.tokens.map { $0.reveal() }
        if let path = settings.file {
            fileBytes = try WatchedFile.read(path)
            tokens = try Self.tokens(in: fileBytes)
            file = WatchedFile(path, interval: settings.reloadInterval)
        } else {
            fileBytes = []
            file = nil
        }
        state = Mutex(Self.state(tokens, prefix))
    }

    private static func state(_ tokens: [String], _ prefix: String) -> State {
        var state = State()
        for token in tokens { _ = state.accepted.add(Array((prefix + token).utf8), ()) }
        state.first = prefix + (tokens.first ?? "")
        return state
    }

    static func tokens(in bytes: [UInt8]) throws(WatchedFile.Unusable) -> [String] {
        let tokens = WatchedFile.lines(bytes).map(\.text)
        if tokens.isEmpty { throw WatchedFile.Unusable(description: "holds no token") }
        return tokens
    }

    func start() throws {
        file?.watch(fileBytes, logger: logger) { [weak self] bytes throws(WatchedFile.Unusable) in
            guard let self else { return }
            let state = Self.state(try Self.tokens(in: bytes), self.prefix)
            self.state.withLock { $0 = state }
        }
    }

    func stop() async { file?.stop() }

    func authenticate(_ request: AuthenticationRequest) -> AuthenticationResult {
        guard let value = request.header(lowercasedHeader) else {
            return .denied(failures.refuse(.missing, peer: request.peer))
        }
        let guess = Array(value.utf8)
        if state.withLock({ $0.accepted.find(guess) }) != nil { return .allowed(identity) }
        let hasScheme = value.utf8.starts(with: prefix.utf8)
        return .denied(failures.refuse(hasScheme ? .rejected : .malformed, peer: request.peer))
    }

    func authorize(_ headers: inout [(name: String, value: String)], metadata: [String: [String]]) {
        headers.removeAll { $0.name.lowercased() == lowercasedHeader }
        headers.append((header, state.withLock { $0.first }))
    }
}
