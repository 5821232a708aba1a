internal import Compression
package import Logging
internal import OTLP
package import Pipeline
internal import Synchronization

/// Writes telemetry to files: one message for each request, in the formats of otelcol's `file` exporter.
///
/// A request is answered once its message is with the kernel: it survives the end of the process, not that of the
/// machine. Requests are written one after the other, whatever the number of threads that call.
package final class FileExporter: Exporter {
    private let state: Mutex<FileExport>

    /// - Parameters:
    ///   - logger: told what could not be answered for: renamed files, and rotated ones that cannot be deleted.
    ///   - system: replaced in tests.
    /// - Throws: `CompressionError` when zstd has no memory.
    package init(_ settings: FileExporterSettings, logger: Logger, system: FileSystemCalls = FileSystemCalls()) throws {
        state = Mutex(try FileExport(settings, logger: logger, system: system))
    }

    /// Opens the output file, unless each group has its own, and makes directories. May be called once for each
    /// signal, with as many calls of `shutdown`: all signals share the file.
    package func start() throws { try state.withLock { try $0.start() } }

    package func export(_ request: ExportRequest, completion: @escaping @Sendable (ExportOutcome) -> Void) {
        completion(state.withLock { $0.export(request) })
    }

    package func shutdown() { state.withLock { $0.stop() } }
}

/// What the exporter's lock guards.
private struct FileExport: ~Copyable {
    private let settings: FileExporterSettings
    private var encoder: RecordEncoder
    /// Not used with groups.
    private let file: RecordFile
    private var groups: GroupedFiles?
    private var starts = 0

    init(_ settings: FileExporterSettings, logger: Logger, system: FileSystemCalls) throws(CompressionError) {
        self.settings = settings
        encoder = try RecordEncoder(settings)
        groups = GroupedFiles(settings, system: system, logger: logger)
        file = RecordFile(
            path: settings.path, shown: settings.path, framing: settings.framing, rotation: settings.rotation,
            system: system, logger: logger)
    }

    mutating func start() throws(FileError) {
        if starts == 0 {
            if let groups { try groups.start() } else { try openFile() }
        }
        starts += 1
    }

    private func openFile() throws(FileError) {
        let directory = directory(of: settings.path)
        if settings.createDirectory {
            try makeDirectories(directory, mode: settings.directoryPermissions, shown: settings.path)
        } else if !isDirectory(directory) {
            throw FileError(
                .name, "open", settings.path, reason: "there is no directory \(directory); set \"create_directory\"")
        }
        try file.open(emptying: !settings.append && settings.rotation == nil)
        file.removeOldFiles()
    }

    mutating func stop() {
        guard starts > 0 else { return }
        starts -= 1
        if starts > 0 { return }
        file.close()
        groups?.close()
    }

    mutating func export(_ request: ExportRequest) -> ExportOutcome {
        guard starts > 0 else { return .retryable("the file exporter is not running", after: nil) }
        do throws(FileError) {
            if let groups { return try exportGroups(request, groups.pattern, groups.attribute) }
            let file = file
            if encoder.makesPieces, file.takesPieces {
                try file.append { write throws(FileError) in try encoder.encodePieces(request, write) }
            } else {
                try encoder.encode(request) { prefix, payload throws(FileError) in try file.append(prefix, payload) }
            }
            return .delivered
        } catch {
            switch error.kind {
            case .transient, .name: return .retryable("\(error)", after: nil)
            case .tooLarge: return .tooLarge("\(error)")
            case .content: return .permanent("\(error)")
            }
        }
    }

    /// Writes each group to its file. Groups whose names no file can have are rejected; any other failure fails the
    /// request, and a retry then repeats the groups that were written.
    private mutating func exportGroups(
        _ request: ExportRequest, _ pattern: GroupPath, _ attribute: String
    ) throws(FileError) -> ExportOutcome {
        let sorted: ResourceGroups
        do throws(OTLPDecodeError) {
            sorted = try ResourceGroups(request, pattern: pattern, attribute: attribute)
        } catch {
            throw FileError(.content, "group for", settings.path, reason: "\(error)")
        }
        // The resources' bytes belong to it.
        defer { withExtendedLifetime(sorted) {} }
        var rejected = sorted.nameless
        for group in sorted.groups {
            do throws(FileError) {
                guard let file = try groups?.file(at: group.path) else { continue }
                try encoder.encode(resources: group.resources, request.signal) { prefix, payload throws(FileError) in
                    try file.append(prefix, payload)
                }
            } catch {
                guard error.kind == .name else { throw error }
                rejected += group.resources
            }
        }
        if rejected.isEmpty { return .delivered }
        return .delivered(
            rejected: ResourceGroups.itemCount(in: rejected, request.signal),
            message: "resources without a usable attribute \"\(attribute)\" have no file")
    }
}
