internal import Glibc

/// Whether libcurl takes a proxy from the environment: `http_proxy`, `https_proxy`, `all_proxy`, and `no_proxy` for hosts
/// that are reached without.
enum EnvironmentProxy {
    /// - Parameters:
    ///   - host: of the URL, IPv6 in brackets.
    ///   - variable: the value of an environment variable.
    /// - Returns: false only when no proxy is used for certain: networks in `no_proxy` are not looked into.
    static func mayBeUsed(
        for host: String, isTLS: Bool, variable: (String) -> String? = { getenv($0).map { String(cString: $0) } }
    ) -> Bool {
        // libcurl leaves HTTP_PROXY alone: under CGI it is a field of the request.
        let names = (isTLS ? ["https_proxy", "HTTPS_PROXY"] : ["http_proxy"]) + ["all_proxy", "ALL_PROXY"]
        guard names.contains(where: { variable($0)?.isEmpty == false }) else { return false }
        let exceptions = variable("no_proxy") ?? variable("NO_PROXY") ?? ""
        if exceptions == "*" { return false }
        let name = host.lowercased()
        for entry in exceptions.lowercased().split(whereSeparator: { $0 == "," || $0 == " " }) {
            let suffix = entry.hasPrefix(".") ? entry.dropFirst() : entry
            if name == suffix || name == "[\(suffix)]" || name.hasSuffix(".\(suffix)") { return false }
        }
        return true
    }
}
