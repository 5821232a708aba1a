package import Pipeline

/// otelcol's `memory_limiter` as an extension: the same bounds as the processor of that name.
package enum MemoryLimiterExtension {
    package static let factory = AnyExtensionFactory(ComponentDescriptor(type: "memory_limiter")) {
        .memoryLimit(MemoryLimit(from: $0))
    }
}
