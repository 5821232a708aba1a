package import Config
package import Pipeline

/// otelcol's `headers_setter`: headers of requests that are sent, from what came along with their data.
package struct HeadersSetterExtensionFactory: ExtensionFactory {
    package typealias Settings = HeadersSetterSettings

    package init() {}

    package var descriptor: ComponentDescriptor { ComponentDescriptor(type: "headers_setter") }

    package func settings(from section: ConfigSection) -> HeadersSetterSettings {
        HeadersSetterSettings(from: section)
    }

    package func roles(of settings: HeadersSetterSettings) -> Set<ExtensionRole> { [.clientAuthenticator] }

    package func make(
        _ settings: HeadersSetterSettings, id: ComponentID, environment: ComponentEnvironment
    ) throws -> any ServiceExtension {
        HeadersSetterExtension(settings)
    }
}

/// What a `headers_setter` section sets.
package struct HeadersSetterSettings: Sendable {
    /// What is done to a header.
    package enum Action: String, Sendable, CaseIterable {
        /// Set it unless it is there.
        case insert
        /// Set it if it is there.
        case update
        /// Set it.
        case upsert
        /// Take it away.
        case delete
    }

    /// Where a value comes from.
    package enum Source: Sendable {
        case fixed(SecretString)
        /// Metadata of the data; its name, in lower case.
        case metadata(String, default: SecretString?)
    }

    /// One element of `headers`.
    package struct Rule: Sendable {
        package var action: Action
        package var header: String
        /// Nil for `delete`.
        package var source: Source?
    }

    package var rules: [Rule] = []

    init(from section: ConfigSection) {
        section.require("headers")
        section.refuse("additional_auth", because: "an exporter has one authenticator")
        for entry in section.sectionList("headers") ?? [] {
            entry.require("key")
            let action = entry.choice("action", as: Action.self) ?? .upsert
            entry.refuse("value_file", because: "write the value, or ${file:…}")
            let source = Self.source(entry)
            if source == nil, action != .delete {
                entry.error("one of \"value\", \"from_context\" and \"from_attribute\" must be set")
            }
            guard let header = entry.nonEmptyString("key") else { continue }
            let isName = header.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ":") }
            if !isName { entry.error("key", "must be the name of a header") }
            rules.append(Rule(action: action, header: header, source: source))
        }
    }

    private static func source(_ entry: ConfigSection) -> Source? {
        let value = entry.secret("value")
        let context = entry.nonEmptyString("from_context")?.lowercased()
        let attribute = entry.nonEmptyString("from_attribute")
        let fallback = entry.secret("default_value")
        if [value != nil, context != nil, attribute != nil].count(where: { $0 }) > 1 {
            entry.error("only one of \"value\", \"from_context\" and \"from_attribute\" may be set")
        }
        if let value { return .fixed(value) }
        if let context { return .metadata(context, default: fallback) }
        return attribute.map { .metadata(ClientIdentity.attributePrefix + $0, default: fallback) }
    }
}

final class HeadersSetterExtension: ServiceExtension, ClientAuthenticator {
    private let rules: [HeadersSetterSettings.Rule]

    init(_ settings: HeadersSetterSettings) { rules = settings.rules }

    func start() throws {}

    func stop() async {}

    func authorize(_ headers: inout [(name: String, value: String)], metadata: [String: [String]]) {
        for rule in rules {
            let name = rule.header.lowercased()
            if rule.action == .delete {
                headers.removeAll { $0.name.lowercased() == name }
                continue
            }
            guard let value = Self.value(rule.source, metadata) else { continue }
            let isThere = headers.contains { $0.name.lowercased() == name }
            switch rule.action {
            case .insert where isThere: continue
            case .update where !isThere: continue
            case .insert, .update, .upsert, .delete: break
            }
            headers.removeAll { $0.name.lowercased() == name }
            headers.append((rule.header, value))
        }
    }

    /// The value, without characters that would end a header; nil when there is none.
    private static func value(_ source: HeadersSetterSettings.Source?, _ metadata: [String: [String]]) -> String? {
        let value: String?
        switch source {
        case .fixed(let secret): value = secret.reveal()
        case .metadata(let name, let fallback): value = metadata[name]?.first ?? fallback?.reveal()
        case nil: value = nil
        }
        guard let value, value.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else { return value }
        return String(decoding: value.utf8.map { $0 < 0x20 || $0 == 0x7F ? 0x20 : $0 }, as: UTF8.self)
    }
}
