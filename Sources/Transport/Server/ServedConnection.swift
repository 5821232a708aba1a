internal import NIOCore

/// One accepted connection, whatever it speaks. Lives on its channel's event loop, as every call does.
protocol ServedConnection: AnyObject {
    /// Part of a graceful stop: idle connections end now, busy ones after their answers.
    func drain()

    /// Ends after the next answer: whoever is connected has agreed to what does not hold any more.
    func endSoon()

    /// Ends what has not come in whole; requests that wait for their answer still get it.
    func closeUnlessWaiting()

    /// Ends the connection at once.
    func close()

    /// Called about once a second: gives up a phase that has lasted too long.
    func checkDeadline(_ now: NIODeadline)
}

/// Whoever an answer goes to. Lives on its event loop.
protocol AnswerTarget: AnyObject {
    /// Writes the answer to request `number`, unless it was answered already or the connection is gone.
    func answer(_ number: UInt64, _ answer: HTTPAnswer)
}
