// swift-tools-version:6.2
import PackageDescription

// The layers, top to bottom: martlet → Service → components → {Transport, Delivery} → Pipeline →
// {OTLP, Config, Telemetry, Compression, Temporality} → C*. Tests/HouseRulesTests checks the import lines against this graph.

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    // Regular expressions and what comes with them are a megabyte, and not used.
    .unsafeFlags(["-Xfrontend", "-disable-implicit-string-processing-module-import"]),
    .treatAllWarnings(as: .error),
    // Exclusive access is proven by the debug tests; the run-time check costs 4 % of a small request.
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

/// For targets whose code runs for a request or less often, never for a span: small code instead of fast code.
let small: [SwiftSetting] = strict + [.unsafeFlags(["-Osize"], .when(configuration: .release))]

let package = Package(
    name: "martlet",
    dependencies: [
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.40.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    ],
    targets: [
        // C libraries and generated C
        .target(name: "COTLP", path: "Sources/C/COTLP", linkerSettings: [.linkedLibrary("protobuf-c")]),
        .systemLibrary(name: "CGetopt", path: "Sources/C/CGetopt"),
        .systemLibrary(name: "CSegments", path: "Sources/C/CSegments"),
        .systemLibrary(name: "CYAML", path: "Sources/C/CYAML"),
        .systemLibrary(name: "CZlib", path: "Sources/C/CZlib"),
        .systemLibrary(name: "CDeflate", path: "Sources/C/CDeflate"),
        .systemLibrary(name: "CISAL", path: "Sources/C/CISAL"),
        .systemLibrary(name: "CZstd", path: "Sources/C/CZstd"),
        .systemLibrary(name: "CPCRE2", path: "Sources/C/CPCRE2"),
        .systemLibrary(name: "CSnappy", path: "Sources/C/CSnappy"),
        .systemLibrary(name: "CPrefetch", path: "Sources/C/CPrefetch"),
        .target(name: "CCurl", path: "Sources/C/CCurl"),
        .target(name: "CCrypt", path: "Sources/C/CCrypt"),
        .target(name: "CPrices", path: "Sources/C/CPrices"),

        // Base
        .target(name: "OTLP", dependencies: ["COTLP"], swiftSettings: strict),
        .target(
            name: "Compression", dependencies: ["CZlib", "CDeflate", "CISAL", "CZstd", "CSnappy"],
            swiftSettings: small),
        .target(name: "Config", dependencies: ["CYAML"], swiftSettings: small),
        .target(
            name: "Telemetry", dependencies: [.product(name: "Logging", package: "swift-log")], swiftSettings: small),

        // An append log in files: what is in it survives a crash
        .target(name: "Storage", dependencies: ["CISAL"], swiftSettings: small),

        .target(name: "Temporality", dependencies: ["OTLP"], swiftSettings: strict),
        .target(name: "Prometheus", dependencies: ["OTLP"], swiftSettings: strict),

        .target(
            name: "GenAI", dependencies: ["CPrefetch", "CPrices", "OTLP", "Config"], exclude: ["Mappings/README.md"],
            resources: [.embedInCode("Mappings/genai.mapping")], swiftSettings: strict),

        // Decisions what to keep, and how many items a kept one stands for
        .target(name: "Sampling", dependencies: ["OTLP", "GenAI", "CPCRE2"], swiftSettings: strict),
        .target(name: "Aggregation", dependencies: ["CPrefetch", "OTLP"], swiftSettings: strict),

        // Contracts between components, and the graph of them
        .target(
            name: "Pipeline",
            dependencies: [
                "OTLP", "Config", "Telemetry", "Temporality", "Storage",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: small),

        // What components are made of
        .target(
            name: "Transport",
            dependencies: [
                "CCurl", "Compression", "OTLP", "Config", "Telemetry", "Pipeline",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "NIOHPACK", package: "swift-nio-http2"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ], swiftSettings: small),
        .target(
            name: "Delivery",
            dependencies: [
                "OTLP", "Config", "Telemetry", "Temporality", "Storage", "Pipeline",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: small),

        // Components, one folder each
        .target(
            name: "Receivers",
            dependencies: [
                "OTLP", "Compression", "Config", "Telemetry", "Pipeline", "Transport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ], exclude: ["OTLP/README.md"], resources: [.embedInCode("OTLP/descriptors.zst")], swiftSettings: small),
        .target(
            name: "Processors",
            dependencies: [
                "OTLP", "Config", "Telemetry", "Pipeline", "GenAI", "Sampling", "Storage", "Temporality",
                .product(name: "Logging", package: "swift-log"), .product(name: "NIOCore", package: "swift-nio"),
            ],
            exclude: [
                "Batch/README.md", "DeltaToCumulative/README.md", "GenAI/README.md", "MemoryLimiter/README.md",
                "ProbabilisticSampler/README.md", "TailSampling/README.md",
            ], swiftSettings: strict),
        .target(
            name: "Exporters",
            dependencies: [
                "OTLP", "Compression", "Config", "Telemetry", "Temporality", "Pipeline", "Transport", "Delivery",
                "Prometheus", .product(name: "Logging", package: "swift-log"),
            ],
            exclude: [
                "Debug/README.md", "File/README.md", "Nop/README.md", "OTLPGRPC/README.md",
                "OTLPHTTP/README.md", "PrometheusRemoteWrite/README.md", "PrometheusScrape/README.md",
            ],
            swiftSettings: small),
        .target(
            name: "Connectors",
            dependencies: [
                "OTLP", "Config", "Pipeline", "Aggregation", "GenAI", "Telemetry",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            exclude: [
                "Forward/README.md", "GenAIMetrics/README.md", "SpanMetrics/README.md", "ServiceGraph/README.md",
            ],
            swiftSettings: strict),
        .target(
            name: "Extensions",
            dependencies: [
                "CCrypt", "OTLP", "Config", "Pipeline", "Storage", "Telemetry", "Transport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            exclude: [
                "APIKeys/README.md", "BasicAuth/README.md", "BearerTokenAuth/README.md", "FileStorage/README.md",
                "HeadersSetter/README.md", "HealthCheck/README.md", "MemoryLimiter/README.md",
            ], swiftSettings: small),

        // Made-up traces, for trying out and for load
        .target(
            name: "Generator", dependencies: ["OTLP", "Compression", "Transport"], swiftSettings: small),

        // Configuration → graph → running collector, and the command line
        .target(
            name: "Service",
            dependencies: [
                "Receivers", "Processors", "Exporters", "Connectors", "Extensions", "Transport", "Delivery", "Pipeline",
                "OTLP", "Config", "Telemetry", "Temporality", "Storage",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: small),
        .executableTarget(
            name: "martlet",
            dependencies: [
                "CGetopt", "CSegments", "Service", "Storage", "Processors", "Generator", "Compression", "Delivery",
                "Transport",
                "Pipeline",
                "GenAI", "OTLP",
                "Config",
                .product(name: "Logging", package: "swift-log"),
            ], exclude: ["exports.map"], swiftSettings: small,
            linkerSettings: [
                // Nothing looks symbols up in the executable: without an export table the linker may drop what is
                // unused and fold what is equal. 22 MB become 18.
                .unsafeFlags(
                    [
                        "-use-ld=lld", "-Xlinker", "--gc-sections", "-Xlinker", "--icf=all", "-Xlinker", "-z",
                        "-Xlinker", "pack-relative-relocs", "-Xlinker",
                        "--version-script=\(Context.packageDirectory)/Sources/martlet/exports.map",
                    ], .when(configuration: .release))
            ]),

        // The JSON codec as a filter, for Tests/Conformance
        .executableTarget(
            name: "otlpjson-codec", dependencies: ["OTLP"], path: "Tests/Conformance/Codec", swiftSettings: strict),

        // Tests
        .target(
            name: "TestSupport",
            dependencies: [
                "Pipeline", "OTLP", "Config", "Telemetry",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ], path: "Tests/TestSupport", swiftSettings: strict),
        .testTarget(name: "OTLPTests", dependencies: ["OTLP"], swiftSettings: strict),
        .testTarget(
            name: "CompressionTests", dependencies: ["Compression", "CZlib", "CZstd"], swiftSettings: strict),
        .testTarget(
            name: "TransportTests",
            dependencies: [
                "Transport", "Compression", "Config", "OTLP", "Pipeline", "TestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ], swiftSettings: strict),
        .testTarget(name: "StorageTests", dependencies: ["Storage"], swiftSettings: strict),
        .testTarget(name: "ConfigTests", dependencies: ["Config"], swiftSettings: strict),
        .testTarget(
            name: "TemporalityTests", dependencies: ["Temporality", "OTLP", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "GenAITests", dependencies: ["GenAI", "OTLP", "Config"], swiftSettings: strict),
        .testTarget(name: "SamplingTests", dependencies: ["Sampling", "OTLP", "GenAI"], swiftSettings: strict),
        .testTarget(name: "PrometheusTests", dependencies: ["Prometheus", "OTLP"], swiftSettings: strict),
        .testTarget(
            name: "ExportersTests",
            dependencies: [
                "Exporters", "OTLP", "Compression", "Config", "Delivery", "Pipeline", "Prometheus", "Temporality",
                "TestSupport", "Transport", .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: strict),
        .testTarget(
            name: "DeliveryTests",
            dependencies: [
                "Delivery", "Storage", "Pipeline", "OTLP", "Config", "Telemetry",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ], swiftSettings: strict),
        .testTarget(
            name: "PipelineTests", dependencies: ["Pipeline", "OTLP", "Config", "Telemetry", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "TelemetryTests",
            dependencies: ["Telemetry", "TestSupport", .product(name: "Logging", package: "swift-log")],
            swiftSettings: strict),
        .testTarget(
            name: "ReceiversTests",
            dependencies: [
                "Receivers", "Transport", "Pipeline", "OTLP", "Compression", "Config", "Telemetry", "TestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ], swiftSettings: strict),
        .testTarget(
            name: "GeneratorTests",
            dependencies: [
                "Generator", "OTLP", "Compression", "Transport", .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ], swiftSettings: strict),
        .testTarget(
            name: "ServiceTests",
            dependencies: [
                "Service", "Extensions", "Transport", "Delivery", "Pipeline", "OTLP", "Config", "Telemetry",
                "TestSupport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ], swiftSettings: strict),
        .testTarget(
            name: "ContractsTests",
            dependencies: [
                "Service", "Delivery", "Transport", "Pipeline", "OTLP", "Config", "TestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ], swiftSettings: strict),
        .testTarget(
            name: "ProcessorsTests",
            dependencies: [
                "Processors", "GenAI", "Sampling", "Temporality", "Pipeline", "OTLP", "Config", "Telemetry",
                "TestSupport",
                .product(name: "NIOPosix", package: "swift-nio"),
            ], swiftSettings: strict),
        .testTarget(
            name: "ConnectorsTests",
            dependencies: [
                "Connectors", "Aggregation", "Config", "OTLP", "Pipeline", "Telemetry", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: strict),
        .testTarget(
            name: "AggregationTests", dependencies: ["Aggregation", "OTLP", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "ExtensionsTests",
            dependencies: [
                "Extensions", "Config", "Pipeline", "Telemetry", "Transport", "TestSupport",
            ], swiftSettings: strict),
        .testTarget(name: "HouseRulesTests", swiftSettings: strict),
    ]
)

// Fuzzers of what lives on event loops need NIO, which `scripts/fuzz` builds with the sanitizer for them.
if Context.environment["MARTLET_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "FuzzConnections",
            dependencies: [
                "Transport", "Compression", "OTLP", "Pipeline", "TestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ], path: "Fuzz/Connections", swiftSettings: strict))
}
