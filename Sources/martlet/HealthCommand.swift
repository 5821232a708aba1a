import Config
import Dispatch
import Synchronization
import Transport

/// `martlet health`: asks a running collector whether it takes data; for container health checks.
enum HealthCommand {
    static let command = Command(
        name: "health", abstract: "Asks a collector's health_check. Exit code 0 when it is ready.",
        options: [
            CommandOption(
                name: "endpoint", value: "host:port",
                help: "Address of the health_check extension. Default: \(defaultEndpoint)"),
            CommandOption(name: "path", value: "path", help: "Path that it serves. Default: /"),
        ],
        run: { try ask($0.text("endpoint") ?? defaultEndpoint, $0.text("path") ?? "/") })

    private static let defaultEndpoint = "127.0.0.1:13133"

    private static func ask(_ endpoint: String, _ path: String) throws {
        let client = try HTTPClient()
        defer { client.shutdown() }
        let done = DispatchSemaphore(value: 0)
        let answer = Mutex<String>("")
        let request = HTTPClientRequest(url: "http://\(endpoint)\(path)", method: .get, timeout: .seconds(3))
        client.send(request) { result in
            answer.withLock {
                switch result {
                case .success(let response):
                    $0 = response.status == 200 ? "" : "not ready: HTTP \(response.status)"
                case .failure(let error): $0 = error.description
                }
            }
            done.signal()
        }
        done.wait()
        let problem = answer.withLock { $0 }
        guard problem.isEmpty else {
            writeError("error: \(problem)")
            throw ExitCode.failure
        }
    }
}
