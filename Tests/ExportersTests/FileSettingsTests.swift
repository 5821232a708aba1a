import Delivery
import Testing

@testable import Exporters

@Suite struct FileSettingsTests {
    private func read(_ yaml: String) throws -> (settings: FileExporterSettings?, errors: String, warnings: String) {
        try decode(yaml, "exporters::file") { FileExporterFactory().settings(from: $0) }
    }

    @Test func defaultsAreOtelcols() throws {
        let settings = try #require(try read("path: /tmp/a.json").settings)
        #expect(settings.format == .json)
        #expect(settings.compressionLevel == nil)
        #expect(!settings.append)
        #expect(settings.rotation == nil)
        #expect(settings.grouping == nil)
        #expect(!settings.createDirectory)
        #expect(settings.directoryPermissions == 0o755)
        #expect(settings.framing == .lines)
        let rotation = try #require(try read("{path: a, rotation: }").settings?.rotation)
        #expect(rotation.maximumBytes == 104_857_600)
        #expect(rotation.maximumBackups == 100)
        #expect(rotation.maximumDays == 0)
        #expect(!rotation.usesLocalTime)
    }

    @Test func everyKeyIsRead() throws {
        let (settings, errors, _) = try read(
            """
            path: /data/x-*.bin
            format: proto
            compression: zstd
            compression_params: {level: 7}
            append: true
            create_directory: true
            directory_permissions: "0700"
            group_by: {enabled: true, resource_attribute: tenant, max_open_files: 5}
            """)
        #expect(errors == "")
        var expected = FileExporterSettings(path: "/data/x-*.bin")
        expected.format = .proto
        expected.compressionLevel = 7
        expected.append = true
        expected.createDirectory = true
        expected.directoryPermissions = 0o700
        expected.grouping = FileGrouping()
        expected.grouping?.attribute = "tenant"
        expected.grouping?.maximumOpenFiles = 5
        #expect(settings == expected)
        #expect(settings?.framing == .lengthPrefixed)
        let rotation = try read(
            "{path: a, rotation: {max_megabytes: 2, max_days: 3, max_backups: 4, localtime: true}}"
        ).settings?.rotation
        #expect(rotation?.maximumBytes == 2 << 20)
        #expect(rotation?.maximumDays == 3)
        #expect(rotation?.maximumBackups == 4)
        #expect(rotation?.usesLocalTime == true)
    }

    @Test(arguments: [
        ("format: json", #"a.yaml:1:1: exporters::file: "path" is missing"#),
        ("path: ''", "a.yaml:1:7: exporters::file::path: must not be empty"),
        (
            "path: a\nformat: jsn",
            #"a.yaml:2:9: exporters::file::format: must be "json" or "proto", not "jsn" (did you mean "json"?)"#
        ),
        (
            "path: a\nencoding: otlp_encoding",
            #"a.yaml:2:1: exporters::file: "encoding" is not supported: there are no encoding extensions; use "format""#
        ),
        (
            "path: a\nsending_queue: {}",
            #"a.yaml:2:1: exporters::file: "sending_queue" is not supported: "#
                + "a batch is acknowledged when it is written; leave it out"
        ),
        (
            "path: a\nappend: true\nrotation: {}",
            #"a.yaml:2:9: exporters::file::append: cannot be combined with "rotation", which always appends"#
        ),
        (
            "path: a*\nrotation: {}\ngroup_by: {enabled: true}",
            #"a.yaml:2:11: exporters::file::rotation: cannot be combined with "group_by""#
        ),
        (
            "path: a\ngroup_by: {enabled: true}",
            #"a.yaml:1:7: exporters::file::path: must hold one "*", and not begin with it, when "group_by" is enabled"#
        ),
        (
            "path: a\ncompression_params: {level: 3}",
            #"a.yaml:2:29: exporters::file::compression_params::level: needs "compression""#
        ),
        (
            "path: a\ncompression: zstd\ncompression_params: {level: 20}",
            "a.yaml:3:29: exporters::file::compression_params::level: must be from -7 to 19, not 20"
        ),
        (
            "path: a\nrotation: {max_megabytes: 0}",
            "a.yaml:2:27: exporters::file::rotation::max_megabytes: must be from 1 to 1048576, not 0"
        ),
        (
            "path: a\ndirectory_permissions: '0798'",
            #"a.yaml:2:24: exporters::file::directory_permissions: must be an octal mode in quotes, such as "0755""#
        ),
        (
            "path: a\nflush_interval: 0s",
            "a.yaml:2:17: exporters::file::flush_interval: must be at least 1ns, not 0s"
        ),
        (
            "path: a\nrotaton: {}",
            #"a.yaml:2:1: exporters::file: unknown key "rotaton" (did you mean "rotation"?)"#
        ),
    ])
    func faultsNameTheirPlace(yaml: String, expected: String) throws {
        let (settings, errors, _) = try read(yaml)
        #expect(settings == nil)
        #expect(errors == expected)
    }

    @Test func flushIntervalWarns() throws {
        let (settings, errors, warnings) = try read("path: a\nflush_interval: 5s")
        #expect(settings != nil)
        #expect(errors == "")
        #expect(
            warnings == "a.yaml:2:17: exporters::file::flush_interval: has no effect: "
                + "every message is written before it is acknowledged")
    }

    @Test func deliveryAcknowledgesWhatIsWritten() throws {
        let delivery = try #require(FileExporterFactory().delivery(for: FileExporterSettings(path: "a")))
        #expect(delivery.queue.acknowledgesOnDelivery)
        #expect(delivery.queue.consumers == 1)
        #expect(!delivery.retry.isEnabled)
    }
}
