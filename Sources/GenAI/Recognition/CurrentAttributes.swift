package import OTLP

/// Writing a call back to its span under the current names of the conventions.
extension GenAIMapping {
    /// Fields that have a value and a current name, and do not stand on the span that way yet. Empty for a span that
    /// was written before: normalising is idempotent.
    ///
    /// Where the answer meets `ModelCall.outdated`, the span has the name with another value: remove that attribute, or
    /// rely on readers that take the last of equal keys, as Martlet's does.
    package func fieldsToWrite(_ call: ModelCall) -> CallFields {
        var fields = call.present.subtracting(call.current)
        if call.usage.cacheWrite5m != nil, !call.present.contains(.cacheWrite) {
            fields.insert(CallFields(.cacheWrite))
        }
        if call.needsUsageMark { fields.insert(CallFields(.usageMark)) } else { fields.remove(CallFields(.usageMark)) }
        return fields.intersection(writtenFields)
    }

    /// Appends `fields` of `call` as attributes of a span. Fields without a value or a name are passed over.
    package func append(_ fields: CallFields, of call: ModelCall, to writer: inout WireWriter) {
        var rest = fields.rawValue
        while rest != 0 {
            let index = rest.trailingZeroBitCount
            rest &= rest &- 1
            guard let field = CallField(rawValue: UInt8(index)) else { return }
            let name = writtenName(field)
            guard name.count > 0 else { continue }
            if field == .finish {
                guard call.present.contains(.finish) else { continue }
                // The closure below must not capture a borrowed value; reading the reasons needs only these bytes.
                let reasons = call.finishReasons
                writer.append(attribute: name) { ModelCall.forEachReason(of: reasons, $0) }
            } else if let content = call.content(field) {
                writer.append(field: WireWriter.spanAttributes, key: name, content)
            }
        }
    }
}

extension ModelCall {
    /// True when counts were changed in a way that a second look at the span would repeat.
    var needsUsageMark: Bool {
        guard !present.contains(.usageMark) else { return false }
        return usageRule.isExclusive || !marks.isDisjoint(with: [.reasoningAdded, .inputRaised, .extraAdded])
    }

    /// A field as it is written: counts of usage normalised, everything else as it was read.
    func content(_ field: CallField) -> AttributeContent? {
        switch field {
        case .input: return usage.input.map(AttributeContent.int)
        case .output: return usage.output.map(AttributeContent.int)
        case .cacheWrite:
            return usage.cacheWrite5m.map { .int($0 + (usage.cacheWrite1h ?? 0)) }
        case .usageMark: return .literal("inclusive")
        default: break
        }
        switch field.form {
        case .operation, .provider, .text: return text(field).map(AttributeContent.text)
        case .count: return count(field).map(AttributeContent.int)
        case .double: return double(field).map(AttributeContent.double)
        case .flag: return isStreaming.map(AttributeContent.bool)
        case .reasons: return nil
        }
    }
}

/// Names of attributes that Martlet adds itself, in the order of `docs`: costs and states, beside those of the mapping.
package enum AddedAttribute {
    /// Double, US dollars; read by most backends.
    package static var cost: StaticString { "gen_ai.usage.cost" }
    package static var inputCost: StaticString { "gen_ai.cost.input" }
    package static var outputCost: StaticString { "gen_ai.cost.output" }
    package static var cacheReadCost: StaticString { "gen_ai.cost.cache_read" }
    package static var cacheWriteCost: StaticString { "gen_ai.cost.cache_write" }
    /// ISO 4217.
    package static var currency: StaticString { "gen_ai.cost.currency" }
    /// `provider`, `instrumentation` or `collector`.
    package static var source: StaticString { "gen_ai.cost.source" }
    /// Date of the price table.
    package static var priceVersion: StaticString { "gen_ai.cost.price_version" }
    /// `priced`, `no_model`, `no_price`, `no_usage`, `aggregate` or `skipped`.
    package static var status: StaticString { "gen_ai.cost.status" }
}
