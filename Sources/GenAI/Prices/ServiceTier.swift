/// How a call was processed, as far as prices know it.
package enum ServiceTier: UInt8, CaseIterable, Sendable {
    /// The list price. Also what is assumed when nothing is said, or `auto`.
    case standard
    /// Asynchronous batches, usually at half price.
    case batch
    /// Slower and cheaper.
    case flex
    /// Faster and dearer.
    case priority
    /// A tier without list prices (scale, fast, reserved …); the standard price is taken, and said so.
    case other

    /// The tier of an attribute's text, in any case: the values of OpenAI, Anthropic and Gemini.
    package init(_ text: UnsafeRawBufferPointer) {
        func `is`(_ name: StaticString) -> Bool { ASCII.equalsIgnoringCase(text, name) }
        switch text.count {
        case 0: self = .standard
        case 4 where `is`("auto") || `is`("none"): self = .standard
        case 4 where `is`("flex"): self = .flex
        case 5 where `is`("batch"): self = .batch
        case 7 where `is`("default"): self = .standard
        case 8 where `is`("standard"): self = .standard
        case 8 where `is`("priority"): self = .priority
        case 9 where `is`("on_demand"): self = .standard
        case 13 where `is`("standard_only"): self = .standard
        case 14 where `is`("on_demand_flex"): self = .flex
        case 18 where `is`("on_demand_priority"): self = .priority
        default: self = .other
        }
    }

    /// The name in commands and results.
    package var name: String {
        switch self {
        case .standard: "standard"
        case .batch: "batch"
        case .flex: "flex"
        case .priority: "priority"
        case .other: "other"
        }
    }
}
