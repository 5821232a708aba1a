package import Config
internal import Logging
internal import Pipeline
internal import Synchronization
internal import Telemetry

/// Why a collector goes on as before.
package struct ReloadFailure: Error, CustomStringConvertible {
    /// A line for each thing that is wrong; no secrets.
    package let lines: [String]

    package init(_ lines: [String]) { self.lines = lines }

    /// The errors of a configuration, with their places.
    package init(_ diagnostics: ConfigDiagnostics) {
        let sorted = diagnostics.sorted()
        lines =
            sorted.errors.map(\.description)
            + (sorted.omittedErrors > 0 ? ["\(sorted.omittedErrors) more errors"] : [])
    }

    package var description: String { lines.joined(separator: "\n") }
}

extension Collector {
    /// How long a change that is under way is waited for between two looks.
    private static let changePollInterval = Duration.milliseconds(5)

    /// Reads another configuration and follows it whole, or not at all. Listening sockets, queues and what processors
    /// hold stay; nothing is refused meanwhile. Returns when the new parts have the data and the old ones above the
    /// queues have ended. A reload that is under way is waited for.
    ///
    /// - Parameters:
    ///   - cause: who asked, for the log: `SIGHUP`.
    ///   - read: reads the configuration.
    /// - Returns: paths of what has changed.
    @discardableResult
    package func reload(
        cause: String, _ read: @Sendable () throws(ReloadFailure) -> GraphPlan
    ) async throws(ReloadFailure) -> [String] {
        await beginChange()
        defer { endChange() }
        do throws(ReloadFailure) {
            let changed = try await follow(try read())
            reloads.count(success: true)
            let text = changed.isEmpty ? "nothing" : changed.joined(separator: ", ")
            logger.info("\(cause): configuration reloaded", metadata: ["changed": "\(text)"])
            return changed
        } catch {
            reloads.count(success: false)
            logger.error(
                "\(cause): nothing has changed", metadata: ["error": "\(error.lines.joined(separator: "; "))"])
            throw error
        }
    }

    private func follow(_ new: GraphPlan) async throws(ReloadFailure) -> [String] {
        guard !isStopping else { throw ReloadFailure(["the collector is stopping"]) }
        let (old, graph) = present
        let change: GraphChange
        let passages: [Joint.Passage]
        do {
            change = try GraphChange(
                from: old, to: new, of: graph, retired: retired, environment: environment, workers: workers,
                logger: logger)
            passages = change.commit(try await change.start())
        } catch {
            throw ReloadFailure(["\(error)"])
        }
        let limit = new.memoryLimit.ofTelemetry
        environment.budget.limit(to: limit.limit, spike: limit.spike)
        admin.use(change.graph.index.authenticators)
        use(new, change.graph)
        let ending = change.diff.ending
        await change.retire(passages) { [weak self] in self?.forgetLater(ending) }
        return change.diff.paths
    }

    /// Removes what is left of components that have ended, between two changes: they may be back by then.
    private func forgetLater(_ components: Set<String>) {
        Task { [weak self] in
            while let self, !isStopping {
                if tryToBeginChange() {
                    forgetMetrics(of: components)
                    return endChange()
                }
                try? await Task.sleep(for: Self.changePollInterval)
            }
        }
    }

    /// Removes the series and pages of components that are not there any more.
    private func forgetMetrics(of components: Set<String>) {
        let config = present.plan.config
        for kind in CollectorConfig.Kind.allCases {
            let known = config.components(kind)
            for component in components where component.hasPrefix("\(kind.singular)/") {
                let id = String(component.dropFirst(kind.singular.utf8.count + 1))
                if known.contains(where: { $0.0.description == id }) { continue }
                environment.metrics.remove(label: kind.singular, value: id)
                environment.pages.remove(id)
            }
        }
    }

    /// Waits for a change that is under way, and keeps others from beginning.
    func beginChange() async {
        while !tryToBeginChange() {
            try? await Task.sleep(for: Self.changePollInterval)
        }
    }

    private func tryToBeginChange() -> Bool { !isChanging.exchange(true, ordering: .acquiringAndReleasing) }

    private func endChange() { isChanging.store(false, ordering: .releasing) }
}
