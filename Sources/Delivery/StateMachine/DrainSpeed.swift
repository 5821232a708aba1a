/// How fast a queue that is full gets emptier, so that senders can be told when to come again. Looks at the queue only
/// when it is asked.
struct DrainSpeed: Sendable {
    private var since: ContinuousClock.Instant?
    private var settledThen = 0
    /// Units per second, in the last interval that was long enough.
    private var speed: Double?
    private var asked: ContinuousClock.Instant?

    /// Shortest and longest wait that senders are told.
    static let shortestWait = 1.0
    static let longestWait = 30.0
    /// Seconds over which the speed is measured, at least.
    private static let interval = 1.0
    /// Seconds without a question after which measuring begins anew.
    private static let silence = 60.0

    /// Whole seconds until what is held will be gone, at the speed of the last moments; with nothing moving, as long as
    /// that has been so.
    ///
    /// - Parameters:
    ///   - held: units in the queue.
    ///   - settled: units that have left it so far.
    mutating func wait(held: Int, settled: Int, now: ContinuousClock.Instant) -> Duration {
        if asked.map({ $0.duration(to: now) / .seconds(1) > Self.silence }) ?? true {
            since = nil
            speed = nil
        }
        asked = now
        guard let since else {
            since = now
            settledThen = settled
            return .seconds(Self.shortestWait)
        }
        let elapsed = since.duration(to: now) / .seconds(1)
        if elapsed >= Self.interval, settled > settledThen {
            speed = Double(settled - settledThen) / elapsed
            self.since = now
            settledThen = settled
        } else if elapsed > Self.interval {
            // What held for the last interval does not hold for one in which nothing moved.
            speed = nil
        }
        let seconds = speed.map { Double(held) / $0 } ?? elapsed
        return .seconds(min(max(seconds, Self.shortestWait), Self.longestWait).rounded(.up))
    }
}
