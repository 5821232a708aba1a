internal import CCurl
package import Config
internal import Glibc

/// A version of TLS.
package enum TLSVersion: String, Sendable, CaseIterable {
    case tls10 = "1.0"
    case tls11 = "1.1"
    case tls12 = "1.2"
    case tls13 = "1.3"
}

/// How a client speaks TLS. Whether it does is decided by the URL's scheme. Certificates are verified unless
/// `insecureSkipVerify` is set. Files are PEM; they are read anew for each connection (the CA file: once in
/// `caReload`), so that renewed certificates are picked up.
package struct TLSClientSettings: Sendable, Equatable {
    /// Takes any certificate for any name.
    package var insecureSkipVerify = false
    /// File of certificates to trust; nil for those of the system.
    package var caFile: String?
    /// Certificates to trust, as PEM text in place of `caFile`.
    package var caPEM: String?
    /// Trusts the system's certificates beside `caFile` or `caPEM`.
    package var includeSystemCAs = false
    /// File of the client's own certificate and its chain. A certificate needs a key.
    package var certFile: String?
    /// The certificate as PEM text in place of `certFile`.
    package var certPEM: String?
    /// File of the certificate's private key.
    package var keyFile: String?
    /// The key as PEM text in place of `keyFile`.
    package var keyPEM: SecretString?
    /// The oldest version to agree to.
    package var minVersion = TLSVersion.tls12
    /// The newest version to agree to.
    package var maxVersion = TLSVersion.tls13
    /// Name to ask for and to expect in the certificate, in place of the URL's host.
    package var serverNameOverride: String?
    /// How long a CA file that was read is used, whole seconds.
    package var caReload = Duration.seconds(24 * 3600)

    /// TLS 1.2 or 1.3, verified against the system's certificates.
    package init() {}

    /// What is wrong with these settings, with the name of the option, or nil. Looks whether files can be read; never
    /// quotes PEM.
    package var problem: (option: String, text: String)? {
        if caFile != nil, caPEM != nil { return ("ca_pem", "must not be set beside ca_file") }
        if certFile != nil, certPEM != nil { return ("cert_pem", "must not be set beside cert_file") }
        if keyFile != nil, keyPEM != nil { return ("key_pem", "must not be set beside key_file") }
        let hasCertificate = certFile != nil || certPEM != nil
        let hasKey = keyFile != nil || keyPEM != nil
        if hasCertificate, !hasKey { return ("key_file", "is missing: a certificate needs key_file or key_pem") }
        if hasKey, !hasCertificate { return ("cert_file", "is missing: a key needs cert_file or cert_pem") }
        if minVersion.rawValue > maxVersion.rawValue {
            return ("min_version", "\(minVersion.rawValue) must not be above max_version \(maxVersion.rawValue)")
        }
        for (option, path) in [("ca_file", caFile), ("cert_file", certFile), ("key_file", keyFile)] {
            if let path, access(path, R_OK) != 0 { return (option, "\"\(path)\" cannot be read: \(errnoText(errno))") }
        }
        return nil
    }
}

extension TLSClientSettings {
    /// Puts the settings on a handle that is not in use. False when libcurl refuses one.
    func apply(to handle: UnsafeMutableRawPointer) -> Bool {
        var accepted = true
        func set(_ option: CURLoption, _ value: Int) {
            accepted = martlet_curl_setopt_long(handle, option, value) == CURLE_OK && accepted
        }
        func set(_ option: CURLoption, _ value: String?) {
            guard let value else { return }
            accepted = value.withCString { martlet_curl_setopt_pointer(handle, option, $0) } == CURLE_OK && accepted
        }
        func setBlob(_ option: CURLoption, _ value: String?) {
            guard var value else { return }
            accepted =
                value.withUTF8 { martlet_curl_setopt_blob(handle, option, $0.baseAddress, $0.count) } == CURLE_OK
                && accepted
        }
        set(CURLOPT_SSL_VERIFYPEER, insecureSkipVerify ? 0 : 1)
        set(CURLOPT_SSL_VERIFYHOST, insecureSkipVerify ? 0 : 2)
        set(CURLOPT_SSLVERSION, versionRange)
        set(CURLOPT_CA_CACHE_TIMEOUT, Int(caReload.components.seconds))
        if caFile != nil || caPEM != nil, !includeSystemCAs {
            accepted = martlet_curl_setopt_pointer(handle, CURLOPT_CAPATH, nil) == CURLE_OK && accepted
        }
        set(CURLOPT_CAINFO, caFile)
        setBlob(CURLOPT_CAINFO_BLOB, caPEM)
        set(CURLOPT_SSLCERT, certFile)
        setBlob(CURLOPT_SSLCERT_BLOB, certPEM)
        set(CURLOPT_SSLKEY, keyFile)
        setBlob(CURLOPT_SSLKEY_BLOB, keyPEM?.reveal())
        return accepted
    }

    /// libcurl takes the lower end in the low half and the upper one in the high half.
    private var versionRange: Int {
        let lower =
            switch minVersion {
            case .tls10: CURL_SSLVERSION_TLSv1_0
            case .tls11: CURL_SSLVERSION_TLSv1_1
            case .tls12: CURL_SSLVERSION_TLSv1_2
            case .tls13: CURL_SSLVERSION_TLSv1_3
            }
        let upper =
            switch maxVersion {
            case .tls10: CURL_SSLVERSION_MAX_TLSv1_0
            case .tls11: CURL_SSLVERSION_MAX_TLSv1_1
            case .tls12: CURL_SSLVERSION_MAX_TLSv1_2
            case .tls13: CURL_SSLVERSION_MAX_TLSv1_3
            }
        return Int(lower) | Int(upper)
    }
}
