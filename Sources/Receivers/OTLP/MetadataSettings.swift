internal import Config
internal import Pipeline
internal import Transport

/// What of a request's head goes along with its data.
package struct MetadataSettings: Sendable {
    /// Header fields go along. Key `include_metadata`.
    package var includesHeaders = false
    /// Names of those that do, in lower case; nil for all. Key `include_metadata_keys`.
    package var names: [String]?

    package init() {}

    init(from section: ConfigSection) {
        includesHeaders = section.bool("include_metadata") ?? false
        guard let chosen = section.stringList("include_metadata_keys") else { return }
        if !includesHeaders { section.error("include_metadata_keys", "needs \"include_metadata\": true") }
        names = chosen.map { $0.lowercased() }
    }

    /// Names in lower case, and their values. What the client is known to be goes before what it says of itself.
    func metadata(of head: HTTPHead) -> [String: [String]] {
        let known = head.identity?.metadata ?? [:]
        guard includesHeaders else { return known }
        var metadata: [String: [String]] = [:]
        for field in head.headers.fields {
            let name = field.name.lowercased()
            if let names, !names.contains(name) { continue }
            // Only an authenticator says these.
            if name.utf8.starts(with: ClientIdentity.attributePrefix.utf8) { continue }
            metadata[name, default: []].append(field.value)
        }
        metadata.merge(known) { $1 }
        return metadata
    }
}
