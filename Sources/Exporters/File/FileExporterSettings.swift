internal import Compression
internal import Config

/// What a `file` exporter's section sets. Keys and defaults are otelcol's.
package struct FileExporterSettings: Sendable, Equatable {
    /// The output file; with `groupBy`, a pattern with one `*`. Key `path`.
    package var path: String
    /// Key `format`.
    package var format = Format.json
    /// Level of zstd for each message; nil writes them as they are. Keys `compression`, `compression_params::level`.
    package var compressionLevel: Int?
    /// Goes on behind what the file holds instead of emptying it at start. Key `append`.
    package var append = false
    /// Nil writes one file without bound. Key `rotation`.
    package var rotation: FileRotation?
    /// Makes the directories that `path` names. Key `create_directory`.
    package var createDirectory = false
    /// Mode of directories that are made, before the umask. Key `directory_permissions`.
    package var directoryPermissions: UInt32 = 0o755
    /// Nil writes everything to `path`. Key `group_by`.
    package var grouping: FileGrouping?

    /// How messages are encoded.
    package enum Format: String, Sendable, CaseIterable {
        case json
        case proto
    }

    /// - Parameter path: not empty.
    package init(path: String) { self.path = path }

    /// How messages are told apart in the file.
    var framing: RecordFraming { format == .json && compressionLevel == nil ? .lines : .lengthPrefixed }
}

/// When a file is closed and a new one begun. Key `rotation`.
package struct FileRotation: Sendable, Equatable {
    /// A file takes no message that makes it larger than this; a message that is larger by itself has its own file.
    /// In bytes. Key `max_megabytes`, in MiB.
    package var maximumBytes = 100 << 20
    /// Rotated files older than this many days are deleted; 0 keeps them. Key `max_days`.
    package var maximumDays = 0
    /// Rotated files that are kept, the newest; 0 keeps all. Key `max_backups`.
    package var maximumBackups = 100
    /// Local time, not UTC, in the names of rotated files. Key `localtime`.
    package var usesLocalTime = false

    package init() {}
}

/// One file for each value of a resource attribute. Key `group_by`.
package struct FileGrouping: Sendable, Equatable {
    /// The attribute whose value takes the place of `*` in `path`. Key `resource_attribute`.
    package var attribute = "fileexporter.path_segment"
    /// Files that are open at once; the one that was used longest ago is closed first. Key `max_open_files`.
    package var maximumOpenFiles = 100

    package init() {}
}

extension FileExporterSettings {
    private static let largestMegabytes = 1 << 20
    private static let largestDays = 36_500
    private static let largestBackups = 100_000
    private static let largestOpenFiles = 10_000

    /// Reads the section; faults are recorded in it.
    init(from section: ConfigSection) {
        section.require("path")
        self.init(path: section.nonEmptyString("path") ?? "")
        if path.utf8.contains(0) { section.error("path", "must not hold a zero byte") }
        format = section.choice("format", as: Format.self) ?? .json
        section.refuse("encoding", because: "there are no encoding extensions; use \"format\"")
        section.refuse("sending_queue", because: "a batch is acknowledged when it is written; leave it out")
        section.refuse("retry_on_failure", because: "what cannot be written goes back to its sender; leave it out")
        append = section.bool("append") ?? false
        createDirectory = section.bool("create_directory") ?? false
        directoryPermissions = Self.permissions(section) ?? directoryPermissions
        compressionLevel = Self.compressionLevel(section)
        rotation = Self.rotation(section)
        grouping = Self.grouping(section, path: path)
        readFlushInterval(section)
        if rotation != nil {
            if append { section.error("append", "cannot be combined with \"rotation\", which always appends") }
            if grouping != nil { section.error("rotation", "cannot be combined with \"group_by\"") }
        }
    }

    private func readFlushInterval(_ section: ConfigSection) {
        let shortest = Duration.nanoseconds(1)
        guard section.duration("flush_interval", in: shortest ... .nanoseconds(Int64.max)) != nil else { return }
        section.warn("flush_interval", "has no effect: every message is written before it is acknowledged")
    }

    private static func permissions(_ section: ConfigSection) -> UInt32? {
        guard let text = section.nonEmptyString("directory_permissions") else { return nil }
        if text.utf8.allSatisfy({ (0x30...0x37).contains($0) }), let mode = UInt32(text, radix: 8), mode <= 0o777 {
            return mode
        }
        section.error("directory_permissions", "must be an octal mode in quotes, such as \"0755\"")
        return nil
    }

    private static func compressionLevel(_ section: ConfigSection) -> Int? {
        let name = section.choice("compression", ["", "zstd"]) ?? ""
        let levels = ContentEncoding.zstd.levels
        let parameters = section.section("compression_params")
        let level = parameters.integer("level", in: levels)
        if name == "zstd" { return level ?? ZstdEncoder.defaultLevel }
        if level != nil { parameters.error("level", "needs \"compression\"") }
        return nil
    }

    private static func rotation(_ section: ConfigSection) -> FileRotation? {
        guard let inner = section.optionalSection("rotation") else { return nil }
        var rotation = FileRotation()
        if let megabytes = inner.integer("max_megabytes", in: 1...largestMegabytes) {
            rotation.maximumBytes = megabytes << 20
        }
        rotation.maximumDays = inner.integer("max_days", in: 0...largestDays) ?? rotation.maximumDays
        rotation.maximumBackups = inner.integer("max_backups", in: 0...largestBackups) ?? rotation.maximumBackups
        rotation.usesLocalTime = inner.bool("localtime") ?? false
        return rotation
    }

    private static func grouping(_ section: ConfigSection, path: String) -> FileGrouping? {
        let inner = section.section("group_by")
        var grouping = FileGrouping()
        let isEnabled = inner.bool("enabled") ?? false
        grouping.attribute = inner.nonEmptyString("resource_attribute") ?? grouping.attribute
        grouping.maximumOpenFiles =
            inner.integer("max_open_files", in: 1...largestOpenFiles) ?? grouping.maximumOpenFiles
        guard isEnabled else { return nil }
        if GroupPath(pattern: path) == nil, !path.isEmpty {
            section.error("path", "must hold one \"*\", and not begin with it, when \"group_by\" is enabled")
        }
        return grouping
    }
}
