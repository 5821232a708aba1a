/// The forms under which a model's name is looked up. All are lower case.
struct ModelName {
    /// Bytes of a name that is looked at; a longer one is unknown.
    static let maximumLength = 512
    private static let maximumForms = 6

    /// As it was given, without white space around it; then without one after the other of the path parts that say who
    /// hosts it (`openai/`, `models/`, `publishers/google/models/`), and of an ARN only the model's part.
    let forms: [[UInt8]]
    /// The provider that the first path part names, if any.
    let pathProvider: String?

    /// Path parts that name no provider of the table, but come before names all the same.
    private static let wrappers: Set<String> = ["models", "converse", "invoke", "chat", "litellm_proxy", "litellm"]
    private static let regions: [String] = [
        "global", "us", "us-gov", "eu", "apac", "au", "jp", "in", "ca", "sa", "me", "af",
    ]

    /// As it was given.
    var full: [UInt8] { forms[0] }
    /// Without any of the path.
    var bare: [UInt8] { forms[forms.count - 1] }

    /// `text` as `ASCII.trimmedAndLowered` gives it.
    init(_ text: [UInt8]) {
        var forms = [text]
        var rest = text[...]
        if text.starts(with: Array("arn:".utf8)) {
            for marker in ["foundation-model/", "/inference-profile/", ":inference-profile/"] {
                if let end = Self.find(marker, in: rest) {
                    rest = rest[end...]
                    break
                }
            }
        } else if let end = Self.find("/models/", in: rest), Self.isModelPath(rest[..<end]) {
            rest = rest[end...]
        }
        if rest.count < text.count { forms.append(Array(rest)) }
        var named: String?
        while let slash = rest.firstIndex(of: UInt8(ascii: "/")), slash + 1 < rest.endIndex {
            let part = Array(rest[..<slash])
            let provider = ProviderName.ofPathPart(part)
            guard provider != nil || Self.wrappers.contains(String(decoding: part, as: UTF8.self)) else { break }
            named = named ?? provider
            rest = rest[(slash + 1)...]
            forms.append(Array(rest))
            if forms.count > Self.maximumForms { break }
        }
        self.forms = forms
        pathProvider = named
    }

    private static func isModelPath(_ path: ArraySlice<UInt8>) -> Bool {
        ["projects/", "publishers/", "accounts/"].contains { path.starts(with: Array($0.utf8)) }
    }

    /// The offset behind the first `marker`.
    private static func find(_ marker: String, in text: ArraySlice<UInt8>) -> Int? {
        let wanted = Array(marker.utf8)
        guard text.count >= wanted.count else { return nil }
        for start in text.startIndex...(text.endIndex - wanted.count) where text[start...].starts(with: wanted) {
            return start + wanted.count
        }
        return nil
    }

    /// Without Bedrock's region (`us.`, `eu.` …, or `us-east-1/`) at the start; nil when there is none.
    static func withoutRegion(_ name: [UInt8]) -> [UInt8]? {
        if let slash = name.firstIndex(of: UInt8(ascii: "/")), slash + 1 < name.count, slash <= 20 {
            let parts = name[..<slash].split(separator: UInt8(ascii: "-"))
            guard parts.count >= 3, parts[0].count == 2, parts[parts.count - 1].count == 1,
                let last = name[..<slash].last, last >= UInt8(ascii: "0"), last <= UInt8(ascii: "9")
            else { return nil }
            return Array(name[(slash + 1)...])
        }
        guard let dot = name.firstIndex(of: UInt8(ascii: ".")) else { return nil }
        guard regions.contains(String(decoding: name[..<dot], as: UTF8.self)), dot + 1 < name.count else { return nil }
        return Array(name[(dot + 1)...])
    }

    /// Without marks of a version at the end: `@…`, `-YYYYMMDD`, `-YYYY-MM-DD`, `-latest`, `:0`, `-v1`, `-001`; nil when
    /// there is none.
    static func withoutVersionMarks(_ name: [UInt8]) -> [UInt8]? {
        var rest = name[...]
        while let shorter = withoutLastMark(rest) { rest = shorter }
        return rest.count < name.count && !rest.isEmpty ? Array(rest) : nil
    }

    private static func withoutLastMark(_ name: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        if let at = name.lastIndex(of: UInt8(ascii: "@")) { return name[..<at] }
        if name.count > 7, name.suffix(7).elementsEqual("-latest".utf8) { return name.dropLast(7) }
        let digits = name.reversed().prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }.count
        guard digits > 0, digits < name.count else { return nil }
        let mark = name.endIndex - digits - 1
        let before = name[..<mark]
        switch name[mark] {
        case UInt8(ascii: ":"): return before
        case UInt8(ascii: "-") where digits == 8 || digits == 3: return before
        case UInt8(ascii: "-") where digits == 2: return withoutLongDate(before)
        case UInt8(ascii: "v") where digits <= 2 && before.last == UInt8(ascii: "-"): return before.dropLast()
        default: return nil
        }
    }

    /// `-YYYY-MM` at the end, of a date whose day was taken off already.
    private static func withoutLongDate(_ name: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard name.count > 8 else { return nil }
        let tail = Array(name.suffix(8))
        for (index, byte) in tail.enumerated() {
            let isDash = index == 0 || index == 5
            let isDigit = byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
            guard isDash ? byte == UInt8(ascii: "-") : isDigit else { return nil }
        }
        return name.dropLast(8)
    }

    /// Words that make a name another model, with prices of its own, than the family that it starts with.
    private static let variants: Set<String> = [
        "mini", "nano", "micro", "lite", "pro", "max", "ultra", "plus", "tts", "image", "audio", "realtime",
        "transcribe", "search", "codex", "live", "embedding", "embed", "flash", "instruct", "vision", "turbo", "large",
        "medium", "small", "native", "speech", "fast", "8b",
    ]

    /// Whether what follows a family's name makes it another model.
    static func namesVariant(_ rest: ArraySlice<UInt8>) -> Bool {
        rest.split {
            $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "/")
        }
        .contains { variants.contains(String(decoding: $0, as: UTF8.self)) }
    }
}
