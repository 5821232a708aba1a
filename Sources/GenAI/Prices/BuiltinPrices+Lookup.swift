extension BuiltinPrices {
    /// Rows that one look-up may give, so that periods of a model (and the next best rows) fit, but not more.
    static let maximumMatches = 12

    /// The rows for `name` at `provider`, the best first: those of exactly one of the names, else those that the best
    /// patterns match. Empty when there is none.
    func find(_ name: ModelName, provider: Provider) -> [MatchedPrice] {
        for form in name.forms {
            let exact = exactRows(form, provider)
            if !exact.isEmpty { return exact }
        }
        var family: [MatchedPrice] = []
        for form in name.forms {
            let found = patternRows(form, provider)
            guard let best = found.first else { continue }
            // A pattern for the whole of a shorter form is better than one for a part of a longer form.
            if !best.match.contains(.family) { return found }
            family = found
        }
        if !family.isEmpty { return family }
        return findReduced(name.bare, provider)
    }

    /// The same for the name without its region, then without its version marks.
    private func findReduced(_ name: [UInt8], _ provider: Provider) -> [MatchedPrice] {
        var candidates: [(name: [UInt8], match: PriceMatch)] = []
        let regionless = bytes(provider.name).elementsEqual("aws_bedrock".utf8) ? ModelName.withoutRegion(name) : nil
        if let regionless { candidates.append((regionless, .withoutRegion)) }
        if let shorter = ModelName.withoutVersionMarks(name) { candidates.append((shorter, .withoutVersion)) }
        if let regionless, let shorter = ModelName.withoutVersionMarks(regionless) {
            candidates.append((shorter, [.withoutRegion, .withoutVersion]))
        }
        for candidate in candidates {
            var found = exactRows(candidate.name, provider)
            if found.isEmpty { found = patternRows(candidate.name, provider) }
            if found.isEmpty { continue }
            return found.map { row in
                var result = row
                result.match.formUnion(candidate.match)
                return result
            }
        }
        return []
    }

    /// Rows whose model is `name`.
    func exactRows(_ name: [UInt8], _ provider: Provider) -> [MatchedPrice] {
        var found: [MatchedPrice] = []
        for index in provider.rows where equals(rows[index].model, name) && found.count < Self.maximumMatches {
            found.append(matched(index, []))
        }
        return found
    }

    private func matched(_ row: Int, _ match: PriceMatch) -> MatchedPrice {
        MatchedPrice(reference: PriceReference(index: Int32(row)), match: match, row: figures(row).row)
    }

    private func equals(_ span: Span, _ name: [UInt8]) -> Bool {
        guard Int(span.end - span.start) == name.count else { return false }
        let other = bytes(span)
        for index in 0..<name.count where ASCII.lowered(other[index]) != name[index] { return false }
        return true
    }

    /// Rows with a further name that fits, the best rank first; equal ranks in the table's order.
    func patternRows(_ name: [UInt8], _ provider: Provider) -> [MatchedPrice] {
        var found: [(rank: MatchRank, row: Int32)] = []
        for index in provider.names {
            let entry = names[index]
            guard let rank = rank(entry, name) else { continue }
            // A row counts once, with its best name; names of a row are neighbours.
            if let last = found.last, last.row == entry.row {
                if rank > last.rank { found[found.count - 1].rank = rank }
            } else {
                found.append((rank, entry.row))
            }
        }
        let best = found.enumerated().sorted {
            $0.element.rank != $1.element.rank ? $0.element.rank > $1.element.rank : $0.offset < $1.offset
        }
        return best.prefix(Self.maximumMatches).map { entry in
            let isWhole = entry.element.rank.anchors == 3 || isDated(name, ofRow: Int(entry.element.row))
            return matched(Int(entry.element.row), isWhole ? .pattern : .family)
        }
    }

    /// Whether `name` is a row's model and a date: no new member of a family.
    private func isDated(_ name: [UInt8], ofRow row: Int) -> Bool {
        let model = rows[row].model
        let count = Int(model.end - model.start)
        return count < name.count && equals(model, Array(name[..<count]))
            && NameSuffix.isDate(name[count...], allowsCompactAt: true)
    }

    /// How well a further name fits; nil when it does not.
    private func rank(_ entry: Name, _ name: [UInt8]) -> MatchRank? {
        if entry.kind == .expression {
            guard let found = expressions[Int(entry.expression)].match(name) else { return nil }
            if found.rank.anchors < 3, ModelName.namesVariant(name[found.end...]) { return nil }
            return found.rank
        }
        let text = bytes(entry.text)
        guard text.count <= name.count, let rest = remainder(entry.kind, text, name) else { return nil }
        switch entry.kind {
        case .whole where !rest.isEmpty, .suffix where !rest.isEmpty: return nil
        case .dated where !NameSuffix.isDate(rest, allowsCompactAt: true): return nil
        case .bedrockVersion where !NameSuffix.isBedrockVersion(rest): return nil
        case .compactOrLongDate where rest.isEmpty || !NameSuffix.isDate(rest, allowsCompactAt: false): return nil
        case .prefix where ModelName.namesVariant(rest), .part where ModelName.namesVariant(rest): return nil
        default: return MatchRank(anchors: entry.kind.anchors, literals: UInt16(clamping: text.count))
        }
    }

    /// What of `name` follows `text`, which stands at the start, at the end or anywhere, as the kind says.
    private func remainder(_ kind: NameKind, _ text: UnsafeRawBufferPointer, _ name: [UInt8]) -> ArraySlice<UInt8>? {
        func stands(at start: Int) -> Bool {
            for index in 0..<text.count where ASCII.lowered(text[index]) != name[start + index] { return false }
            return true
        }
        switch kind {
        case .suffix:
            let start = name.count - text.count
            return stands(at: start) ? name[name.count...] : nil
        case .part:
            for start in 0...(name.count - text.count) where stands(at: start) { return name[(start + text.count)...] }
            return nil
        default:
            return stands(at: 0) ? name[text.count...] : nil
        }
    }
}

/// What may follow a model's name without making it another model.
enum NameSuffix {
    /// Nothing, or `-YYYYMMDD`, `-YYYY-MM-DD`; and, with `allowsCompactAt`, `@YYYYMMDD`, `@default`, `@latest`, `-latest`.
    static func isDate(_ rest: ArraySlice<UInt8>, allowsCompactAt: Bool) -> Bool {
        guard let first = rest.first else { return true }
        let tail = rest.dropFirst()
        guard first == UInt8(ascii: "-") || (first == UInt8(ascii: "@") && allowsCompactAt) else { return false }
        if tail.count == 8, tail.allSatisfy(isDigit) { return true }
        if allowsCompactAt, tail.elementsEqual("latest".utf8) { return true }
        if first == UInt8(ascii: "@") { return tail.elementsEqual("default".utf8) }
        guard tail.count == 10 else { return false }
        return tail.enumerated().allSatisfy { index, byte in
            index == 4 || index == 7 ? byte == UInt8(ascii: "-") : isDigit(byte)
        }
    }

    /// Nothing, or `-v1`, `-v1:0`, `-v1:0:200k`, `-v1:200k`.
    static func isBedrockVersion(_ rest: ArraySlice<UInt8>) -> Bool {
        if rest.isEmpty { return true }
        guard rest.starts(with: "-v".utf8) else { return false }
        let parts = rest.dropFirst(2).split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            let isSize = index > 0 && index == parts.count - 1 && part.last == UInt8(ascii: "k")
            let digits = isSize ? part.dropLast() : part
            guard !digits.isEmpty, digits.allSatisfy(isDigit) else { return false }
            if index == 2, !isSize { return false }
        }
        return parts.count <= 3
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
}
