/// Where a queue's events go: to metrics, and to the log (which limits its rate itself).
package protocol DeliveryObserver: Sendable {
    /// Called on the thread of the event, without a lock held, several times a request; must not block. Events of
    /// different threads may come in another order than they happened in.
    func observe(_ event: DeliveryEvent)
}
