internal import CCrypt
package import Config
internal import Logging
package import Pipeline
internal import Synchronization

/// otelcol's `basicauth`: user and password in the header `Authorization`, asked for by servers or sent by clients.
package struct BasicAuthExtensionFactory: ExtensionFactory {
    package typealias Settings = BasicAuthSettings

    package init() {}

    package var descriptor: ComponentDescriptor { ComponentDescriptor(type: "basicauth", aliases: ["basic_auth"]) }

    package func settings(from section: ConfigSection) -> BasicAuthSettings { BasicAuthSettings(from: section) }

    package func roles(of settings: BasicAuthSettings) -> Set<ExtensionRole> {
        settings.client == nil ? [.serverAuthenticator] : [.clientAuthenticator]
    }

    package func make(
        _ settings: BasicAuthSettings, id: ComponentID, environment: ComponentEnvironment
    ) throws -> any ServiceExtension {
        if let client = settings.client { return BasicAuthClient(client) }
        return try BasicAuthServer(settings, id: id, environment: environment)
    }
}

/// What a `basicauth` section sets: the users of servers, or what a client sends.
package struct BasicAuthSettings: Sendable {
    /// Key `client_auth`.
    package struct Client: Sendable {
        package var username: String
        package var password: SecretString
    }

    package var client: Client?
    /// Key `htpasswd::file`.
    package var file: String?
    /// Lines like those of the file. Key `htpasswd::inline`.
    package var inline = SecretString("")
    /// How often the file is looked at; zero for never. Key `htpasswd::reload_interval`.
    package var reloadInterval = WatchedFile.interval
    /// What browsers show. Key `realm`.
    package var realm = "martlet"
    package var failureLimit = AuthFailures.defaultLimit

    init(from section: ConfigSection) {
        let htpasswd = section.optionalSection("htpasswd")
        // Read in any case, so that no key of it is taken for an unknown one.
        file = htpasswd?.nonEmptyString("file")
        inline = htpasswd?.secret("inline") ?? inline
        reloadInterval = htpasswd?.duration("reload_interval") ?? reloadInterval
        if let client = section.optionalSection("client_auth") {
            if htpasswd != nil { section.error("\"htpasswd\" and \"client_auth\" must not be set both") }
            for key in ["username_file", "password_file"] {
                client.refuse(key, because: "write ${file:…} as the value")
            }
            client.require("username")
            let name = client.nonEmptyString("username") ?? ""
            if name.utf8.contains(UInt8(ascii: ":")) { client.error("username", "must not hold a colon") }
            self.client = Client(username: name, password: client.secret("password") ?? SecretString(""))
            return
        }
        guard let htpasswd else {
            section.error("\"htpasswd\" or \"client_auth\" must be set")
            return
        }
        realm = section.string("realm") ?? realm
        if realm.utf8.contains(where: { $0 < 0x20 || $0 == UInt8(ascii: "\"") || $0 > 0x7E }) {
            section.error("realm", "must be printable ASCII without quotes")
        }
        failureLimit = AuthFailures.limit(section)
        if file == nil, inline.isEmpty {
            htpasswd.error("\"file\", \"inline\" or both must be set")
            return
        }
        check(htpasswd)
    }

    private func check(_ htpasswd: ConfigSection) {
        do throws(WatchedFile.Unusable) {
            if !inline.isEmpty { _ = try Htpasswd([Array(inline.reveal().utf8)]) }
        } catch {
            htpasswd.error("inline", error.description)
        }
        guard let file else { return }
        do throws(WatchedFile.Unusable) {
            _ = try Htpasswd([WatchedFile.read(file)])
        } catch {
            htpasswd.error("file", error.description)
        }
    }
}

/// Sends a user and a password.
final class BasicAuthClient: ServiceExtension, ClientAuthenticator {
    private let value: String

    init(_ settings: BasicAuthSettings.Client) {
        value = "Basic " + Base64.encode(Array("\(settings.username):\(settings.password.reveal())".utf8))
    }

    func start() throws {}

    func stop() async {}

    func authorize(_ headers: inout [(name: String, value: String)], metadata: [String: [String]]) {
        headers.removeAll { $0.name.lowercased() == "authorization" }
        headers.append(("Authorization", value))
    }
}

/// Asks for a user and a password.
final class BasicAuthServer: ServiceExtension, ServerAuthenticator {
    private let inline: [UInt8]
    private let file: WatchedFile?
    private let fileBytes: [UInt8]
    private let checks: PasswordChecks
    private let failures: AuthFailures
    private let logger: Logger

    init(_ settings: BasicAuthSettings, id: ComponentID, environment: ComponentEnvironment) throws {
        inline = Array(settings.inline.reveal().utf8)
        fileBytes = try settings.file.map { try WatchedFile.read($0) } ?? []
        file = settings.file.map { WatchedFile($0, interval: settings.reloadInterval) }
        // The file's users go first.
        let users = try Htpasswd([fileBytes, inline])
        if users.hasHashes, let problem = martlet_crypt_load() {
            throw WatchedFile.Unusable(description: String(cString: problem))
        }
        checks = PasswordChecks(users)
        logger = environment.logger("extension", id)
        failures = AuthFailures(
            environment, id: id, challenge: "Basic realm=\"\(settings.realm)\", charset=\"UTF-8\"",
            limit: settings.failureLimit)
    }

    func start() throws {
        checks.start()
        file?.watch(fileBytes, logger: logger) { [weak self] bytes throws(WatchedFile.Unusable) in
            guard let self else { return }
            let users = try Htpasswd([bytes, self.inline])
            if users.hasHashes, let problem = martlet_crypt_load() {
                throw WatchedFile.Unusable(description: String(cString: problem))
            }
            self.checks.replace(users)
        }
    }

    func stop() async {
        file?.stop()
        await checks.stop()
    }

    func authenticate(_ request: AuthenticationRequest) -> AuthenticationResult {
        let peer = request.peer
        guard let value = request.header("authorization") else {
            return .denied(failures.refuse(.missing, peer: peer))
        }
        guard let (user, password) = Self.credentials(value) else {
            return .denied(failures.refuse(.malformed, peer: peer))
        }
        let digest = SecretDigest(Array(user.utf8) + [0x3A] + password)
        switch checks.known(user, password, digest) {
        case true?: return .allowed(Self.identity(user))
        case false?: return .denied(failures.refuse(.rejected, peer: peer))
        case nil: break
        }
        // Checking costs too much for everybody's guesses; who has given right credentials before is known already.
        guard !failures.isLimited(peer) else { return .denied(failures.refuse(.limited, peer: peer)) }
        return .later { [checks, failures] completion in
            checks.check(user, password, digest) { isRight in
                switch isRight {
                case true?: completion(.success(Self.identity(user)))
                case false?: completion(.failure(failures.refuse(.rejected, peer: peer)))
                case nil: completion(.failure(failures.refuse(.limited, peer: peer)))
                }
            }
        }
    }

    private static func identity(_ user: String) -> ClientIdentity {
        ClientIdentity(metadata: [ClientIdentity.attributePrefix + "username": [user]])
    }

    /// User and password of `Basic …` (RFC 7617); nil when it is something else.
    static func credentials(_ value: String) -> (user: String, password: [UInt8])? {
        guard let space = value.utf8.firstIndex(of: 0x20), value[..<space].lowercased() == "basic" else { return nil }
        guard let bytes = Base64.decode(value[value.utf8.index(after: space)...].utf8),
            let colon = bytes.firstIndex(of: UInt8(ascii: ":"))
        else { return nil }
        return (String(decoding: bytes[..<colon], as: UTF8.self), Array(bytes[(colon + 1)...]))
    }
}
