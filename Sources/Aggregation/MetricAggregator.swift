internal import Glibc
package import OTLP
internal import Synchronization

/// Turns measurements into OTLP metrics.
///
/// Any thread may measure, at any time. Each thread takes a recorder of its own for the length of `withRecorder`, so that
/// threads do not wait for each other and one lock is taken for a whole batch; a collection, or a recorder that is full,
/// moves what was measured into one store, which knows the limits. Measuring and collecting never wait for I/O.
package final class MetricAggregator: Sendable {
    /// One recorder under its lock; padded by being an object of its own.
    private final class Stripe: Sendable {
        // Unchecked: the recorder is used under the lock only.
        struct Box: @unchecked Sendable {
            var recorder: MetricRecorder?
        }

        let box = Mutex(Box())
    }

    /// One request of a collection.
    package struct Request: Sendable {
        /// An ExportMetricsServiceRequest of at most about 1 MiB and 4,096 points; a longer series makes it longer.
        package let bytes: WireBytes
        package let points: Int
    }

    private let settings: AggregationSettings
    private let layouts: [SeriesLayout]
    private let resourceLayout = SeriesLayout([])
    private let stripes: [Stripe]
    private let store: MetricStore
    private let recorderBytes: Int

    /// Recorders at most; each takes memory only when it is used.
    private static let maximumStripes = 64
    /// Memory of one recorder, in bytes: bounds of the share that it gets of a quarter of the limit.
    private static let recorderRange = (64 << 10)...(8 << 20)

    /// - Parameters:
    ///   - start: the present, in nanoseconds since 1970: where the first interval of delta points begins.
    ///   - processors: threads that measure at once, about; more of them share recorders.
    ///   - account: asked, with the bytes that are held in all, when they grow, and told when they shrink; false keeps
    ///     further series out. Called under a lock: it must not block, nor call the aggregator.
    package init(
        _ settings: AggregationSettings, start: UInt64, processors: Int,
        account: @escaping @Sendable (Int) -> Bool = { _ in true }
    ) {
        self.settings = settings
        layouts = settings.families.map { SeriesLayout($0) }
        let count = min(max(1, processors), Self.maximumStripes)
        stripes = (0..<count).map { _ in Stripe() }
        let limit = max(1 << 20, settings.memoryLimit)
        recorderBytes = min(max(limit / 4 / count, Self.recorderRange.lowerBound), Self.recorderRange.upperBound)
        store = MetricStore(
            MetricContent(
                settings, layouts, byteLimit: limit - limit / 4, start: start, account: account))
    }

    /// Gives `body` a recorder for its own use. The recorder, and what it gives, must not leave `body`.
    ///
    /// - Parameter now: nanoseconds since 1970; when series of this call begin or were last seen.
    package func withRecorder(now: UInt64, _ body: (MetricRecorder) -> Void) {
        let first = Int(bitPattern: UInt(pthread_self()) >> 12) & Int(Int32.max)
        for offset in stripes.indices {
            let stripe = stripes[(first + offset) % stripes.count]
            let wasFree: Void? = stripe.box.withLockIfAvailable { use(&$0, now, body) }
            if wasFree != nil { return }
        }
        stripes[first % stripes.count].box.withLock { use(&$0, now, body) }
    }

    private func use(_ box: inout Stripe.Box, _ now: UInt64, _ body: (MetricRecorder) -> Void) {
        let recorder =
            box.recorder
            ?? MetricRecorder(
                layouts, resourceLayout: resourceLayout, store: store, byteLimit: recorderBytes,
                exemplars: settings.exemplarLimit)
        box.recorder = recorder
        recorder.begin(now)
        body(recorder)
    }

    /// Writes what was measured until now, as requests for a metrics pipeline: nothing at all when there is nothing.
    /// Delta series begin anew; the requests are then the only place where their values are.
    ///
    /// One collection at a time. `emit` and `lease` are called on the calling thread, with no lock held.
    ///
    /// - Parameters:
    ///   - now: nanoseconds since 1970, by a clock that does not jump.
    ///   - correction: added to all times that are written.
    ///   - isFinal: whether it is the last one, so that the end of the series is told if the settings say so.
    ///   - lease: what accounts for that many bytes of a request, and lives as long as they do.
    package func collect(
        at now: UInt64, correction: Int64 = 0, isFinal: Bool = false,
        lease: (Int) -> (any AnyObject & Sendable)? = { _ in nil },
        _ emit: (Request) -> Void
    ) {
        drainRecorders()
        if settings.temporality == .delta {
            let taken = store.take(at: now)
            encode(MetricEncoder(now: now, correction: correction), lease, emit) { $0(taken) }
            return store.withLock { $0.settleAccount() }
        }
        encode(MetricEncoder(now: now, correction: correction), lease, emit) { write in store.withLock { write($0) } }
        if isFinal, settings.marksEnd {
            // A millisecond later: Prometheus keeps one sample for each millisecond.
            encode(MetricEncoder(now: now + 1_000_000, correction: correction, mode: .ends), lease, emit) { write in
                store.withLock { write($0) }
            }
        }
        store.withLock { content in
            content.forget(at: now)
            content.settleAccount()
        }
    }

    private func encode(
        _ encoder: MetricEncoder, _ lease: (Int) -> (any AnyObject & Sendable)?, _ emit: (Request) -> Void,
        _ withContent: ((MetricContent) -> Void) -> Void
    ) {
        var encoder = encoder
        while true {
            var writer = WireWriter(capacity: 4096)
            var points = 0
            withContent { points = encoder.write($0, into: &writer) }
            guard points > 0 else { return }
            let accounting = lease(writer.count)
            emit(Request(bytes: WireBytes(taking: &writer, accounting: accounting), points: points))
        }
    }

    private func drainRecorders() {
        var bytes = 0
        for stripe in stripes {
            stripe.box.withLock { box in
                box.recorder?.drain()
                bytes += box.recorder?.heldBytes ?? 0
            }
        }
        let total = bytes
        store.withLock { $0.recorderBytes = total }
    }

    /// Bytes of the store's series and resources, without what lies in recorders.
    package var heldBytes: Int { store.withLock { $0.heldBytes } }

    /// Series in the store, those for what is beyond the limits included.
    package var seriesCount: Int { store.withLock { $0.seriesCount } }

    /// Measurements that were lost because the system refused memory.
    package var dropped: Int { store.droppedMeasurements }
}
