internal import CCurl
internal import Glibc

/// The work of a client's thread that sends over HTTP/2: libcurl connects, calls share the connections.
struct HTTP2ClientLoop: ~Copyable {
    /// How often a call is begun again after a peer gave it back or lost it.
    private static let mostResends = 2
    /// Longest sleep without anything to wait for, milliseconds; a submission wakes the thread.
    private static let idleMilliseconds: UInt64 = 60_000

    private let core: HTTPClientCore
    private var connections: [HTTP2ClientConnection] = []
    /// By origin, for clients that rotate.
    private var rotations: [String: AddressRotation] = [:]
    private var descriptors: [curl_waitfd] = []
    private let buffer: UnsafeMutableRawBufferPointer
    /// Unused connections are closed after as long, nanoseconds.
    private let idleNanoseconds: UInt64
    /// Nothing is due earlier; monotonic nanoseconds.
    private var nextDue = UInt64.max

    /// A call has been given to a connection in this turn.
    private var hasMoved = false

    init(_ core: HTTPClientCore) {
        self.core = core
        buffer = .allocate(byteCount: core.settings.receiveBufferBytes, alignment: 16)
        let idle = core.settings.idleConnectionTimeout
        idleNanoseconds = idle > .zero ? UInt64(0).addingSaturated(idle) : .max
    }

    deinit { buffer.deallocate() }

    /// Until `core.stop()`.
    mutating func run() {
        while true {
            let (arrived, stopping) = core.takeWaiting()
            if stopping { return cancelAll(arrived) }
            let now = monotonicNanoseconds()
            for submission in arrived { start(submission, now) }
            hasMoved = false
            connect(now)
            exchange(now)
            if now >= nextDue { sweep(now) }
            if !hasMoved { wait() }
        }
    }

    private mutating func start(_ submission: HTTPSubmission, _ now: UInt64) {
        do throws(HTTPClientError) {
            let call = try HTTP2ClientCall(submission, core.settings)
            nextDue = min(nextDue, submission.deadline)
            dispatch(call, now)
        } catch {
            complete(submission, .failure(error))
        }
    }

    /// Gives a call to a connection, which is made if there is none.
    private mutating func dispatch(_ call: HTTP2ClientCall, _ now: UInt64) {
        hasMoved = true
        var address: String?
        if core.settings.rotatesAddresses, call.isDirect {
            address = rotation(call.origin).next(now: now, except: call.failedAddresses)
        }
        let known = connections.first {
            $0.takesCalls && $0.destination == call.destination
                // One that is being made may come to have the address.
                && ($0.address == address || $0.address == nil && !$0.isOpen && call.failedAddresses.isEmpty)
        }
        if let known { return known.append(call) }
        do throws(HTTPClientError) {
            let socket = try HTTP2ClientSocket(
                call.submission.request.url, core.settings, address: address, isDirect: call.isDirect,
                multi: core.multi)
            let made = HTTP2ClientConnection(
                for: call, core.settings, address: address, socket: socket, now: now)
            made.append(call)
            connections.append(made)
            nextDue = min(nextDue, now.addingReportingOverflow(idleNanoseconds).overflow ? .max : now + idleNanoseconds)
        } catch {
            complete(call.submission, .failure(error))
        }
    }

    private mutating func rotation(_ origin: String) -> AddressRotation {
        if let known = rotations[origin] { return known }
        let made = AddressRotation(origin)
        rotations[origin] = made
        return made
    }

    /// Lets libcurl connect.
    private mutating func connect(_ now: UInt64) {
        guard connections.contains(where: { !$0.isOpen }) else { return }
        var running: Int32 = 0
        martlet_curl_multi_perform(core.multi, &running)
        var left: Int32 = 0
        while let message = martlet_curl_multi_info_read(core.multi, &left) {
            guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle,
                let connection = connections.first(where: { $0.socket.easy == easy })
            else { continue }
            do throws(HTTPClientError) {
                try connection.socket.opened(message.pointee.data.result)
                if let address = connection.address { rotations[connection.origin]?.connected(address) }
                connection.opened(now, rotatesAddresses: core.settings.rotatesAddresses)
            } catch {
                failOver(connection, error, now)
            }
        }
    }

    /// A connection that never came to be: its calls take another address, or fail.
    private mutating func failOver(_ connection: HTTP2ClientConnection, _ error: HTTPClientError, _ now: UInt64) {
        connections.removeAll { $0 === connection }
        let calls = connection.takeWaiting()
        guard let address = connection.address, error.code == .connect || error.code == .reset else {
            for call in calls { complete(call.submission, .failure(error)) }
            return
        }
        let rotation = rotation(connection.origin)
        rotation.failed(address, now: now)
        for call in calls {
            call.failedAddresses.append(address)
            if rotation.next(now: now, except: call.failedAddresses) == nil {
                complete(call.submission, .failure(error))
            } else {
                dispatch(call, now)
            }
        }
    }

    /// Moves bytes in both directions, and completes what is through.
    private mutating func exchange(_ now: UInt64) {
        for connection in connections where connection.isOpen {
            do throws(HTTP2ClientEnding) {
                try connection.receive(buffer, now)
                guard connection.send(now) else {
                    throw HTTP2ClientEnding(code: .reset, detail: "the connection is broken")
                }
                settle(connection, now)
            } catch {
                end(connection, error, now)
            }
        }
        close { !$0.takesCalls && $0.isUnused }
    }

    /// Acts on what became of calls.
    private mutating func settle(_ connection: HTTP2ClientConnection, _ now: UInt64) {
        for outcome in connection.session.takeOutcomes() {
            switch outcome {
            case .answered(let call, let response): complete(call.submission, .success(response))
            case .failed(let call, let error, let mayResend): retry(call, error, mayResend: mayResend, now)
            }
        }
        guard !connection.takesCalls else { return }
        for call in connection.takeWaiting() { retry(call, Self.lost(call), mayResend: true, now) }
    }

    private static func lost(_ call: HTTP2ClientCall) -> HTTPClientError {
        HTTPClientError(.reset, origin: call.origin, detail: "the server takes no calls")
    }

    private mutating func retry(_ call: HTTP2ClientCall, _ error: HTTPClientError, mayResend: Bool, _ now: UInt64) {
        guard mayResend, call.resends < Self.mostResends else { return complete(call.submission, .failure(error)) }
        call.resends += 1
        dispatch(call, now)
    }

    /// A connection has ended.
    private mutating func end(_ connection: HTTP2ClientConnection, _ ending: HTTP2ClientEnding, _ now: UInt64) {
        guard connection.isReady else {
            let error = HTTPClientError(ending.code, origin: connection.origin, detail: ending.detail)
            return failOver(connection, error, now)
        }
        connections.removeAll { $0 === connection }
        connection.session.close { call, status in
            HTTPClientError(
                ending.code, origin: call.origin, detail: ending.detail, status: status, maybeReceived: true)
        }
        settle(connection, now)
    }

    /// Ends calls whose time is over, and connections that nobody uses.
    private mutating func sweep(_ now: UInt64) {
        var due = UInt64.max
        for connection in connections {
            for (call, phase, status) in connection.session.cancel(where: { $0.submission.deadline <= now }) {
                // A peer that was silent for a whole attempt may be gone without a word.
                if connection.lastReceived < call.begunAt { connection.isRetired = true }
                expire(call, phase, status)
            }
            let phase = connection.isReady ? "waiting for the server to take more calls" : "not connected yet"
            for call in connection.removeWaiting(where: { $0.submission.deadline <= now }) {
                // It takes connections and says nothing.
                if connection.isOpen, !connection.isReady { connection.isRetired = true }
                expire(call, phase, 0)
            }
            due = min(due, connection.nextDeadline)
        }
        let idle = idleNanoseconds
        close { ($0.isUnused && (!$0.isOpen || !$0.takesCalls || now - $0.lastUsed >= idle)) }
        for connection in connections {
            let used = connection.isUnused ? connection.lastUsed : now
            due = min(due, used.addingReportingOverflow(idle).overflow ? .max : used + idle)
        }
        nextDue = due
    }

    private mutating func close(where isOver: (HTTP2ClientConnection) -> Bool) {
        connections.removeAll { connection in
            guard isOver(connection) else { return false }
            if connection.isReady {
                connection.session.sayGoodbye(.noError)
                _ = connection.send(connection.lastUsed)
            }
            return true
        }
    }

    private func expire(_ call: HTTP2ClientCall, _ phase: String, _ status: Int) {
        let maybeReceived = call.begunAt > 0
        let error = HTTPClientError(
            .timeout, origin: call.origin, detail: phase, status: status, maybeReceived: maybeReceived)
        complete(call.submission, .failure(error))
    }

    private mutating func cancelAll(_ arrived: [HTTPSubmission]) {
        for connection in connections {
            for call in connection.takeWaiting() { shutDown(call.submission, call.origin) }
            for (call, _, _) in connection.session.cancel(where: { _ in true }) {
                shutDown(call.submission, call.origin)
            }
        }
        close { _ in true }
        for submission in arrived { shutDown(submission, HTTPTarget(submission.request.url)?.origin ?? "") }
    }

    private func shutDown(_ submission: HTTPSubmission, _ origin: String) {
        complete(submission, .failure(HTTPClientError(.shutdown, origin: origin)))
    }

    private func complete(_ submission: HTTPSubmission, _ result: Result<HTTPClientResponse, HTTPClientError>) {
        core.completed()
        submission.completion(result)
    }

    /// Sleeps until a socket, a submission or the clock has something.
    private mutating func wait() {
        descriptors.removeAll(keepingCapacity: true)
        for connection in connections where connection.isOpen {
            descriptors.append(
                curl_waitfd(fd: connection.socket.descriptor, events: connection.events, revents: 0))
        }
        let now = monotonicNanoseconds()
        let milliseconds = nextDue == .max ? Self.idleMilliseconds : (max(nextDue, now) - now) / 1_000_000 + 1
        let count = UInt32(descriptors.count)
        descriptors.withUnsafeMutableBufferPointer { descriptors in
            _ = martlet_curl_multi_poll(
                core.multi, descriptors.baseAddress, count, Int32(min(milliseconds, Self.idleMilliseconds)), nil)
        }
        var next = 0
        for connection in connections where connection.isOpen {
            connection.isReadable = descriptors[next].revents & ~Int16(POLLOUT) != 0
            next += 1
        }
    }
}
