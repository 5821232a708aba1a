/// An attribute that Martlet adds to AI spans.
package enum CostAttribute: Int, CaseIterable, Sendable {
    /// Double, US dollars: all of the call.
    case cost
    case input, output, cacheRead, cacheWrite
    /// Double, US dollars: what the call would have cost without caches, less what it cost. Negative for writes.
    case cacheSavings
    /// ISO 4217.
    case currency
    /// `provider`, `instrumentation` or `collector`.
    case source
    /// Date of the price table.
    case priceVersion
    /// `priced`, `no_model`, `no_price`, `no_usage`, `aggregate` or `skipped`.
    case status
    /// `true` on a span that came, and was counted, before.
    case resent

    /// Its key in a configuration.
    package var key: String {
        switch self {
        case .cost: "cost"
        case .input: "input"
        case .output: "output"
        case .cacheRead: "cache_read"
        case .cacheWrite: "cache_write"
        case .cacheSavings: "cache_savings"
        case .currency: "currency"
        case .source: "source"
        case .priceVersion: "price_version"
        case .status: "status"
        case .resent: "resent"
        }
    }

    fileprivate var standardName: String {
        self == .cost ? "gen_ai.usage.cost" : "gen_ai.cost." + key
    }
}

/// The names under which costs and states are added to spans. An empty name: that attribute is not written.
package struct CostAttributeNames: Sendable {
    private var names = CostAttribute.allCases.map(\.standardName)

    /// `gen_ai.usage.cost` and `gen_ai.cost.…`.
    package init() {}

    /// The name of an attribute.
    package subscript(_ attribute: CostAttribute) -> String {
        get { names[attribute.rawValue] }
        set { names[attribute.rawValue] = newValue }
    }

    /// The attribute of a name; nil for any other name.
    package func attribute(named key: UnsafeRawBufferPointer) -> CostAttribute? {
        guard key.count > 0 else { return nil }
        for (index, name) in names.enumerated() where name.utf8.count == key.count && name.utf8.elementsEqual(key) {
            return CostAttribute(rawValue: index)
        }
        return nil
    }
}
