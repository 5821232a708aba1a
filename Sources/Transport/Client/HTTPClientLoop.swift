internal import CCurl
internal import Glibc

/// The work of the client's thread: starts what was submitted, drives libcurl, completes what is through.
struct HTTPClientLoop: ~Copyable {
    /// Handles to keep for later requests.
    private static let maxSpare = 64
    /// How often a request looks for a connection that another one is making, before it makes its own.
    private static let maxRefusals = 400
    /// Time between two looks, nanoseconds.
    private static let lookInterval: UInt64 = 5_000_000
    /// A poll that returned sooner than this did not wait, nanoseconds.
    private static let shortWait: UInt64 = 100_000
    /// Longest wait for the peer's window alone; a new request waits as long.
    private static let windowMilliseconds: Int32 = 2
    /// Longest sleep without anything to wait for, milliseconds; a submission wakes the thread.
    private static let idleMilliseconds: UInt64 = 60_000

    private struct UploadState: Equatable {
        var written = 0
        var requests = 0
    }

    private let core: HTTPClientCore
    private var active: [HTTPTransfer] = []
    private var spare: [HTTPTransfer] = []
    /// Requests that wait for a connection that another one is making.
    private var parked: [HTTPTransfer] = []
    /// When they look again; monotonic nanoseconds.
    private var nextLook = UInt64.max
    private var lastUploads = UploadState()
    /// By origin, for clients that rotate.
    private var rotations: [String: AddressRotation] = [:]
    /// No transfer's deadline is earlier; monotonic nanoseconds.
    private var nextDeadline = UInt64.max

    init(_ core: HTTPClientCore) { self.core = core }

    /// Until `core.stop()`.
    mutating func run() {
        while true {
            let (arrived, stopping) = core.takeWaiting()
            if stopping {
                cancelAll(arrived)
                return
            }
            for submission in arrived { start(submission) }
            var running: Int32 = 0
            let code = martlet_curl_multi_perform(core.multi, &running)
            if code != CURLM_OK { cancelActive(.failed) }
            finishTransfers()
            let now = monotonicNanoseconds()
            if now >= nextDeadline { cancelOverdue(now) }
            if now >= nextLook { unpark() }
            let next = min(nextDeadline, nextLook)
            let milliseconds = next == .max ? Self.idleMilliseconds : (max(next, now) - now) / 1_000_000 + 1
            martlet_curl_multi_poll(core.multi, nil, 0, Int32(min(milliseconds, Self.idleMilliseconds)), nil)
            if core.settings.version == .http2, monotonicNanoseconds() - now < Self.shortWait { waitForWindow() }
        }
    }

    /// Waits a little for the peer's word when uploads over HTTP/2 stand still since the last call: they wait for the
    /// peer's window, and libcurl 7.88 would ask whether the socket takes bytes, which it does, and try again for ever.
    private mutating func waitForWindow() {
        let written = active.reduce(0) { $0 &+ $1.written }
        let state = UploadState(written: written, requests: active.count)
        defer { lastUploads = state }
        guard state == lastUploads, !active.isEmpty else { return }
        var sockets = openSockets.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        poll(&sockets, nfds_t(sockets.count), Self.windowMilliseconds)
    }

    private var openSockets: [Int32] {
        let count = Int(core.sockets.pointee.count)
        return withUnsafeBytes(of: &core.sockets.pointee.open) { Array($0.bindMemory(to: Int32.self).prefix(count)) }
    }

    private mutating func start(_ submission: HTTPSubmission) {
        guard let transfer = spare.popLast() ?? HTTPTransfer(settings: core.settings, sockets: core.sockets) else {
            let error = HTTPClientError(.failed, origin: "", detail: "no libcurl handle")
            complete((submission, .failure(error)))
            return
        }
        let now = monotonicNanoseconds()
        let error = transfer.start(submission) { origin in
            core.settings.rotatesAddresses ? rotation(origin).next(now: now) : nil
        }
        if let error {
            recycle(transfer)
            complete((submission, .failure(error)))
            return
        }
        guard run(transfer) else {
            let outcome = transfer.cancel(.failed)
            recycle(transfer)
            complete(outcome)
            return
        }
    }

    /// Gives a transfer into libcurl's hands.
    private mutating func run(_ transfer: HTTPTransfer) -> Bool {
        guard martlet_curl_multi_add_handle(core.multi, transfer.easy) == CURLM_OK else { return false }
        transfer.index = active.count
        active.append(transfer)
        nextDeadline = min(nextDeadline, transfer.submission?.deadline ?? .max)
        return true
    }

    /// Lets the waiting requests look for a connection.
    private mutating func unpark() {
        let waiting = parked
        parked = []
        nextLook = .max
        for transfer in waiting where !(transfer.again(opening: .never, address: transfer.address) && run(transfer)) {
            let outcome = transfer.cancel(.failed)
            recycle(transfer)
            complete(outcome)
        }
    }

    private mutating func rotation(_ origin: String) -> AddressRotation {
        if let known = rotations[origin] { return known }
        let made = AddressRotation(origin)
        rotations[origin] = made
        return made
    }

    /// Makes another attempt where a failed one says that this helps: with a new connection, or another address.
    private mutating func restart(_ transfer: HTTPTransfer, _ code: CURLcode) -> Bool {
        if transfer.wasRefusedConnection {
            // One connection at a time: the others wait for the one that is being made.
            let isBeingMade = active.contains {
                $0.opening == .always && $0.origin == transfer.origin && $0.address == transfer.address
            }
            if isBeingMade, transfer.refusals < Self.maxRefusals {
                parked.append(transfer)
                nextLook = min(nextLook, monotonicNanoseconds() + Self.lookInterval)
                return true
            }
            return transfer.again(opening: .always, address: transfer.address) && run(transfer)
        }
        guard let address = transfer.address else { return false }
        let rotation = rotation(transfer.origin)
        guard code == CURLE_COULDNT_CONNECT else {
            if code == CURLE_OK { rotation.connected(address) }
            return false
        }
        let now = monotonicNanoseconds()
        rotation.failed(address, now: now)
        guard let next = rotation.next(now: now, except: transfer.failedAddresses + [address]) else { return false }
        let opening = transfer.opening == .asNeeded ? ConnectionOpening.asNeeded : .never
        return transfer.again(opening: opening, address: next) && run(transfer)
    }

    private mutating func finishTransfers() {
        var left: Int32 = 0
        while let message = martlet_curl_multi_info_read(core.multi, &left) {
            guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle,
                let context = martlet_curl_private(easy)
            else { continue }
            // The message goes away with the handle.
            let code = message.pointee.data.result
            let transfer = Unmanaged<HTTPTransfer>.fromOpaque(context).takeUnretainedValue()
            remove(transfer)
            if restart(transfer, code) { continue }
            let outcome = transfer.finish(code)
            recycle(transfer)
            complete(outcome)
        }
    }

    private mutating func cancelOverdue(_ now: UInt64) {
        var overdue: [HTTPTransfer] = []
        nextDeadline = .max
        for transfer in active {
            guard let deadline = transfer.submission?.deadline else { continue }
            if deadline <= now {
                overdue.append(transfer)
            } else {
                nextDeadline = min(nextDeadline, deadline)
            }
        }
        for transfer in overdue { cancel(transfer, .timeout) }
    }

    private mutating func cancelActive(_ code: HTTPClientError.Code) {
        while let transfer = active.last { cancel(transfer, code) }
    }

    private mutating func cancelAll(_ arrived: [HTTPSubmission]) {
        cancelActive(.shutdown)
        for transfer in parked { complete(transfer.cancel(.shutdown)) }
        parked = []
        for submission in arrived {
            let origin = HTTPTarget(submission.request.url)?.origin ?? ""
            complete((submission, .failure(HTTPClientError(.shutdown, origin: origin))))
        }
    }

    private mutating func cancel(_ transfer: HTTPTransfer, _ code: HTTPClientError.Code) {
        remove(transfer)
        let outcome = transfer.cancel(code)
        recycle(transfer)
        complete(outcome)
    }

    /// Takes a transfer out of libcurl's hands and out of `active`.
    private mutating func remove(_ transfer: HTTPTransfer) {
        martlet_curl_multi_remove_handle(core.multi, transfer.easy)
        let last = active.count - 1
        guard transfer.index <= last, active[transfer.index] === transfer else { return }
        active.swapAt(transfer.index, last)
        active[transfer.index].index = transfer.index
        active.removeLast()
    }

    private mutating func recycle(_ transfer: HTTPTransfer) {
        if spare.count < Self.maxSpare { spare.append(transfer) }
    }

    private func complete(_ outcome: (HTTPSubmission, Result<HTTPClientResponse, HTTPClientError>)?) {
        guard let (submission, result) = outcome else { return }
        core.completed()
        submission.completion(result)
    }
}
