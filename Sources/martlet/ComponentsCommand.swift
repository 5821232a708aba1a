import Delivery
import OTLP
import Pipeline
import Service

/// `martlet components`: what a configuration may name.
enum ComponentsCommand {
    static let command = Command(
        name: "components", abstract: "Lists the components with their signals and stability.", run: { _ in run() })

    private static func run() {
        list("receivers", Components.receivers.map(\.descriptor))
        list("processors", Components.processors.map(\.descriptor))
        list("exporters", Components.exporters.map(\.descriptor))
        list("connectors", Components.connectors.map(\.descriptor))
        list("extensions", Components.extensions.map(\.descriptor))
    }

    private static func list(_ kind: String, _ descriptors: [ComponentDescriptor]) {
        print("\(kind):")
        for descriptor in descriptors.sorted(by: { $0.type < $1.type }) {
            print("  - name: \(descriptor.type)")
            if !descriptor.aliases.isEmpty { print("    aliases: [\(descriptor.aliases.joined(separator: ", "))]") }
            if descriptor.signals.isEmpty {
                print("    stability: \(descriptor.stability.rawValue)")
            } else {
                print("    stability:")
                for signal in Signal.allCases {
                    if let stability = descriptor.signals[signal] {
                        print("      \(signal.rawValue): \(stability.rawValue)")
                    }
                }
            }
        }
    }
}
