import Delivery
import OTLP
import Pipeline
import Service
import Testing

@testable import Config

/// One registered factory, whatever its kind.
struct ComponentCase: Sendable, CustomTestStringConvertible {
    let kind: CollectorConfig.Kind
    let descriptor: ComponentDescriptor
    /// Reads a configuration; what is made of it is of no interest here.
    let reads: @Sendable (ComponentConfig, inout ConfigDiagnostics) -> Bool

    var testDescription: String { "\(kind.singular)/\(descriptor.type)" }

    static let all: [ComponentCase] =
        Components.receivers.map { factory in
            ComponentCase(kind: .receivers, descriptor: factory.descriptor) { factory.prepare($0, &$1) != nil }
        }
        + Components.processors.map { factory in
            ComponentCase(kind: .processors, descriptor: factory.descriptor) { factory.prepare($0, &$1) != nil }
        }
        + Components.exporters.map { factory in
            ComponentCase(kind: .exporters, descriptor: factory.descriptor) { factory.prepare($0, &$1) != nil }
        }
        + Components.connectors.map { factory in
            ComponentCase(kind: .connectors, descriptor: factory.descriptor) { factory.prepare($0, &$1) != nil }
        }
        + Components.extensions.map { factory in
            ComponentCase(kind: .extensions, descriptor: factory.descriptor) { factory.prepare($0, &$1) != nil }
        }

    /// A configuration of the component from the text of its section.
    func config(_ yaml: String) throws -> ComponentConfig { try componentConfig(yaml, type: descriptor.type, kind) }

    /// Whether the section is right, and all that is wrong with it.
    func read(_ yaml: String) throws -> (isRead: Bool, errors: [ConfigDiagnostic]) { try read(config(yaml)) }

    func read(_ config: ComponentConfig) throws -> (isRead: Bool, errors: [ConfigDiagnostic]) {
        var diagnostics = ConfigDiagnostics()
        let isRead = reads(config, &diagnostics)
        return (isRead, diagnostics.errors)
    }
}

func componentConfig(_ yaml: String, type: String, _ kind: CollectorConfig.Kind) throws -> ComponentConfig {
    let inputs = ConfigInputs(
        environment: { _ in nil },
        readFile: { _, _ throws(ConfigReadError) in Array("section: \(yaml)\n".utf8) })
    let root = try ConfigLoader(inputs: inputs).load(configs: ["a.yaml"]).root
    let node = root["section"] ?? .null(at: root.position)
    return ComponentConfig(
        id: ComponentID(type: type), node: node, position: root.position, path: "\(kind.rawValue)::\(type)")
}

/// The least that makes each component work, in YAML's flow style, and what tests need to know about it. A component
/// that is not here fails `everyComponentIsInTheTable`.
enum ContractTable {
    struct Entry: Sendable {
        var minimal: String
        /// Only for exporters: whether it sends to a peer, as the `endpoint` of its configuration.
        var hasPeer = false
        /// Only for exporters: it holds nothing that `shutdown` could close, and goes on to take everything.
        var worksAfterShutdown = false
        /// Only for processors: what it hands on are batches of its own making, never those that came.
        var makesBatches = false
    }

    static let entries: [String: Entry] = [
        "receiver/otlp": Entry(minimal: "{protocols: {http: {endpoint: '127.0.0.1:0'}}}"),
        "processor/batch": Entry(minimal: "{}"),
        "processor/deltatocumulative": Entry(minimal: "{}"),
        "processor/genai": Entry(minimal: "{}"),
        "processor/memory_limiter": Entry(minimal: "{limit_mib: 64}"),
        "processor/probabilistic_sampler": Entry(minimal: "{sampling_percentage: 10}"),
        "processor/tail_sampling": Entry(minimal: "{policies: [{name: all, type: always_sample}]}", makesBatches: true),
        "exporter/debug": Entry(minimal: "{}"),
        "exporter/file": Entry(minimal: "{path: /dev/null}"),
        "exporter/nop": Entry(minimal: "{}", worksAfterShutdown: true),
        "exporter/prometheus": Entry(minimal: "{endpoint: '127.0.0.1:0'}"),
        "exporter/otlp_grpc": Entry(minimal: "{endpoint: 'http://127.0.0.1:1', tls: {insecure: true}}", hasPeer: true),
        "exporter/otlp_http": Entry(minimal: "{endpoint: 'http://127.0.0.1:1'}", hasPeer: true),
        "exporter/prometheus_remote_write": Entry(minimal: "{endpoint: 'http://127.0.0.1:1'}", hasPeer: true),
        "connector/forward": Entry(minimal: "{}"),
        "connector/genai_metrics": Entry(minimal: "{}"),
        "connector/service_graph": Entry(minimal: "{}"),
        "connector/span_metrics": Entry(minimal: "{}"),
        "extension/file_storage": Entry(minimal: "{directory: /tmp}"),
        "extension/api_keys": Entry(minimal: "{keys: [{key: '0123456789abcdef', tenant: a}]}"),
        "extension/basicauth": Entry(minimal: "{htpasswd: {inline: 'a:b'}}"),
        "extension/bearertokenauth": Entry(minimal: "{token: a}"),
        "extension/headers_setter": Entry(minimal: "{headers: [{key: a, value: b}]}"),
        "extension/health_check": Entry(minimal: "{endpoint: '127.0.0.1:0'}"),
        "extension/memory_limiter": Entry(minimal: "{limit_percentage: 50}"),
    ]

    static func entry(_ kind: CollectorConfig.Kind, _ type: String) -> Entry? { entries["\(kind.singular)/\(type)"] }
}
