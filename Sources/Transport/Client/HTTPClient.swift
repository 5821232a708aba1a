internal import CCurl
internal import Glibc
internal import Synchronization

/// Sends requests from one thread of its own, over connections that libcurl makes; the first client loads it. What is
/// said over HTTP/1.1 is libcurl's, over HTTP/2 our own.
///
/// Connections are kept and reused, redirects are not followed, answers are not decompressed. Every method may be
/// called from any thread. Letting go of the last reference shuts the client down.
package final class HTTPClient: Sendable {
    private let core: HTTPClientCore
    private let thread: Mutex<pthread_t?>

    /// Starts the thread.
    /// - Throws: `.invalidSettings` for settings that contradict each other or name unreadable files, `.unavailable`
    ///   when libcurl cannot be loaded, `.failed` when memory or a thread is refused.
    package init(_ settings: HTTPClientSettings = HTTPClientSettings()) throws(HTTPClientError) {
        if let problem = settings.problem ?? settings.tls.problem.map({ "tls::\($0.option) \($0.text)" }) {
            throw HTTPClientError(.invalidSettings, origin: "", detail: problem)
        }
        core = try HTTPClientCore(settings)
        // The thread owns this reference.
        let context = Unmanaged.passRetained(core)
        var started = pthread_t()
        let code = pthread_create(&started, nil, runClientThread, context.toOpaque())
        guard code == 0 else {
            context.release()
            throw HTTPClientError(.failed, origin: "", detail: "no thread: \(errnoText(code))")
        }
        thread = Mutex(started)
    }

    deinit { shutdown() }

    /// Sends a request. `completion` is called exactly once: on the client's thread, or, when the client takes no
    /// more requests (`.shutdown`, `.overloaded`), at once on the caller's. It must not block; it may call `send`.
    package func send(
        _ request: HTTPClientRequest,
        completion: @escaping @Sendable (Result<HTTPClientResponse, HTTPClientError>) -> Void
    ) {
        core.submit(request, completion)
    }

    /// Completes all requests that are under way with `.shutdown`, then waits for the thread to end. Called from a
    /// completion it does not wait. A second call does nothing.
    package func shutdown() {
        core.stop()
        guard let running = thread.withLock({ $0.take() }) else { return }
        if pthread_equal(running, pthread_self()) != 0 {
            pthread_detach(running)
        } else {
            pthread_join(running, nil)
        }
    }
}

extension HTTPClientSettings {
    /// What is wrong with these settings, or nil.
    var problem: String? {
        for (name, size, range) in [
            ("write_buffer_size", uploadBufferBytes, Self.uploadBufferRange),
            ("read_buffer_size", receiveBufferBytes, Self.receiveBufferRange),
        ] where !range.contains(size) {
            return "\(name) \(size) is out of range: use \(range.lowerBound) to \(range.upperBound) bytes"
        }
        if maxInFlight < 1 { return "max in flight \(maxInFlight) is below 1" }
        if maxIdleConnections < 0 || maxConnectionsPerHost < 0 { return "a number of connections is negative" }
        if idleConnectionTimeout < .zero { return "idle_conn_timeout is negative" }
        return nil
    }
}

/// A request with what belongs to it.
struct HTTPSubmission: Sendable {
    let request: HTTPClientRequest
    let completion: @Sendable (Result<HTTPClientResponse, HTTPClientError>) -> Void
    /// On the monotonic clock, nanoseconds.
    let deadline: UInt64
}

/// What the client's thread shares with its callers.
final class HTTPClientCore: @unchecked Sendable {
    // Sendable is unchecked because of `multi`: callers only wake it, which libcurl allows from any thread; the rest is
    // for the client's thread, and the clean-up for the last owner.

    private struct Inbox {
        var waiting: [HTTPSubmission] = []
        /// Accepted and not completed.
        var inFlight = 0
        var stopping = false
    }

    let settings: HTTPClientSettings
    let multi: UnsafeMutableRawPointer
    private let inbox = Mutex(Inbox())

    init(_ settings: HTTPClientSettings) throws(HTTPClientError) {
        if let problem = martlet_curl_load() {
            throw HTTPClientError(.unavailable, origin: "", detail: String(cString: problem))
        }
        guard let multi = martlet_curl_multi_init() else {
            throw HTTPClientError(.failed, origin: "", detail: "libcurl has no memory")
        }
        self.settings = settings
        self.multi = multi
        let idle = settings.maxIdleConnections == 0 ? Int(Int32.max) : settings.maxIdleConnections
        martlet_curl_multi_setopt_long(multi, CURLMOPT_MAXCONNECTS, idle)
        martlet_curl_multi_setopt_long(multi, CURLMOPT_MAX_HOST_CONNECTIONS, settings.maxConnectionsPerHost)
    }

    deinit { martlet_curl_multi_cleanup(multi) }

    func submit(
        _ request: HTTPClientRequest,
        _ completion: @escaping @Sendable (Result<HTTPClientResponse, HTTPClientError>) -> Void
    ) {
        let deadline = monotonicNanoseconds().addingSaturated(request.timeout)
        let submission = HTTPSubmission(request: request, completion: completion, deadline: deadline)
        let (refusal, wake) = inbox.withLock { inbox -> (HTTPClientError.Code?, Bool) in
            if inbox.stopping { return (.shutdown, false) }
            if inbox.inFlight >= settings.maxInFlight { return (.overloaded, false) }
            inbox.inFlight += 1
            inbox.waiting.append(submission)
            return (nil, inbox.waiting.count == 1)
        }
        if let refusal {
            let origin = HTTPTarget(request.url)?.origin ?? ""
            completion(.failure(HTTPClientError(refusal, origin: origin)))
        } else if wake {
            martlet_curl_multi_wakeup(multi)
        }
    }

    func stop() {
        inbox.withLock { $0.stopping = true }
        martlet_curl_multi_wakeup(multi)
    }

    /// What has come in since the last call. After `stopping` nothing comes in any more.
    func takeWaiting() -> (submissions: [HTTPSubmission], stopping: Bool) {
        inbox.withLock { inbox in
            let taken = inbox.waiting
            inbox.waiting = []
            return (taken, inbox.stopping)
        }
    }

    func completed() { inbox.withLock { $0.inFlight -= 1 } }
}

/// Nanoseconds on the clock that never jumps.
func monotonicNanoseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
}

extension UInt64 {
    /// `self` and a duration as nanoseconds; `.max` for one of a century or more.
    func addingSaturated(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        guard seconds >= 0, attoseconds >= 0 else { return self }
        // Beyond a century the sum is as good as never.
        guard seconds < 3_155_760_000 else { return .max }
        return self + UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds) / 1_000_000_000
    }
}

/// The thread's body: gets the core that `HTTPClient.init` retained for it.
private func runClientThread(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    // Signals are for the main thread; a broken TLS connection must not raise SIGPIPE here either.
    var all = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_BLOCK, &all, nil)
    nameThread("http-client")
    let core = Unmanaged<HTTPClientCore>.fromOpaque(context).takeRetainedValue()
    switch core.settings.version {
    case .http1:
        var loop = HTTPClientLoop(core)
        loop.run()
    case .http2:
        var loop = HTTP2ClientLoop(core)
        loop.run()
    }
    return nil
}

/// The calling thread's name for `ps` and `perf`, 15 bytes at most. The C library's call is hidden from Swift.
private func nameThread(_ name: StaticString) {
    let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { return }
    _ = write(file, name.utf8Start, name.utf8CodeUnitCount)
    close(file)
}
