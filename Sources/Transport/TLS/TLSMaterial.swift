internal import Config
internal import NIOCore
internal import NIOSSL

/// What is wrong with a server's TLS settings, by the option that it is about. Never holds PEM text.
struct TLSServerError: Error {
    /// A key of the `tls` section.
    var option: String
    /// A sentence part.
    var text: String
}

/// The bytes of certificates and keys that one context is made of.
struct TLSMaterial {
    /// Largest PEM file that is read: 1 MiB.
    private static let largestFile = 1 << 20

    private let certificate: [UInt8]
    private let key: [UInt8]
    /// Nil when clients need no certificate.
    let clientCA: [UInt8]?

    /// Reads what the settings name. Blocks on files.
    ///
    /// - Parameter clientCA: used in place of the file, which is not read then.
    init(_ settings: TLSServerSettings, clientCA known: [UInt8]? = nil) throws(TLSServerError) {
        if settings.minVersion.rawValue > settings.maxVersion.rawValue {
            let text = "\(settings.minVersion.rawValue) must not be above max_version \(settings.maxVersion.rawValue)"
            throw TLSServerError(option: "min_version", text: text)
        }
        certificate = try Self.bytes("cert", settings.certFile, settings.certPEM)
        key = try Self.bytes("key", settings.keyFile, settings.keyPEM?.reveal())
        if let known {
            clientCA = known
        } else if let path = settings.clientCAFile {
            clientCA = try Self.read("client_ca_file", path)
        } else if settings.reloadsClientCA {
            throw TLSServerError(option: "client_ca_file_reload", text: "needs \"client_ca_file\"")
        } else {
            clientCA = nil
        }
    }

    private static func bytes(_ kind: String, _ file: String?, _ text: String?) throws(TLSServerError) -> [UInt8] {
        switch (file, text) {
        case (let file?, nil): return try read("\(kind)_file", file)
        case (nil, let text?): return Array(text.utf8)
        case (nil, nil):
            throw TLSServerError(
                option: "\(kind)_file", text: "is missing: a TLS server needs a certificate and its key")
        case (_?, _?): throw TLSServerError(option: "\(kind)_pem", text: "must not be set beside \(kind)_file")
        }
    }

    private static func read(_ option: String, _ path: String) throws(TLSServerError) -> [UInt8] {
        do throws(ConfigReadError) {
            return try ConfigInputs.process.readFile(path, largestFile)
        } catch {
            throw TLSServerError(option: option, text: "\"\(path)\" cannot be read: \(error)")
        }
    }

    /// A number that changes with the bytes. It says nothing about them.
    var fingerprint: Int {
        var hasher = Hasher()
        hasher.combine(certificate)
        hasher.combine(key)
        hasher.combine(clientCA)
        return hasher.finalize()
    }

    /// When the server's own certificate ends, in seconds since 1970; nil when it cannot be read.
    var expiry: Int? {
        (try? NIOSSLCertificate.fromPEMBytes(certificate))?.first.map { Int($0.notValidAfter) }
    }

    /// Makes the context that connections are made of.
    ///
    /// - Parameter protocols: what is offered by ALPN, best first.
    func context(
        for settings: TLSServerSettings, protocols: [String]
    ) throws(TLSServerError) -> NIOSSLContext {
        let certName = settings.certFile == nil ? "cert_pem" : "cert_file"
        let keyName = settings.keyFile == nil ? "key_pem" : "key_file"
        let chain = try Self.certificates(certificate, certName)
        let privateKey: NIOSSLPrivateKey
        do {
            privateKey = try NIOSSLPrivateKey(bytes: key, format: .pem)
        } catch {
            throw TLSServerError(option: keyName, text: "holds no private key in PEM without a passphrase")
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(privateKey))
        configuration.minimumTLSVersion = Self.version(settings.minVersion)
        configuration.maximumTLSVersion = Self.version(settings.maxVersion)
        let older = settings.minVersion == .tls10 || settings.minVersion == .tls11 ? TLSNames.older : []
        let suites = settings.cipherSuites ?? (TLSNames.modern + older).map(\.number)
        configuration.cipherSuiteValues = suites.map { NIOTLSCipher(rawValue: $0) }
        if let curves = settings.curves { configuration.curves = curves.map { NIOTLSCurve(rawValue: $0) } }
        configuration.applicationProtocols = protocols
        configuration.shutdownTimeout = .seconds(1)
        if let clientCA {
            configuration.certificateVerification = .noHostnameVerification
            configuration.trustRoots = .certificates(try Self.certificates(clientCA, "client_ca_file"))
            configuration.sendCANameList = true
        }
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            // The rest of the configuration is made of known values: what is left is a key of another certificate.
            throw TLSServerError(option: keyName, text: "does not belong to the certificate of \"\(certName)\"")
        }
    }

    private static func certificates(
        _ bytes: [UInt8], _ option: String
    ) throws(TLSServerError) -> [NIOSSLCertificate] {
        do {
            let found = try NIOSSLCertificate.fromPEMBytes(bytes)
            if !found.isEmpty { return found }
        } catch {}
        throw TLSServerError(option: option, text: "holds no certificate in PEM")
    }

    private static func version(_ version: TLSVersion) -> NIOSSL.TLSVersion {
        switch version {
        case .tls10: .tlsv1
        case .tls11: .tlsv11
        case .tls12: .tlsv12
        case .tls13: .tlsv13
        }
    }
}
