internal import Connectors
package import Delivery
internal import Exporters
internal import Extensions
package import Pipeline
internal import Processors
internal import Receivers

/// The components that a configuration may name.
package struct ComponentSet: Sendable {
    package var receivers = Components.receivers
    package var processors = Components.processors
    package var exporters = Components.exporters
    package var connectors = Components.connectors
    package var extensions = Components.extensions

    /// Those of this build.
    package init() {}
}

/// Every component of this build. Adding one is its folder and its line here.
package enum Components {
    package static let receivers: [AnyReceiverFactory] = [
        AnyReceiverFactory(OTLPReceiverFactory())
    ]

    package static let processors: [AnyProcessorFactory] = [
        BatchProcessor.factory,
        AnyProcessorFactory(DeltaToCumulativeProcessorFactory()),
        AnyProcessorFactory(GenAIProcessorFactory()),
        MemoryLimiterProcessor.factory,
        AnyProcessorFactory(ProbabilisticSamplerProcessorFactory()),
        AnyProcessorFactory(TailSamplingProcessorFactory()),
    ]

    package static let exporters: [AnyExporterFactory] = [
        AnyExporterFactory(DebugExporterFactory()),
        AnyExporterFactory(FileExporterFactory()),
        AnyExporterFactory(NopExporterFactory()),
        AnyExporterFactory(OTLPGRPCExporterFactory()),
        AnyExporterFactory(OTLPHTTPExporterFactory()),
        AnyExporterFactory(PrometheusExporterFactory()),
        AnyExporterFactory(PrometheusRemoteWriteExporterFactory()),
    ]

    package static let connectors: [AnyConnectorFactory] = [
        AnyConnectorFactory(ForwardConnectorFactory()),
        AnyConnectorFactory(GenAIMetricsConnectorFactory()),
        AnyConnectorFactory(ServiceGraphConnectorFactory()),
        AnyConnectorFactory(SpanMetricsConnectorFactory()),
    ]

    package static let extensions: [AnyExtensionFactory] = [
        AnyExtensionFactory(APIKeysExtensionFactory()),
        AnyExtensionFactory(BasicAuthExtensionFactory()),
        AnyExtensionFactory(BearerTokenAuthExtensionFactory()),
        AnyExtensionFactory(HeadersSetterExtensionFactory()),
        FileStorageExtensionFactory.factory,
        AnyExtensionFactory(HealthCheckExtensionFactory()),
        MemoryLimiterExtension.factory,
    ]
}
