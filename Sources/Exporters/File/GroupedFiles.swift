internal import Logging
internal import OTLP
internal import Pipeline

/// The open files of an exporter that groups. One owner; not thread-safe.
struct GroupedFiles {
    /// Names of files known to end with a whole message that are remembered; beyond that, files are checked again
    /// when they are opened.
    static let maximumKnownFiles = 10_000

    private struct Entry {
        let file: RecordFile
        var lastUse: UInt64
    }

    let pattern: GroupPath
    let attribute: String
    private let maximumOpenFiles: Int
    private let settings: FileExporterSettings
    private let system: FileSystemCalls
    private let logger: Logger
    private var entries: [String: Entry] = [:]
    private var known: Set<String> = []
    private var uses: UInt64 = 0

    /// Nil when the settings do not group.
    init?(_ settings: FileExporterSettings, system: FileSystemCalls, logger: Logger) {
        guard let grouping = settings.grouping, let pattern = GroupPath(pattern: settings.path) else { return nil }
        self.pattern = pattern
        self.settings = settings
        self.system = system
        self.logger = logger
        attribute = grouping.attribute
        maximumOpenFiles = grouping.maximumOpenFiles
    }

    /// Makes the directory that all files lie in or below, so that what is wrong with it shows at start.
    func start() throws(FileError) {
        try makeDirectories(pattern.directory, mode: settings.directoryPermissions, shown: settings.path)
    }

    /// The open file of that name. Another one may be closed for it.
    mutating func file(at path: String) throws(FileError) -> RecordFile {
        uses += 1
        if let file = entries[path]?.file {
            entries[path]?.lastUse = uses
            return file
        }
        if entries.count >= maximumOpenFiles, let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse }) {
            oldest.value.file.close()
            entries[oldest.key] = nil
        }
        try makeDirectories(directory(of: path), mode: settings.directoryPermissions, shown: settings.path)
        let file = RecordFile(
            path: path, shown: settings.path, framing: settings.framing, rotation: nil, system: system, logger: logger)
        try file.open(emptying: false, checked: known.contains(path))
        if known.count >= Self.maximumKnownFiles { known.removeAll(keepingCapacity: true) }
        known.insert(path)
        entries[path] = Entry(file: file, lastUse: uses)
        return file
    }

    mutating func close() {
        for entry in entries.values { entry.file.close() }
        entries = [:]
    }
}
