/// A class of things that providers count and bill. The raw value is a storage slot and a bit of `TokenUsage.Classes`.
package enum TokenClass: UInt8, CaseIterable, Sendable {
    /// All prompt tokens: uncached, cache read, cache written, audio.
    case input
    /// Prompt tokens served from a cache. Part of `input`.
    case cacheRead
    /// Prompt tokens written to a cache of the default life time (five minutes). Part of `input`.
    case cacheWrite5m
    /// Prompt tokens written to a cache that lives an hour. Part of `input`.
    case cacheWrite1h
    /// Audio prompt tokens, cached ones too. Part of `input`.
    case audioInput
    /// Audio prompt tokens served from a cache. Part of `audioInput`, and of `cacheRead`.
    case cachedAudioInput
    /// All completion tokens: text, reasoning, audio.
    case output
    /// Reasoning ("thinking") tokens. Part of `output`.
    case reasoning
    /// Audio completion tokens. Part of `output`.
    case audioOutput
    /// Generated images.
    case images
    /// Billed requests or search units (rerank, search models). Nil means: what one call bills, one.
    case requests
}

/// What one model call used, in the one normal form that prices are applied to.
///
/// Invariants the producer establishes, whatever the provider or the instrumentation reported:
/// - `input` is inclusive: uncached + cacheRead + cacheWrite5m + cacheWrite1h + audioInput - cachedAudioInput, where the
///   last term is there because a cached audio token is part of both cacheRead and audioInput.
/// - `output` is inclusive: text + reasoning + audioOutput.
/// - nil is "not reported", which is not zero.
///
/// Every count is in 0...`maximumCount`. A number outside it is not stored: its class is put in `invalid`, and stays
/// there, so that a hostile or broken count can neither trap nor be billed. Parts that exceed their total are legal
/// here (emitters do that); the derived counts (`uncachedTextInput`, `textOutput`) have a floor of zero.
///
/// A value type of fixed size without heap parts; usable per span.
package struct TokenUsage: Sendable, Equatable {
    /// The largest believable count of one call (2^50). Sums of all classes of some thousand calls still fit an Int64.
    package static let maximumCount: Int64 = 1 << 50

    /// A set of token classes.
    package struct Classes: OptionSet, Sendable, Hashable {
        package let rawValue: UInt16
        package init(rawValue: UInt16) { self.rawValue = rawValue }
        package init(_ one: TokenClass) { rawValue = 1 << UInt16(one.rawValue) }
    }

    private static let slots = TokenClass.allCases.count
    private static let absent: Int64 = -1

    private var counts = InlineArray<11, Int64>(repeating: TokenUsage.absent)

    /// The classes for which a negative, fractional or absurdly large number was given. Sticky.
    package private(set) var invalid: Classes = []

    /// Nothing reported.
    package init() {}

    /// A usage of the given counts; the same rules as for assigning each (`invalid`).
    package init(
        input: Int64? = nil, cacheRead: Int64? = nil, cacheWrite5m: Int64? = nil, cacheWrite1h: Int64? = nil,
        audioInput: Int64? = nil, cachedAudioInput: Int64? = nil, output: Int64? = nil, reasoning: Int64? = nil,
        audioOutput: Int64? = nil, images: Int64? = nil, requests: Int64? = nil
    ) {
        self[.input] = input
        self[.cacheRead] = cacheRead
        self[.cacheWrite5m] = cacheWrite5m
        self[.cacheWrite1h] = cacheWrite1h
        self[.audioInput] = audioInput
        self[.cachedAudioInput] = cachedAudioInput
        self[.output] = output
        self[.reasoning] = reasoning
        self[.audioOutput] = audioOutput
        self[.images] = images
        self[.requests] = requests
    }

    /// The count of one class; nil when it was not reported, or was invalid. Assigning nil takes a report back (but not
    /// its mark in `invalid`).
    package subscript(_ tokenClass: TokenClass) -> Int64? {
        get {
            let count = counts[Int(tokenClass.rawValue)]
            return count == Self.absent ? nil : count
        }
        set {
            guard let newValue else {
                counts[Int(tokenClass.rawValue)] = Self.absent
                return
            }
            guard newValue >= 0, newValue <= Self.maximumCount else {
                markInvalid(tokenClass)
                return
            }
            counts[Int(tokenClass.rawValue)] = newValue
        }
    }

    /// Whether input or output has a count.
    package var hasText: Bool {
        counts[Int(TokenClass.input.rawValue)] >= 0 || counts[Int(TokenClass.output.rawValue)] >= 0
    }

    /// Input, output, cache reads, all cache writes and reasoning; 0 for what was not reported.
    package func copyBilled(to target: inout InlineArray<5, Int64>) {
        target[0] = max(0, counts[Int(TokenClass.input.rawValue)])
        target[1] = max(0, counts[Int(TokenClass.output.rawValue)])
        target[2] = max(0, counts[Int(TokenClass.cacheRead.rawValue)])
        let (short, long) = (counts[Int(TokenClass.cacheWrite5m.rawValue)], counts[Int(TokenClass.cacheWrite1h.rawValue)])
        target[3] = max(0, short) + max(0, long)
        target[4] = max(0, counts[Int(TokenClass.reasoning.rawValue)])
    }

    /// Sets input and output of a usage that has nothing else yet. Negative: not reported; otherwise at most
    /// `maximumCount`.
    @inline(__always)
    mutating func setText(input: Int64, output: Int64) {
        counts[Int(TokenClass.input.rawValue)] = input
        counts[Int(TokenClass.output.rawValue)] = output
    }

    /// Stores a count that came as a floating point number (JSON bridges report 12.0). NaN, an infinity, a fraction and
    /// whatever is outside 0...`maximumCount` mark the class invalid.
    package mutating func set(_ tokenClass: TokenClass, to value: Double) {
        guard value >= 0, value <= Double(Self.maximumCount), value.rounded(.towardZero) == value else {
            markInvalid(tokenClass)
            return
        }
        self[tokenClass] = Int64(value)
    }

    /// Adds to the count of one class (a class that was not reported counts as 0). What leaves 0...`maximumCount` marks
    /// the class invalid.
    package mutating func add(_ value: Int64, to tokenClass: TokenClass) {
        let (sum, overflow) = (self[tokenClass] ?? 0).addingReportingOverflow(value)
        guard value >= 0, !overflow else {
            markInvalid(tokenClass)
            return
        }
        self[tokenClass] = sum
    }

    /// Notes that a number was given for this class, but one that cannot be read. Its count becomes nil.
    package mutating func markInvalid(_ tokenClass: TokenClass) {
        counts[Int(tokenClass.rawValue)] = Self.absent
        invalid.insert(Classes(tokenClass))
    }

    /// True when no class has a count. An invalid class is not a count.
    package var isEmpty: Bool {
        for slot in 0..<Self.slots where counts[slot] != Self.absent { return false }
        return true
    }

    /// True when nothing but text was used, and nothing is invalid.
    var hasTextOnly: Bool {
        // Counts are -1 when absent.
        invalid.isEmpty
            && counts[4] & counts[5] & counts[8] & counts[9] & counts[10] == Self.absent
    }

    /// All prompt tokens, inclusive of cached, written and audio ones.
    package var input: Int64? {
        get { self[.input] }
        set { self[.input] = newValue }
    }
    /// Prompt tokens read from a cache; part of `input`.
    package var cacheRead: Int64? {
        get { self[.cacheRead] }
        set { self[.cacheRead] = newValue }
    }
    /// Prompt tokens written to the default (five minutes) cache; part of `input`.
    package var cacheWrite5m: Int64? {
        get { self[.cacheWrite5m] }
        set { self[.cacheWrite5m] = newValue }
    }
    /// Prompt tokens written to the one-hour cache; part of `input`.
    package var cacheWrite1h: Int64? {
        get { self[.cacheWrite1h] }
        set { self[.cacheWrite1h] = newValue }
    }
    /// Audio prompt tokens; part of `input`.
    package var audioInput: Int64? {
        get { self[.audioInput] }
        set { self[.audioInput] = newValue }
    }
    /// Audio prompt tokens read from a cache; part of `audioInput` and of `cacheRead`.
    package var cachedAudioInput: Int64? {
        get { self[.cachedAudioInput] }
        set { self[.cachedAudioInput] = newValue }
    }
    /// All completion tokens, inclusive of reasoning and audio ones.
    package var output: Int64? {
        get { self[.output] }
        set { self[.output] = newValue }
    }
    /// Reasoning tokens; part of `output`.
    package var reasoning: Int64? {
        get { self[.reasoning] }
        set { self[.reasoning] = newValue }
    }
    /// Audio completion tokens; part of `output`.
    package var audioOutput: Int64? {
        get { self[.audioOutput] }
        set { self[.audioOutput] = newValue }
    }
    /// Generated images.
    package var images: Int64? {
        get { self[.images] }
        set { self[.images] = newValue }
    }
    /// Billed requests or search units.
    package var requests: Int64? {
        get { self[.requests] }
        set { self[.requests] = newValue }
    }

    /// Prompt tokens that are neither cached nor written nor audio: what the plain input price applies to. Never
    /// negative: parts that exceed the total leave zero. Zero when `input` is nil.
    package var uncachedTextInput: Int64 {
        guard let input else { return 0 }
        let cachedAudio = min(cachedAudioInput ?? 0, audioInput ?? 0, cacheRead ?? 0)
        let parts = (cacheRead ?? 0) + (cacheWrite5m ?? 0) + (cacheWrite1h ?? 0) + (audioInput ?? 0) - cachedAudio
        return max(0, input - parts)
    }

    /// Completion tokens that are neither reasoning nor audio. Never negative; zero when `output` is nil.
    package var textOutput: Int64 {
        max(0, (output ?? 0) - (reasoning ?? 0) - (audioOutput ?? 0))
    }

    /// Whether every class has the same count, or none, and the same classes are invalid.
    package static func == (left: TokenUsage, right: TokenUsage) -> Bool {
        for slot in 0..<slots where left.counts[slot] != right.counts[slot] { return false }
        return left.invalid == right.invalid
    }
}
