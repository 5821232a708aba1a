import GenAI
import Testing

@Suite struct PricesTokenUsageTests {
    @Test func absentIsNotZero() {
        var usage = TokenUsage()
        #expect(usage.isEmpty)
        #expect(usage.input == nil)
        usage.input = 0
        #expect(usage.input == 0)
        #expect(!usage.isEmpty)
        usage.input = nil
        #expect(usage.isEmpty)
    }

    @Test func hostileNumbersAreMarkedAndNeverStored() {
        var usage = TokenUsage(input: -1, output: .max, images: TokenUsage.maximumCount)
        #expect(usage.input == nil && usage.output == nil)
        #expect(usage.images == TokenUsage.maximumCount)
        #expect(usage.invalid == [.init(.input), .init(.output)])
        usage.add(1, to: .images)
        #expect(usage.images == nil && usage.invalid.contains(.init(.images)))
        for value in [Double.nan, .infinity, -.infinity, -1, 0.5, 1e300, 0x1p51] {
            var usage = TokenUsage(input: 3)
            usage.set(.input, to: value)
            #expect(usage.input == nil && usage.invalid == .init(.input), "\(value)")
        }
        var adding = TokenUsage(input: 3)
        adding.add(.max, to: .input)
        #expect(adding.invalid == .init(.input))
        var negative = TokenUsage(input: 3)
        negative.add(-1, to: .input)
        #expect(negative.invalid == .init(.input))
    }

    @Test func wholeDoublesAreCounts() {
        var usage = TokenUsage()
        usage.set(.output, to: 12.0)
        #expect(usage.output == 12)
    }

    @Test func derivedCountsHaveAFloor() {
        #expect(TokenUsage(input: 10, cacheRead: 20).uncachedTextInput == 0)
        #expect(TokenUsage(output: 5, reasoning: 9).textOutput == 0)
        #expect(TokenUsage(cacheRead: 20).uncachedTextInput == 0)
    }

    @Test func cachedAudioIsSubtractedOnce() {
        let usage = TokenUsage(input: 100, cacheRead: 30, audioInput: 40, cachedAudioInput: 10)
        #expect(usage.uncachedTextInput == 40)
        let absurd = TokenUsage(input: 100, cacheRead: 30, audioInput: 40, cachedAudioInput: 1000)
        #expect(absurd.uncachedTextInput == 60)
    }

    @Test func unequalWhenAnyClassDiffers() {
        for tokenClass in TokenClass.allCases {
            var usage = TokenUsage()
            usage[tokenClass] = 1
            #expect(usage != TokenUsage())
            var marked = TokenUsage()
            marked.markInvalid(tokenClass)
            #expect(marked != TokenUsage())
        }
    }
}
