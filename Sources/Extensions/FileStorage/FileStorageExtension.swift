internal import Config
internal import Glibc
internal import Logging
package import Pipeline
package import Storage
internal import Synchronization

/// otelcol's `file_storage`: a directory in which other components keep what must survive a restart.
package enum FileStorageExtensionFactory {
    package static let factory = AnyExtensionFactory(
        ComponentDescriptor(type: "file_storage"),
        read: { section in
            let settings = FileStorageSettings(from: section)
            return .storage { id, environment in
                FileStorageExtension(settings, logger: environment.logger("extension", id))
            }
        })
}

/// What a `file_storage` section sets.
package struct FileStorageSettings: Sendable {
    /// `directory`.
    package var directory = Self.defaultDirectory
    /// `create_directory`.
    package var createsDirectory = false
    /// `directory_permissions`, of a directory that is created.
    package var permissions: UInt32 = 0o750
    /// Of each log.
    package var options = LogOptions()

    /// otelcol's.
    static let defaultDirectory = "/var/lib/otelcol/file_storage"

    init(from section: ConfigSection) {
        directory = section.nonEmptyString("directory") ?? directory
        createsDirectory = section.bool("create_directory") ?? false
        if let text = section.string("directory_permissions") {
            if let mode = UInt32(text, radix: 8), mode <= 0o777, mode & 0o700 == 0o700 {
                permissions = mode
            } else {
                section.error(
                    "directory_permissions", "must be an octal mode from \"0700\" to \"0777\", not \"\(text)\"")
            }
        }
        options.lockTimeout = section.duration("timeout", in: .zero ... .seconds(60)) ?? options.lockTimeout
        readSync(section)
        let segment = LogOptions.minimumSegmentBytes
        options.segmentBytes =
            section.integer("segment_size", in: segment...LogOptions.maximumRecordBytes) ?? options.segmentBytes
        options.maximumBytes =
            section.integer("max_size", in: segment...Int(Int64.max / 2)) ?? options.maximumBytes
        // So that the oldest data can go without the newest.
        options.segmentBytes = max(segment / 2, min(options.segmentBytes, options.maximumBytes / 4))
        section.refuse("compaction", because: "a segment is removed once it is delivered; nothing has to be compacted")
        section.refuse(
            "recreate", because: "damaged records are skipped and kept aside; the start never fails for them")
    }

    /// `fsync`: our words, or otelcol's truth values.
    private mutating func readSync(_ section: ConfigSection) {
        guard let text = section.string("fsync") else { return }
        switch text {
        case "true": options.sync = .group
        case "false": options.sync = .none
        default:
            if let policy = SyncPolicy(rawValue: text) {
                options.sync = policy
            } else {
                section.error("fsync", "must be group, always or none, not \"\(text)\"")
            }
        }
    }
}

final class FileStorageExtension: StorageExtension {
    private let settings: FileStorageSettings
    private let logger: Logger
    /// What names of logs begin with.
    private static let owners = ["exporter_", "processor_"]
    private let names = Mutex<Set<String>>([])

    init(_ settings: FileStorageSettings, logger: Logger) {
        self.settings = settings
        self.logger = logger
    }

    func log(named name: String, dropsOldest: Bool) -> AppendLog {
        names.withLock { _ = $0.insert(name) }
        var options = settings.options
        options.dropsOldest = dropsOldest
        return AppendLog(directory: settings.directory + "/" + name, options: options)
    }

    func start() throws {
        let files = PosixFileSystem()
        if settings.createsDirectory { try createDirectory(files) }
        // Fails with the reason when it is not there or not readable.
        let found = try files.list(settings.directory)
        let known = names.withLock { $0 }
        for name in found.sorted() where !known.contains(name) && Self.owners.contains(where: name.hasPrefix) {
            logger.warning(
                "the storage holds data that no component of this configuration takes; see martlet queue",
                metadata: ["directory": "\(settings.directory)/\(name)"])
        }
    }

    /// Makes the directory and those above it.
    private func createDirectory(_ files: PosixFileSystem) throws(StorageError) {
        var path = settings.directory.hasPrefix("/") ? "" : "."
        for part in settings.directory.split(separator: "/") {
            path += "/" + part
            try files.makeDirectory(path, permissions: settings.permissions)
        }
    }

    func stop() async {}
}
