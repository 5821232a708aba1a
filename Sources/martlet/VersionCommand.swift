import Service

/// `martlet version`.
enum VersionCommand {
    static let command = Command(
        name: "version", abstract: "Prints the version.",
        run: { _ in print("\(Collector.name) version \(Collector.version)") })
}
