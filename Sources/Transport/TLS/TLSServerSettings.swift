package import Config

/// How a server speaks TLS: the keys of otelcol's `tls` section on a receiver. Files are PEM.
package struct TLSServerSettings: Sendable, Equatable {
    /// File of the server's certificate and its chain. Key `cert_file`.
    package var certFile: String?
    /// The certificate as PEM text in place of `certFile`. Key `cert_pem`.
    package var certPEM: String?
    /// File of the certificate's private key. Key `key_file`.
    package var keyFile: String?
    /// The key as PEM text in place of `keyFile`. Key `key_pem`.
    package var keyPEM: SecretString?
    /// File of the certificates that may sign those of clients; nil asks clients for none. Key `client_ca_file`.
    package var clientCAFile: String?
    /// Look whether `clientCAFile` has changed. Key `client_ca_file_reload`.
    package var reloadsClientCA = false
    /// The oldest version to agree to. Key `min_version`.
    package var minVersion = TLSVersion.tls12
    /// The newest version to agree to. Key `max_version`.
    package var maxVersion = TLSVersion.tls13
    /// Numbers of the suites for TLS up to 1.2; nil for the default ones. Key `cipher_suites`.
    package var cipherSuites: [UInt16]?
    /// Numbers of the groups of the key exchange, best first; nil for the library's choice. Key `curve_preferences`.
    package var curves: [UInt16]?
    /// How often the files are looked at for a change; nil for never. Key `reload_interval`.
    package var reloadInterval: Duration?
    /// Longest time of a handshake. Key `handshake_timeout`.
    package var handshakeTimeout = Duration.seconds(10)
    /// Most handshakes at the same time; connections beyond it are closed. Key `max_handshakes`.
    package var maximumHandshakes = 1024

    /// How often a client CA is looked at when no `reload_interval` says so.
    static let clientCAInterval = Duration.seconds(10)

    /// TLS 1.2 or 1.3, without a certificate: `certFile` and `keyFile`, or their texts, must be set.
    package init() {}

    /// How often anything is looked at; nil for never.
    var checkInterval: Duration? { reloadInterval ?? (reloadsClientCA ? Self.clientCAInterval : nil) }
}

extension TLSServerSettings {
    /// Reads a `tls` section of a server, loads what it names once, and records what is wrong.
    package init(from section: ConfigSection) {
        self.init()
        certFile = section.nonEmptyString("cert_file")
        certPEM = section.nonEmptyString("cert_pem")
        keyFile = section.nonEmptyString("key_file")
        keyPEM = section.secret("key_pem")
        clientCAFile = section.nonEmptyString("client_ca_file")
        reloadsClientCA = section.bool("client_ca_file_reload") ?? false
        minVersion = section.choice("min_version", as: TLSVersion.self) ?? minVersion
        maxVersion = section.choice("max_version", as: TLSVersion.self) ?? maxVersion
        reloadInterval = section.duration("reload_interval", in: .zero ... .seconds(1 << 30))
        if reloadInterval == .zero { reloadInterval = nil }
        handshakeTimeout =
            section.duration("handshake_timeout", in: .milliseconds(1) ... .seconds(3600)) ?? handshakeTimeout
        maximumHandshakes = section.integer("max_handshakes", in: 1...1_000_000) ?? maximumHandshakes
        readNames(section)
        for key in ["ca_file", "ca_pem"] {
            section.refuse(key, because: "a server checks the certificates of its clients with \"client_ca_file\"")
        }
        section.refuse("include_system_ca_certs_pool", because: "only \"client_ca_file\" says which clients are known")
        section.refuse("tpm", because: "keys come from files or the configuration")
        for key in ["insecure", "insecure_skip_verify", "server_name_override"] {
            section.refuse(key, because: "it is an option of clients")
        }
        guard !section.diagnostics.hasErrors else { return }
        do throws(TLSServerError) {
            _ = try TLSMaterial(self).context(for: self, protocols: [])
        } catch {
            section.error(error.option, error.text)
        }
    }

    private mutating func readNames(_ section: ConfigSection) {
        if let names = section.stringList("cipher_suites"), !names.isEmpty {
            var suites: [UInt16] = []
            for name in names {
                switch TLSNames.suite(name) {
                case .known(let number): suites.append(number)
                case .fixed:
                    section.warn("cipher_suites", "holds \(name), which is always on with TLS 1.3")
                case .weak:
                    section.error("cipher_suites", "holds \(name), which is too weak to be offered")
                case .unknown:
                    section.error(
                        "cipher_suites", "holds a name that is no cipher suite; known: \(TLSNames.suiteList)")
                }
            }
            if !suites.isEmpty { cipherSuites = suites }
        }
        if let names = section.stringList("curve_preferences"), !names.isEmpty {
            curves = names.compactMap { name in
                if let number = TLSNames.curves.first(where: { $0.name == name })?.number { return number }
                let known = TLSNames.curves.map(\.name).joined(separator: ", ")
                section.error("curve_preferences", "holds a name that is no curve of this list: \(known)")
                return nil
            }
        }
    }
}

/// The names that otelcol's configuration has for suites and curves.
enum TLSNames {
    enum Suite {
        case known(UInt16)
        /// Of TLS 1.3, whose suites are not configurable.
        case fixed
        /// Without forward secrecy, or with a broken cipher.
        case weak
        case unknown
    }

    /// Suites with forward secrecy and authenticated encryption: what is offered without `cipher_suites`.
    static let modern: [(name: String, number: UInt16)] = [
        ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", 0xC02B), ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", 0xC02F),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", 0xC02C), ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", 0xC030),
        ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", 0xCCA9),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", 0xCCA8),
    ]
    /// Suites with forward secrecy that TLS 1.0 and 1.1 have, and that TLS 1.2 may be given by name.
    static let older: [(name: String, number: UInt16)] = [
        ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", 0xC009), ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", 0xC013),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", 0xC00A), ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", 0xC014),
    ]
    private static let fixed = [
        "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
    ]
    static let curves: [(name: String, number: UInt16)] = [
        ("X25519MLKEM768", 0x11EC), ("X25519", 0x1D), ("P256", 0x17), ("P384", 0x18), ("P521", 0x19),
    ]

    static var suiteList: String { (modern + older).map(\.name).joined(separator: ", ") }

    static func suite(_ name: String) -> Suite {
        // Go once named two suites without their hash.
        let full = name.hasSuffix("_CHACHA20_POLY1305") ? name + "_SHA256" : name
        if let number = (modern + older).first(where: { $0.name == full })?.number { return .known(number) }
        if fixed.contains(name) { return .fixed }
        let isSuite = name.hasPrefix("TLS_RSA_WITH_") || name.hasPrefix("TLS_ECDHE_") || name.hasPrefix("TLS_DHE_")
        return isSuite ? .weak : .unknown
    }
}
