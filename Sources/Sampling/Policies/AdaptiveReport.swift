/// The present rates of an adaptive policy, for somebody who looks.
package struct AdaptiveReport: Sendable {
    /// A key and what becomes of its traces.
    package struct Key: Sendable {
        /// The values that make the key, as text.
        package let name: String
        /// What comes in an interval, in units of the goal, about.
        package let amount: Double
        /// From 0 to 1; nil before the first adjustment.
        package let share: Double?
    }

    /// The policy's name, behind those of the policies around it.
    package let policy: [String]
    package let unit: AdaptiveSpec.Unit
    /// Keys that have a rate.
    package let count: Int
    /// The keys that most comes of.
    package let keys: [Key]
}

extension PolicyProgram {
    /// The present rates of the adaptive policies, of each up to `limit` keys.
    package func adaptiveReports(limit: Int) -> [AdaptiveReport] {
        adaptiveSamplers.map { name, sampler in
            let keys = sampler.keys(limit: limit)
            return AdaptiveReport(
                policy: name.utf8.split(separator: 0).map { String(decoding: $0, as: UTF8.self) },
                unit: sampler.spec.unit, count: sampler.keyCount, keys: keys)
        }
    }
}
