import Glibc
import OTLP
import Pipeline
import Testing

@testable import Delivery

@Suite struct DeadLetterTests {
    @Test func permanentFailuresAreSetAside() throws {
        var harness = Harness {
            $0.deadLetter = DeadLetterSettings(directory: "/nowhere")
            $0.queue.waitsForResult = true
        }
        try harness.enqueue(1..<4, token: 1)
        harness.complete(0, .permanent("bad"))
        #expect(harness.settingAside.map(\.cause) == [.permanent])
        // Held until it is written.
        #expect(harness.machine.status.queueSize == 1)
        #expect(harness.settled[1] == nil)
        harness.completeSetAside()
        #expect(harness.events.last == .setAside(items: 3))
        #expect(harness.refusal(1) == .refused)
        #expect(harness.machine.status.queueSize == 0)
    }

    @Test func whatTheFileDoesNotTakeIsLost() throws {
        var harness = Harness { $0.deadLetter = DeadLetterSettings(directory: "/nowhere") }
        try harness.enqueue(1..<4, token: 1)
        harness.drain(.seconds(5))
        harness.complete(0, .permanent("bad"))
        #expect(harness.reports.isEmpty)
        harness.completeSetAside(failure: "full")
        #expect(harness.events.last == .setAsideFailed(items: 3, reason: "full"))
        #expect(harness.reports.map(\.lost) == [[.permanent: 3]])
    }

    @Test(arguments: [true, false])
    func exhaustedRetriesAreSetAsideUnlessTheSenderHasTheData(waits: Bool) throws {
        var harness = Harness {
            $0.deadLetter = DeadLetterSettings(directory: "/nowhere")
            $0.retry.isEnabled = false
            $0.queue.waitsForResult = waits
        }
        try harness.enqueue(1..<2, token: 1)
        harness.complete(0, .retryable("down", after: nil))
        #expect(harness.settingAside.count == (waits ? 0 : 1))
        #expect(harness.refusal(1) == (waits ? .unavailable : nil))
    }

    @Test func aDrainWaitsForTheDeadLettersUntilItsDeadline() throws {
        var harness = Harness { $0.deadLetter = DeadLetterSettings(directory: "/nowhere") }
        try harness.enqueue(1..<2, token: 1)
        try harness.enqueue(2..<4, token: 2)
        harness.complete(0, .permanent("bad"))
        harness.complete(0, .permanent("bad"))
        harness.drain(.seconds(5))
        harness.completeSetAside()
        #expect(harness.reports.isEmpty)
        harness.advance(.seconds(5))
        #expect(harness.reports.map(\.setAside) == [1])
        #expect(harness.reports.map(\.lost) == [[.interrupted: 2]])
    }

    // MARK: The file

    private func withDirectory(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/dead-letters-XXXXXX".utf8CString)
        let directory = try #require(mkdtemp(&template).map { String(cString: $0) })
        defer {
            for name in ["exporter_traces.jsonl"] { unlink(directory + "/" + name) }
            rmdir(directory)
        }
        try body(directory)
    }

    private func read(_ path: String) throws -> [UInt8] {
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        var content = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&content, 1, content.count, file)
        return Array(content.prefix(count))
    }

    @Test func aLineHoldsTheRequest() throws {
        try withDirectory { directory in
            let file = DeadLetterFile(DeadLetterSettings(directory: directory), exporter: "exporter", signal: .traces)
            try file.open()
            let batch = try Samples.spans(1..<3)
            let request = ExportRequest(signal: .traces, slices: [BatchSlice(batch)], timeout: .seconds(1))
            try file.append(request, cause: .permanent, reason: "said \"no\"\n")
            try file.append(request, cause: .exhausted, reason: "")
            file.close()
            file.close()
            let path = directory + "/exporter_traces.jsonl"
            let lines = try read(path).split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
            #expect(lines.count == 2)
            let line = try #require(lines.first)
            var expected = WireWriter()
            Base64.encode(batch.bytes.buffer, into: &expected)
            let base64 = String(decoding: expected.bytes, as: UTF8.self)
            #expect(line.hasPrefix("{\"time\":\"20"))
            let tail =
                "\"exporter\":\"exporter\",\"signal\":\"traces\",\"items\":2,\"cause\":\"permanent\","
                + "\"reason\":\"said \\\"no\\\"\\n\",\"request\":\"\(base64)\"}"
            #expect(line.hasSuffix(tail))
            var status = stat()
            #expect(stat(path, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
        }
    }

    @Test func theFileIsBoundedAlsoAfterARestart() throws {
        try withDirectory { directory in
            let settings = DeadLetterSettings(directory: directory, maximumBytes: 700)
            let path = directory + "/exporter_traces.jsonl"
            let batch = try Samples.spans(1..<3)
            let request = ExportRequest(signal: .traces, slices: [BatchSlice(batch)], timeout: .seconds(1))
            var appended = 0
            for _ in 0..<2 {
                let file = DeadLetterFile(settings, exporter: "exporter", signal: .traces)
                try file.open()
                do throws(DeadLetterError) {
                    for _ in 0..<100 {
                        try file.append(request, cause: .permanent, reason: "no")
                        appended += 1
                    }
                } catch {
                    #expect(error == .full(path: path, maximumBytes: 700))
                }
                file.close()
            }
            let size = try read(path).count
            #expect(appended > 0 && size <= 700 && size / appended > 100)
            let large = ExportRequest(
                signal: .traces, slices: [BatchSlice(try Samples.spans(1..<100))], timeout: .seconds(1))
            let file = DeadLetterFile(settings, exporter: "exporter", signal: .traces)
            #expect(throws: DeadLetterError.full(path: path, maximumBytes: 700)) {
                try file.append(large, cause: .permanent, reason: "")
            }
            #expect(throws: DeadLetterError.notOpen) {
                try file.append(request, cause: .permanent, reason: "")
            }
        }
    }

    @Test func aDirectoryThatIsNotThereIsAnError() {
        let file = DeadLetterFile(DeadLetterSettings(directory: "/no/where/"), exporter: "x", signal: .traces)
        #expect(throws: DeadLetterError.cannotOpen(path: "/no/where/x_traces.jsonl", errno: ENOENT)) {
            try file.open()
        }
    }

    @Test func fileNamesAreSafe() {
        #expect(DeadLetterFile.fileName(exporter: "otlphttp/eu", signal: .logs) == "otlphttp_eu_logs.jsonl")
        #expect(DeadLetterFile.fileName(exporter: "../ö 1", signal: .traces) == "..___1_traces.jsonl")
    }

    @Test func base64FollowsTheStandard() {
        let known = [
            "": "", "f": "Zg==", "fo": "Zm8=", "foo": "Zm9v", "foob": "Zm9vYg==", "fooba": "Zm9vYmE=",
            "foobar": "Zm9vYmFy", "\u{7FF}?>": "378/Pg==",
        ]
        for (text, expected) in known {
            var writer = WireWriter()
            Array(text.utf8).withUnsafeBytes { Base64.encode($0, into: &writer) }
            #expect(String(decoding: writer.bytes, as: UTF8.self) == expected)
        }
    }
}
