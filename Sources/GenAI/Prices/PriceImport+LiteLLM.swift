extension PriceImport {
    private static let tokenKeys: [(key: String, field: PriceField)] = [
        ("input_cost_per_token", .input), ("output_cost_per_token", .output),
        ("cache_read_input_token_cost", .cacheRead), ("cache_creation_input_token_cost", .cacheWrite5m),
        ("cache_creation_input_token_cost_above_1hr", .cacheWrite1h), ("output_cost_per_reasoning_token", .reasoning),
        ("input_cost_per_audio_token", .audioInput), ("output_cost_per_audio_token", .audioOutput),
        ("cache_read_input_audio_token_cost", .cachedAudioInput), ("input_cost_per_token_batches", .batchInput),
        ("output_cost_per_token_batches", .batchOutput), ("cache_read_input_token_cost_batches", .batchCacheRead),
        ("input_cost_per_token_flex", .flexInput), ("output_cost_per_token_flex", .flexOutput),
        ("cache_read_input_token_cost_flex", .flexCacheRead), ("input_cost_per_token_priority", .priorityInput),
        ("output_cost_per_token_priority", .priorityOutput),
        ("cache_read_input_token_cost_priority", .priorityCacheRead),
    ]
    private static let aboveKeys: [(key: String, field: PriceField)] = [
        ("input_cost_per_token", .inputAbove), ("output_cost_per_token", .outputAbove),
        ("cache_read_input_token_cost", .cacheReadAbove), ("cache_creation_input_token_cost", .cacheWrite5mAbove),
        ("cache_creation_input_token_cost_above_1hr", .cacheWrite1hAbove),
    ]

    /// Reads the price map: one object a model, prices per token.
    mutating func readLiteLLM(_ root: PriceJSON) {
        for (name, model) in root.members where name != "sample_spec" {
            guard case .object = model, let written = model["litellm_provider"]?.text else {
                skip(name, "it names no provider")
                continue
            }
            guard let provider = Self.provider(written) else {
                skip(name, "\(written) is no provider that bills")
                continue
            }
            beginEntry()
            var row = PriceRow()
            for (key, field) in Self.tokenKeys { row[field] = figure(model[key], .perToken, name) }
            row[.perImage] = figure(model["output_cost_per_image"], .unit, name)
            row[.perRequest] = figure(model["input_cost_per_query"] ?? model["input_cost_per_request"], .unit, name)
            readThreshold(model, name, into: &row)
            row.mode = model["mode"]?.text.flatMap { CallMode(tableName: $0) } ?? .unknown
            add(Entry(provider: provider, model: Self.model(name, of: provider), match: nil, row: row), name)
        }
    }

    /// LiteLLM has several ids for the parts of one provider, such as `vertex_ai-anthropic_models`.
    private static func provider(_ written: String) -> String? {
        for (start, provider) in [
            ("vertex_ai", "vertex_ai"), ("bedrock", "aws_bedrock"), ("fireworks_ai", "fireworks"),
            ("text-completion-openai", "openai"), ("azure_text", "azure"),
        ] where written.hasPrefix(start) {
            return provider
        }
        return ProviderName.canonical(Array(written.lowercased().utf8))
    }

    /// The name without the provider's own path part, which calls do not name.
    private static func model(_ name: String, of provider: String) -> String {
        guard let slash = name.utf8.firstIndex(of: UInt8(ascii: "/")) else { return name }
        let first = String(name[..<slash]).lowercased()
        guard ProviderName.ofPathPart(Array(first.utf8)) == provider || first == provider else { return name }
        let rest = String(name[name.utf8.index(after: slash)...])
        return rest.isEmpty ? name : rest
    }

    /// `…_above_200k_tokens`: the lowest threshold counts, further ones are noted.
    private mutating func readThreshold(_ model: PriceJSON, _ name: String, into row: inout PriceRow) {
        let thresholds = Set(
            model.members.compactMap { member -> Int64? in
                let start = "input_cost_per_token_above_"
                guard member.key.hasPrefix(start), member.key.hasSuffix("k_tokens") else { return nil }
                return Int64(member.key.dropFirst(start.count).dropLast("k_tokens".count))
            }
        ).sorted()
        guard let threshold = thresholds.first, threshold > 0, threshold <= 1_000_000 else { return }
        if thresholds.count > 1 { skip(name, "its second price threshold, at \(thresholds[1])k tokens") }
        row[.threshold] = threshold * 1000
        for (key, field) in Self.aboveKeys {
            row[field] = figure(model["\(key)_above_\(threshold)k_tokens"], .perToken, name)
        }
    }
}
