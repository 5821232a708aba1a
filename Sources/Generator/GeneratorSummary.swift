/// What a run did, as text for a person.
package struct GeneratorSummary: Sendable {
    package var seed: UInt64
    package var generated: TraceTotals
    /// Seconds from the first trace to the last answer.
    package var seconds: Double
    /// Nil for a run that wrote a file.
    package var sending: SendingTotals?
    /// Path, lines and bytes of a run that wrote a file.
    package var file: (path: String, lines: Int, bytes: Int)?

    package init(seed: UInt64, generated: TraceTotals, seconds: Double) {
        self.seed = seed
        self.generated = generated
        self.seconds = seconds
    }

    /// Everything that was generated was accepted or written.
    package var isComplete: Bool {
        guard let sending else { return true }
        return !sending.gaveUp && sending.refusedSpans == 0 && sending.acceptedSpans == generated.spans
    }

    /// One figure, or several that belong together, a line.
    package var lines: [String] {
        var lines = [
            row("traces", "\(generated.traces)"),
            row("spans", "\(generated.spans) (\(generated.failedSpans) with errors)"),
        ]
        if generated.modelCalls > 0 {
            lines += [
                row("model calls", "\(generated.modelCalls)"),
                row("input tokens", "\(generated.inputTokens) (\(generated.cachedInputTokens) from a cache)"),
                row("output tokens", "\(generated.outputTokens) (\(generated.reasoningTokens) of reasoning)"),
            ]
        }
        if let sending {
            lines += [
                row(
                    "requests",
                    "\(sending.requests) (\(sending.resent) times sent again, \(sending.throttled) times told to wait)"),
                row("accepted", "\(sending.acceptedSpans) spans"),
                row("not accepted", "\(generated.spans - sending.acceptedSpans) spans"),
            ]
            if let median = sending.latency.percentile(50), let high = sending.latency.percentile(99) {
                lines.append(row("latency", "p50 \(milliseconds(median)) ms, p99 \(milliseconds(high)) ms"))
            }
            if let problem = sending.lastProblem { lines.append(row("last problem", problem)) }
        }
        if let file { lines.append(row("written", "\(file.lines) lines, \(file.bytes) bytes, to \(file.path)")) }
        let done = sending?.acceptedSpans ?? generated.spans
        lines.append(row("rate", "\(Int(Double(done) / max(seconds, 1e-9))) spans/s over \(tenths(seconds)) s"))
        lines.append(row("seed", "\(seed)"))
        return lines
    }

    private func row(_ name: String, _ value: String) -> String {
        name + String(repeating: " ", count: max(1, 15 - name.count)) + value
    }

    private func milliseconds(_ microseconds: UInt64) -> String { tenths(Double(microseconds) / 1000) }

    /// Rounded to a tenth.
    private func tenths(_ value: Double) -> String {
        let scaled = Int((min(value, 1e12) * 10).rounded())
        return "\(scaled / 10).\(scaled % 10)"
    }
}
