import ArgumentParser
import Config
import Dispatch
import Synchronization
import Transport

/// `martlet health`: asks a running collector whether it takes data; for container health checks.
struct HealthCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "health", abstract: "Asks a collector's health_check. Exit code 0 when it is ready.")

    @Option(name: .long, help: "Address of the health_check extension.")
    var endpoint = "127.0.0.1:13133"

    @Option(name: .long, help: "Path that it serves.")
    var path = "/"

    func run() throws {
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
            throw Exit.failure
        }
    }
}
