import CSegments
import Config
import Dispatch
import Glibc
import Logging
import Service

/// `martlet run`: the collector, until a signal ends it.
struct RunCommand {
    static let command = Command(
        name: "run",
        abstract: "Runs the collector. Without --config: OTLP/HTTP on 127.0.0.1:4318, to a file and the terminal.",
        options: ConfigOptions.options + [
            CommandOption(
                name: "shutdown-timeout", value: "duration",
                help: "Longest time for a graceful stop. Default: \(defaultShutdownTimeout)")
        ],
        run: {
            try RunCommand(
                source: ConfigOptions($0), shutdownTimeout: $0.text("shutdown-timeout") ?? defaultShutdownTimeout
            ).run()
        })

    private static let defaultShutdownTimeout = "30s"

    let source: ConfigOptions
    let shutdownTimeout: String

    func run() throws {
        let started = ContinuousClock.now
        let signals = SignalWaiter()
        raiseFileLimit()
        let plan = try source.plan()
        guard let timeout = try? DurationText.parse(shutdownTimeout) else {
            throw UsageError("--shutdown-timeout must be a duration such as 30s, not \"\(shutdownTimeout)\"")
        }
        let collector: Collector
        do {
            collector = try Collector(plan, started: started)
        } catch {
            writeError("error: \(error)")
            throw ExitCode.failure
        }
        do {
            try collector.start()
        } catch {
            collector.logger.critical("cannot start", metadata: ["error": "\(error)"])
            stop(collector, .zero)
            throw ExitCode.failure
        }
        // Two thirds of the idle memory are pages of code that only the start runs through.
        martlet_drop_code_pages()
        waitForEnd(signals, collector)
        signals.exitAtNextSignal()
        stop(collector, timeout)
    }

    /// Raises the soft limit of open files to the hard one: every connection is a file, and at the limit no more are
    /// accepted. When the system refuses, the limit stays as it is.
    private func raiseFileLimit() {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(resource, &limit)
    }

    /// Returns at a signal to end; at SIGHUP, or when the admin side asks, the configuration is read again.
    private func waitForEnd(_ signals: SignalWaiter, _ collector: Collector) {
        let source = source
        collector.onReloadRequest { () async throws(ReloadFailure) -> [String] in
            try await collector.reload(cause: "reload request") { () throws(ReloadFailure) in try source.planAgain() }
        }
        while signals.next() == SIGHUP {
            let done = DispatchSemaphore(value: 0)
            Task {
                // The log says how it went.
                _ = try? await collector.reload(cause: "SIGHUP") { () throws(ReloadFailure) in try source.planAgain() }
                done.signal()
            }
            done.wait()
        }
    }

    private func stop(_ collector: Collector, _ timeout: Duration) {
        let done = DispatchSemaphore(value: 0)
        Task {
            await collector.stop(timeout: timeout)
            done.signal()
        }
        done.wait()
    }
}

/// Takes SIGTERM, SIGINT and SIGHUP as values. Make it before any thread: threads inherit the blocked signals.
struct SignalWaiter {
    private var set = sigset_t()

    init() {
        // A peer that goes away is an error of `write`, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        // So is a file that may not grow any more.
        signal(SIGXFSZ, SIG_IGN)
        sigemptyset(&set)
        for number in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&set, number) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Waits for the next signal and returns its number.
    func next() -> Int32 {
        var set = self.set
        var number: Int32 = 0
        sigwait(&set, &number)
        return number
    }

    /// From now on a further SIGTERM or SIGINT ends the process at once: somebody does not want to wait.
    func exitAtNextSignal() {
        for number in [SIGTERM, SIGINT] { signal(number, SIG_DFL) }
        signal(SIGHUP, SIG_IGN)
        var set = self.set
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
    }
}
