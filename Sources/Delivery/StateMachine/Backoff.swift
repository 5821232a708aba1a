/// Exponential backoff with jitter, from a seeded generator.
struct Backoff: Sendable {
    let settings: RetrySettings
    private var generator: SplitMix64

    init(_ settings: RetrySettings, seed: UInt64) {
        self.settings = settings
        generator = SplitMix64(state: seed)
    }

    /// The wait for `interval` (nil stands for the first one), and the interval of the wait after it.
    mutating func wait(for interval: Duration?) -> (delay: Duration, next: Duration) {
        let interval = interval ?? settings.initialInterval
        let seconds = Self.seconds(interval)
        let spread = settings.randomizationFactor
        let factor = spread > 0 ? Double.random(in: (1 - spread)...(1 + spread), using: &generator) : 1
        let grown = min(seconds * settings.multiplier, Self.seconds(settings.maxInterval))
        return (.seconds(seconds * factor), .seconds(grown))
    }

    private static func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
    }
}

/// Steele, Lea and Flood's SplitMix64: a small generator whose sequence depends on its seed only.
package struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(state: UInt64) { self.state = state }

    /// The next number of the sequence.
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
