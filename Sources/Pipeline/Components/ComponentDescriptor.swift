package import Config
package import OTLP

/// How far users can rely on a component; otelcol's words.
package enum Stability: String, Sendable {
    case development
    case alpha
    case beta
    case stable
}

/// What is known about a component type without a configuration.
package struct ComponentDescriptor: Sendable {
    /// The type in ids: `otlp_http` in `otlp_http/backend`.
    package let type: String
    /// Other types that mean the same, such as older names.
    package let aliases: [String]
    /// The signals that the component handles, with how mature each is. Empty for extensions.
    package let signals: [Signal: Stability]
    /// For components that handle no signal.
    package let stability: Stability

    package init(
        type: String, aliases: [String] = [], signals: [Signal: Stability] = [:], stability: Stability = .beta
    ) {
        self.type = type
        self.aliases = aliases
        self.signals = signals
        self.stability = stability
    }

    /// All types under which a configuration may name the component.
    package var names: [String] { [type] + aliases }
}

extension Signal {
    /// The signal of a pipeline id.
    package init(_ signal: PipelineSignal) {
        switch signal {
        case .traces: self = .traces
        case .metrics: self = .metrics
        case .logs: self = .logs
        }
    }
}
