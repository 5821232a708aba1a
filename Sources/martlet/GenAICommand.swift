import Config
import GenAI
import OTLP

/// `martlet genai`: what the collector makes of AI spans.
enum GenAICommand {
    static let command = Command(
        name: "genai", abstract: "Explains what is made of AI spans.", subcommands: [GenAIExplainCommand.command])
}

/// `martlet genai explain`: what a span was taken for, which rule fired, which price, and why.
enum GenAIExplainCommand {
    static let command = Command(
        name: "explain", abstract: "Says what spans were recognised as, by which rule, at which price, and why.",
        discussion: """
            The file holds OTLP JSON: a request, or one span of it, or a list of spans. Spans of one file are compared with
            each other, so that one call in two spans counts once.
            """,
        arguments: [CommandArgument(name: "file", help: "The JSON file; - is standard input.")],
        options: [PriceFilesOption.option, CommandOption(name: "json", help: "One JSON object a line, one a span.")],
        run: { try explain($0) })

    /// Bytes of the file, at most: 64 MiB.
    private static let maximumBytes = 64 << 20

    private static func explain(_ parsed: ParsedArguments) throws {
        let file = parsed.argument("file")
        let path = file == "-" ? "/dev/stdin" : file
        let bytes: [UInt8]
        do throws(ConfigReadError) {
            bytes = try ConfigInputs.process.readFile(path, maximumBytes)
        } catch {
            writeError("cannot read \(file): \(error)")
            throw ExitCode.failure
        }
        guard let batch = batch(of: bytes, file) else { throw ExitCode.failure }
        let book = try PriceFilesOption.book(parsed)
        let mapping = try GenAIMapping.builtIn()
        var report = CallReport()
        for resource in batch.resources {
            for record in batch.scopes[resource.scopes] {
                let scope = SpanScope(scopeSpans: batch.message(of: record), mapping: mapping)
                for item in batch.items[record.items] { report.add(batch.payload(of: item), scope, mapping, book) }
            }
        }
        report.finish()
        print(parsed.flag("json") ? report.json : report.text)
    }

    /// The request that the text is, or is a part of. Nil, with the reason printed, for any other text.
    private static func batch(of bytes: [UInt8], _ file: String) -> TelemetryBatch? {
        var text = bytes
        let first = bytes.first { $0 > 0x20 }
        let isRequest = contains(bytes, "\"resourceSpans\"") || contains(bytes, "\"resource_spans\"")
        if !isRequest {
            let isList = first == UInt8(ascii: "[")
            text = Array("{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":\(isList ? "" : "[")".utf8) + bytes
            text += Array("\(isList ? "" : "]")}]}]}".utf8)
        }
        var writer = WireWriter(limit: 4 * maximumBytes)
        do {
            try text.withUnsafeBytes { try OTLPJSONDecoder.decode($0, as: .traceRequest, into: &writer) }
            let batch = try TelemetryBatch(WireBytes(taking: &writer), signal: .traces)
            if batch.rejectedItems > 0 {
                writeError("\(batch.rejectedItems) spans are left out: their ids are invalid")
            }
            if batch.items.isEmpty, batch.rejectedItems == 0 { writeError("\(file) holds no span") }
            return batch.items.isEmpty ? nil : batch
        } catch {
            writeError("\(file) is no OTLP JSON: \(error)")
            return nil
        }
    }

    private static func contains(_ bytes: [UInt8], _ word: StaticString) -> Bool {
        let word = UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
        guard bytes.count >= word.count else { return false }
        return (0...(bytes.count - word.count)).contains {
            bytes[$0] == word[0] && bytes[$0..<$0 + word.count].elementsEqual(word)
        }
    }
}
