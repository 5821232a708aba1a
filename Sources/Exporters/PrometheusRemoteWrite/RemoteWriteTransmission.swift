internal import Pipeline
internal import Prometheus

/// The bodies of one request on their way, over all its attempts: a state machine without clock, locks or sockets.
///
/// Each shard sends one body at a time, in order; a body that has to wait stops its shard until the next attempt.
/// What was taken is not sent again.
struct RemoteWriteTransmission {
    enum Step {
        case send(RemoteWriteBody)
        /// Other shards are still at it.
        case wait
        /// The receiver wants another version: all that is left has to be encoded anew.
        case encodeAnew
        case finish(ExportOutcome)
    }

    private struct Shard {
        /// In reverse: the next one is last.
        var bodies: [RemoteWriteBody] = []
        var isSending = false
    }

    private var shards: [Shard]
    /// Points without a series.
    private let untranslated: Int
    private let untranslatedReason: String
    private var refusedPoints = 0
    private var writtenPoints = 0
    private var refusal = ""
    private var delay: (reason: String, after: Duration?)?
    private var unsupported: String?

    /// - Parameters:
    ///   - bodies: of each shard, in order.
    ///   - report: what became of the data points.
    init(_ bodies: [[RemoteWriteBody]], _ report: TranslationReport) {
        shards = bodies.map { Shard(bodies: $0.reversed()) }
        untranslated = report.rejected
        untranslatedReason = report.mainReason.map { "no Prometheus series: \($0.text)" } ?? ""
    }

    var isSending: Bool { shards.contains(where: \.isSending) }

    /// Begins an attempt: the shards that have something to send, which is marked as being sent.
    mutating func begin() -> [(shard: Int, body: RemoteWriteBody)] {
        delay = nil
        var first: [(shard: Int, body: RemoteWriteBody)] = []
        for index in shards.indices {
            guard let body = shards[index].bodies.last else { continue }
            shards[index].isSending = true
            first.append((index, body))
        }
        return first
    }

    /// The time of the attempt is over before the shard's next body could be sent.
    mutating func outOfTime(_ shard: Int) -> Step {
        shards[shard].isSending = false
        delay = delay ?? ("no time left for the rest of the request", nil)
        return isSending ? .wait : end()
    }

    /// The answer to the shard's body.
    mutating func answered(_ shard: Int, _ answer: RemoteWriteAnswer) -> Step {
        guard let body = shards[shard].bodies.last else { return isSending ? .wait : end() }
        var goesOn = true
        switch answer {
        case .written(let missing):
            shards[shard].bodies.removeLast()
            let lost = min(missing, body.counts.points)
            writtenPoints += body.counts.points - lost
            if lost > 0 { refuse(lost, "the receiver did not write all samples") }
        case .drop(let reason):
            shards[shard].bodies.removeLast()
            refuse(body.counts.points, reason)
        case .tooLarge(let reason):
            shards[shard].bodies.removeLast()
            if let halves = body.halves() {
                shards[shard].bodies += halves.reversed()
            } else {
                refuse(body.counts.points, reason)
            }
        case .retry(let reason, let after):
            goesOn = false
            let longest = [delay?.after, after].compactMap { $0 }.max()
            delay = (delay?.reason ?? reason, longest)
        case .unsupported(let reason):
            goesOn = false
            unsupported = reason
        }
        if goesOn, unsupported == nil, let next = shards[shard].bodies.last { return .send(next) }
        shards[shard].isSending = false
        return isSending ? .wait : end()
    }

    private mutating func refuse(_ points: Int, _ reason: String) {
        refusedPoints += points
        if refusal.isEmpty { refusal = reason }
    }

    private mutating func end() -> Step {
        if unsupported != nil { return .encodeAnew }
        if let delay { return .finish(.retryable(delay.reason, after: delay.after)) }
        return .finish(outcome)
    }

    /// When nothing is left to send.
    var outcome: ExportOutcome {
        if refusedPoints > 0, writtenPoints == 0 { return .permanent(refusal) }
        let message = refusal.isEmpty ? untranslatedReason : refusal
        return .delivered(rejected: untranslated + refusedPoints, message: message)
    }
}
