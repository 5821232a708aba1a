package import Storage

/// An extension that gives other components logs on a disk.
package protocol StorageExtension: ServiceExtension {
    /// The log of one component, in a directory of its own that the name stands for. Nothing is opened yet: whoever asks
    /// opens it at its own start, after the extension's, and closes it.
    ///
    /// - Parameters:
    ///   - name: different for each log of the process, and the same after a restart.
    ///   - dropsOldest: what happens when the log is full; see `LogOptions`.
    func log(named name: String, dropsOldest: Bool) -> AppendLog
}

/// Names of logs.
package enum StorageName {
    /// What an extension is to be for who names it as its storage; see `ConfigReference.role`.
    package static let role = "storage"

    /// `exporter`, `otlp_http/eu`, `traces`: `exporter_otlp_http_eu_traces`, as otelcol names its files. Other than ASCII
    /// letters, digits, `-`, `.` and `_` become `_`.
    package static func make(_ kind: String, type: String, name: String, _ suffix: String) -> String {
        let text = "\(kind)_\(type)_\(name)_\(suffix)"
        let safe = text.unicodeScalars.map { scalar -> Character in
            let isPlain = scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
            return isPlain || scalar == "-" || scalar == "." ? Character(scalar) : "_"
        }
        return String(safe)
    }
}
