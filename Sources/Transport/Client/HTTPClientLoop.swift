internal import CCurl
internal import Glibc

/// The work of the client's thread: starts what was submitted, drives libcurl, completes what is through.
struct HTTPClientLoop: ~Copyable {
    /// Handles to keep for later requests.
    private static let maxSpare = 64
    /// Longest sleep without anything to wait for, milliseconds; a submission wakes the thread.
    private static let idleMilliseconds: UInt64 = 60_000

    private let core: HTTPClientCore
    private var active: [HTTPTransfer] = []
    private var spare: [HTTPTransfer] = []
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
            let milliseconds =
                nextDeadline == .max ? Self.idleMilliseconds : (max(nextDeadline, now) - now) / 1_000_000 + 1
            martlet_curl_multi_poll(core.multi, nil, 0, Int32(min(milliseconds, Self.idleMilliseconds)), nil)
        }
    }

    private mutating func start(_ submission: HTTPSubmission) {
        guard let transfer = spare.popLast() ?? HTTPTransfer(settings: core.settings) else {
            let error = HTTPClientError(.failed, origin: "", detail: "no libcurl handle")
            complete((submission, .failure(error)))
            return
        }
        if let error = transfer.start(submission) {
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
