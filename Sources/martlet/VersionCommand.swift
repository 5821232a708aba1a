import ArgumentParser
import Service

/// `martlet version`.
struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Prints the version.")

    func run() { print("\(Collector.name) version \(Collector.version)") }
}
