/// What a row of prices says. Prices for tokens are in femtodollars (10^-15 dollars) per million tokens, which is
/// zeptodollars (10^-21 dollars) per token.
package enum PriceField: UInt8, CaseIterable, Sendable {
    /// Uncached text input.
    case input
    /// Text output.
    case output
    /// Cached input; without it: input.
    case cacheRead
    /// Input written to a five-minute cache; without it: input.
    case cacheWrite5m
    /// Input written to a one-hour cache; without it: the five-minute price.
    case cacheWrite1h
    /// Reasoning; without it: output.
    case reasoning
    /// Audio input; without it: input.
    case audioInput
    /// Audio output; without it: output.
    case audioOutput
    /// Cached audio input; without it: cached input.
    case cachedAudioInput
    /// Input, when the whole request is above the threshold; without it: unchanged. So for the next four.
    case inputAbove
    /// Output above the threshold.
    case outputAbove
    /// Cached input above the threshold.
    case cacheReadAbove
    /// Five-minute cache writes above the threshold.
    case cacheWrite5mAbove
    /// One-hour cache writes above the threshold.
    case cacheWrite1hAbove
    /// Input in batch processing; without it: the discount.
    case batchInput
    /// Output in batch processing; without it: the discount.
    case batchOutput
    /// Cached input in batch processing; without it: the standard price.
    case batchCacheRead
    /// Input in flex processing; without it: the standard price. So for the next five.
    case flexInput
    /// Output in flex processing.
    case flexOutput
    /// Cached input in flex processing.
    case flexCacheRead
    /// Input in priority processing.
    case priorityInput
    /// Output in priority processing.
    case priorityOutput
    /// Cached input in priority processing.
    case priorityCacheRead
    /// Femtodollars per generated image.
    case perImage
    /// Femtodollars per request, or per search unit of a rerank.
    case perRequest
    /// What batch processing takes off input and output, in millionths.
    case batchDiscount
    /// Tokens of input (inclusive) above which the whole request pays the higher prices.
    case threshold
    /// What all token prices are multiplied with inside the peak windows, in millionths.
    case peakMultiplier
    /// What all prices are multiplied with, in millionths: a negotiated discount, a margin, a region.
    case multiplier

    /// Whether it is a price of tokens.
    var isTokenPrice: Bool { rawValue <= PriceField.priorityCacheRead.rawValue }
}

/// What kind of call a price or an operation is for.
package enum CallMode: UInt8, CaseIterable, Sendable {
    /// Not known.
    case unknown
    /// Chat and whatever is billed like it (responses, realtime).
    case chat
    /// Plain completion.
    case completion
    /// Embeddings: there is no output.
    case embedding
    /// Rerank: often billed by search unit.
    case rerank
    /// Images, often billed by the image.
    case image
    /// Speech from text.
    case speech
    /// Text from speech.
    case transcription
    /// No call of a model (an agent's or a tool's span): nothing is billed.
    case none

    /// The mode of a table's name, such as `image_generation`.
    init?(tableName: some StringProtocol) {
        switch tableName {
        case "chat", "responses", "realtime": self = .chat
        case "completion": self = .completion
        case "embedding": self = .embedding
        case "rerank": self = .rerank
        case "image_generation": self = .image
        case "audio_speech": self = .speech
        case "audio_transcription": self = .transcription
        default: return nil
        }
    }

    /// The name in tables and price files.
    package var name: String {
        switch self {
        case .unknown: ""
        case .chat: "chat"
        case .completion: "completion"
        case .embedding: "embedding"
        case .rerank: "rerank"
        case .image: "image_generation"
        case .speech: "audio_speech"
        case .transcription: "audio_transcription"
        case .none: "none"
        }
    }

    /// The mode of a `gen_ai.operation.name`, in any case; `unknown` for one that is not known.
    package init(operation: UnsafeRawBufferPointer) {
        func `is`(_ name: StaticString) -> Bool { ASCII.equalsIgnoringCase(operation, name) }
        switch operation.count {
        case 4 where `is`("chat"): self = .chat
        case 6 where `is`("rerank"): self = .rerank
        case 9 where `is`("embedding"): self = .embedding
        case 10 where `is`("embeddings"): self = .embedding
        case 12 where `is`("execute_tool") || `is`("invoke_agent") || `is`("create_agent"): self = .none
        case 15 where `is`("text_completion"): self = .completion
        case 15 where `is`("invoke_workflow"): self = .none
        case 16 where `is`("generate_content"): self = .chat
        case 16 where `is`("image_generation"): self = .image
        default: self = .unknown
        }
    }
}

/// The prices of one model in one period, and the conditions they are under. A fixed-size value without heap parts.
package struct PriceRow: Sendable {
    private static let absent: Int64 = -1
    private var values = InlineArray<29, Int64>(repeating: PriceRow.absent)

    /// The first day, UTC, on which it holds (`PriceDay.open`: always did).
    var validFrom = PriceDay.open
    /// The first day on which it does not hold any more (`PriceDay.never`: holds on).
    var validTo = PriceDay.never
    /// What kind of call it is for.
    package var mode = CallMode.unknown
    private(set) var peakCount: UInt8 = 0
    private var peaks = InlineArray<4, PeakWindow>(repeating: PeakWindow())

    /// A row without prices.
    init() {}

    /// A figure in the unit of its field; nil when the row does not say.
    package subscript(_ field: PriceField) -> Int64? {
        get {
            let value = values[Int(field.rawValue)]
            return value == Self.absent ? nil : value
        }
        set { values[Int(field.rawValue)] = max(newValue ?? Self.absent, Self.absent) }
    }

    /// Adds a peak window; false when there are `PeakWindow.maximumCount` already.
    mutating func addPeak(_ window: PeakWindow) -> Bool {
        guard Int(peakCount) < PeakWindow.maximumCount else { return false }
        peaks[Int(peakCount)] = window
        peakCount += 1
        return true
    }

    /// The peak windows.
    var peakWindows: [PeakWindow] { (0..<Int(peakCount)).map { peaks[$0] } }

    /// Whether `minute` of a day lies in a peak window.
    func isPeak(minute: UInt16) -> Bool {
        for index in 0..<Int(peakCount) where peaks[index].start <= minute && minute < peaks[index].end { return true }
        return false
    }

    /// Whether the row holds on `day`.
    func holds(on day: Int32) -> Bool { validFrom <= day && day < validTo }

    /// Whether it has any price.
    var hasPrice: Bool {
        for field in PriceField.allCases where field.isTokenPrice || field == .perImage || field == .perRequest {
            if self[field] != nil { return true }
        }
        return false
    }
}

/// Comparisons of bytes that ignore the case of ASCII letters.
enum ASCII {
    static func lowered(_ byte: UInt8) -> UInt8 {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
    }

    /// Whether `text` equals `name`, which is lower case.
    static func equalsIgnoringCase(_ text: UnsafeRawBufferPointer, _ name: StaticString) -> Bool {
        guard text.count == name.utf8CodeUnitCount else { return false }
        for index in 0..<text.count where lowered(text[index]) != name.utf8Start[index] { return false }
        return true
    }

    /// A lower-case copy without white space and control characters at its ends.
    static func trimmedAndLowered(_ text: UnsafeRawBufferPointer) -> [UInt8] {
        var slice = text[...]
        while let first = slice.first, first <= 0x20 { slice.removeFirst() }
        while let last = slice.last, last <= 0x20 { slice.removeLast() }
        return slice.map(lowered)
    }
}
