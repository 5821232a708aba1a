import Config
import Dispatch
import OTLP
import Storage
import Synchronization
import Transport

/// `martlet queue drain`: sends what a queue holds to another place.
enum QueueDrainCommand {
    static let command = Command(
        name: "drain", abstract: "Sends what a queue holds to an OTLP/HTTP endpoint, in order, and removes it.",
        discussion: """
            The collector that uses the queue must be stopped. Ends with exit code 1 at the first request that the endpoint
            does not take; that one and those after it stay in the queue.
            """,
        arguments: [CommandArgument(name: "queue", help: "The queue's directory.")],
        options: [
            CommandOption(
                name: "endpoint", value: "url",
                help: "Base URL, such as http://127.0.0.1:4318; /v1/<signal> is appended. Required."),
            CommandOption(name: "header", value: "name=value", help: "A field of every request; may be repeated."),
            CommandOption(name: "timeout", value: "duration", help: "Of one request. Default: 30s"),
        ], run: { try drain($0) })

    private static let defaultTimeout = "30s"

    private static func drain(_ parsed: ParsedArguments) throws {
        guard var base = parsed.text("endpoint") else { throw UsageError("--endpoint is missing") }
        while base.hasSuffix("/") { base.removeLast() }
        guard let timeout = try? DurationText.parse(parsed.text("timeout") ?? defaultTimeout), timeout > .zero else {
            throw UsageError("--timeout must be a duration such as 30s")
        }
        var headers = [(name: "Content-Type", value: "application/x-protobuf"), (name: "User-Agent", value: "martlet")]
        for text in parsed.texts("header") {
            guard let sign = text.firstIndex(of: "="), sign > text.startIndex else {
                throw UsageError("--header must be name=value")
            }
            headers.append((String(text[..<sign]), String(text[text.index(after: sign)...])))
        }
        let client = try HTTPClient()
        defer { client.shutdown() }
        var requests = 0
        defer { writeError("\(requests) requests sent") }
        try QueueCommand.forEachRecord(of: parsed.argument("queue")) { record, signal in
            let url = "\(base)/v1/\(signal.rawValue)"
            let body = HTTPRequestBody(gathering: [QueueCommand.payload(of: record)], owner: record.bytes)
            let request = HTTPClientRequest(url: url, headers: headers, body: body, timeout: timeout)
            if let problem = send(request, client) {
                writeError("error: request \(record.sequence): \(problem)")
                throw ExitCode.failure
            }
            requests += 1
            return true
        }
    }

    /// What went wrong, or nil.
    private static func send(_ request: HTTPClientRequest, _ client: HTTPClient) -> String? {
        let done = DispatchSemaphore(value: 0)
        let answer = Mutex<String?>(nil)
        client.send(request) { result in
            answer.withLock {
                switch result {
                case .success(let response):
                    $0 = (200..<300).contains(response.status) ? nil : "the endpoint answered HTTP \(response.status)"
                case .failure(let error): $0 = error.description
                }
            }
            done.signal()
        }
        done.wait()
        return answer.withLock { $0 }
    }
}
