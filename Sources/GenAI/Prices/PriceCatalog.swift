/// Every price there is at one moment: the built-in table under the user's. Immutable; any thread.
final class PriceCatalog: Sendable {
    /// How far `same_as` and multipliers may lead.
    private static let maximumDepth = 4
    /// Steps of one look-up, so that entries that refer to each other cost little.
    private static let maximumSteps = 64

    let builtin: BuiltinPrices
    /// The user's, the strongest first: overrides, then files from the last to the first.
    let user: [UserPrice]
    /// What costs are stamped with: the built-in table's date, and `+` with the user's versions.
    let version: String

    init(builtin: BuiltinPrices = .shared, user: [UserPrice] = [], userVersion: String = "") {
        self.builtin = builtin
        self.user = user
        version = builtin.version + (userVersion.isEmpty ? "" : "+" + userVersion)
    }

    /// The rows for a name, the strongest first; of them the first that holds on the day of the call counts. Empty for
    /// a name that nothing lists. Takes microseconds; `PriceReader` remembers the result.
    func resolve(provider: UnsafeRawBufferPointer, model: UnsafeRawBufferPointer) -> [MatchedPrice] {
        guard model.count <= ModelName.maximumLength, provider.count <= ModelName.maximumLength else { return [] }
        let written = ASCII.trimmedAndLowered(model)
        guard !written.isEmpty else { return [] }
        var steps = Steps(left: Self.maximumSteps, depth: 0)
        return resolve(
            ProviderName.canonical(ASCII.trimmedAndLowered(provider)), ModelName(written), from: 0, &steps)
    }

    private struct Steps {
        var left: Int
        var depth: Int
    }

    private func resolve(
        _ provider: String?, _ name: ModelName, from first: Int, _ steps: inout Steps
    ) -> [MatchedPrice] {
        guard steps.depth <= Self.maximumDepth, steps.left > 0 else { return [] }
        steps.left -= 1
        steps.depth += 1
        defer { steps.depth -= 1 }
        let provider = provider ?? name.pathProvider
        let below = builtinPrices(provider, name)
        let listed = user.isEmpty ? nil : listedName(of: below.first)
        var candidates: [(rank: MatchRank, isListed: Bool, index: Int)] = []
        for index in first..<max(first, user.count) {
            guard user[index].provider == nil || user[index].provider == provider else { continue }
            if let rank = user[index].rank(of: name) {
                candidates.append((rank, false, index))
            } else if let rank = listed.flatMap({ user[index].rank(of: $0) }) {
                candidates.append((rank, true, index))
            }
        }
        // A layer is one origin; within it the better match wins, then the earlier entry.
        candidates.sort {
            let (left, right) = (user[$0.index].origin, user[$1.index].origin)
            if left != right { return $0.index < $1.index }
            if $0.isListed != $1.isListed { return $1.isListed }
            return $0.rank != $1.rank ? $0.rank > $1.rank : $0.index < $1.index
        }
        var found: [MatchedPrice] = []
        for candidate in candidates where found.count < BuiltinPrices.maximumMatches {
            found += prices(of: candidate.index, provider, name, &steps)
        }
        return found + below
    }

    /// The model that the built-in table lists a dated name under: providers answer with `gpt-4o-2024-08-06`, users have
    /// a price for `gpt-4o`. Nil for a row that only stands in for the name's own.
    private func listedName(of price: MatchedPrice?) -> ModelName? {
        guard let price, price.match.isDisjoint(with: [.family, .withoutRegion]),
            builtin.rows.indices.contains(Int(price.reference.index))
        else { return nil }
        return ModelName(ASCII.trimmedAndLowered(builtin.bytes(builtin.rows[Int(price.reference.index)].model)))
    }

    /// What one entry of the user's gives.
    private func prices(of index: Int, _ provider: String?, _ name: ModelName, _ steps: inout Steps) -> [MatchedPrice] {
        let entry = user[index]
        if entry.row.hasPrice {
            let reference = PriceReference(index: PriceReference.firstUser + Int32(index))
            return [MatchedPrice(reference: reference, match: .userPrice, row: entry.row)]
        }
        let below: [MatchedPrice]
        if let target = entry.sameAs {
            let key = Array(target.utf8).withUnsafeBytes { ASCII.trimmedAndLowered($0) }
            below = resolve(entry.provider ?? provider, ModelName(key), from: 0, &steps)
        } else {
            below = resolve(provider, name, from: index + 1, &steps)
        }
        return below.compactMap { price in
            var result = price
            if entry.sameAs != nil { result.match.formUnion(.alias) }
            if let multiplier = entry.row[.multiplier] {
                let product = Money.divided(
                    Int128(price.row[.multiplier] ?? 1_000_000) * Int128(multiplier), by: 1_000_000)
                result.row[.multiplier] = Int64(clamping: product)
                result.match.formUnion(.multiplied)
            }
            result.row.validFrom = max(result.row.validFrom, entry.row.validFrom)
            result.row.validTo = min(result.row.validTo, entry.row.validTo)
            return result.row.validFrom < result.row.validTo ? result : nil
        }
    }

    private func builtinPrices(_ provider: String?, _ name: ModelName) -> [MatchedPrice] {
        if let provider {
            if let listed = builtin.provider(named: Array(provider.utf8)) {
                let found = builtin.find(name, provider: listed)
                if !found.isEmpty { return found }
            }
            for other in ProviderName.fallbacks(of: provider) {
                guard let listed = builtin.provider(named: Array(other.utf8)) else { continue }
                let found = builtin.find(name, provider: listed)
                if !found.isEmpty { return found.map { marked($0, .otherProvider) } }
            }
            return []
        }
        let providers = ProviderName.inferenceOrder.compactMap { builtin.provider(named: Array($0.utf8)) }
        for listed in providers {
            let exact = builtin.exactRows(name.full, listed)
            if !exact.isEmpty { return exact.map { marked($0, .inferredProvider) } }
        }
        for listed in providers {
            let found = builtin.find(name, provider: listed)
            if !found.isEmpty { return found.map { marked($0, .inferredProvider) } }
        }
        return []
    }

    private func marked(_ price: MatchedPrice, _ match: PriceMatch) -> MatchedPrice {
        var result = price
        result.match.formUnion(match)
        return result
    }
}
