import GenAI
import Testing

/// SplitMix64: the same numbers for the same seed on every machine.
struct SeededDice: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

@Suite struct PricesMoneyTests {
    @Test(arguments: [
        ("0", "0"), ("0.0075", "0.0075"), ("-0.5", "-0.5"), ("1e-6", "0.000001"), ("2.50E2", "250"), ("+3.", "3"),
        (".5", "0.5"), ("0.000000000000000000001", "0.000000000000000000001"), ("1000000", "1000000"),
        ("1.00000000000000000000000000000000000000", "1"), ("0.0833333333333e-6", "0.0000000833333333333"),
        ("-0", "0"), ("0e999", "0"),
    ])
    func decimalTextIsExact(text: String, printed: String) throws {
        let money = try Money(parsing: text)
        #expect(money.description == printed)
        #expect(try Money(parsing: money.description) == money)
    }

    @Test(arguments: [
        ("", DecimalText.Failure.malformed), (".", .malformed), ("-", .malformed), ("1e", .malformed),
        ("1e+", .malformed), ("1.2.3", .malformed), ("0x1", .malformed), ("1 ", .malformed), ("nan", .malformed),
        ("inf", .malformed), ("1,5", .malformed), ("١", .malformed), ("1e-22", .tooPrecise), ("1e-99999", .tooPrecise),
        ("1e18", .outOfRange), ("1e99999", .outOfRange), (String(repeating: "9", count: 40), .outOfRange),
        (String(repeating: "1", count: 65), .outOfRange), ("0.0000000000000000000001", .tooPrecise),
    ])
    func unusableTextIsRefused(text: String, failure: DecimalText.Failure) {
        #expect(throws: failure) { try Money(parsing: text) }
    }

    @Test func sumsStopAtTheLimits() {
        #expect(Money.limit + Money.limit == Money.limit)
        #expect(-Money.limit - Money.limit == -Money.limit)
        #expect(Money(zeptodollars: .min) == -Money.limit)
        #expect(Money.limit.addingReportingOverflow(Money(zeptodollars: 1)).overflow)
        #expect(!Money.limit.addingReportingOverflow(-Money.limit).overflow)
        #expect(Money(picodollars: .max) == Money.limit)
        #expect(Money(picodollars: .min) == -Money.limit)
    }

    @Test func tenMillionAdditionsDoNotDrift() {
        // Random prices per token, each added twice and taken back once in another order: integers must agree exactly.
        var dice = SeededDice(state: 20_261_121)
        var total = Money.zero
        var expected: Int128 = 0
        for _ in 0..<10_000_000 {
            let part = Int128(dice.next() >> 4)
            total += Money(zeptodollars: part)
            expected += part
        }
        #expect(total.zeptodollars == expected)
        var back = SeededDice(state: 20_261_121)
        for _ in 0..<10_000_000 { total -= Money(zeptodollars: Int128(back.next() >> 4)) }
        #expect(total == .zero)
    }

    @Test func doublesAreTheNearest() throws {
        for text in [
            "0.0075", "0.01604928", "2.19", "0.4100025", "1e-6", "0.1", "123456.789", "-0.3", "0.000000000001",
        ] {
            #expect(try Money(parsing: text).doubleValue == Double(text), "\(text)")
        }
        var dice = SeededDice(state: 7)
        for _ in 0..<20_000 {
            let money = Money(picodollars: Int128(dice.next() >> 14))
            #expect(money.doubleValue == Double(money.description))
        }
    }

    @Test func roundingIsHalfToEven() throws {
        #expect(try Money(parsing: "0.125").rounded(to: 2) == "0.12")
        #expect(try Money(parsing: "0.135").rounded(to: 2) == "0.14")
        #expect(try Money(parsing: "-0.125").rounded(to: 2) == "-0.12")
        #expect(try Money(parsing: "-0.1251").rounded(to: 2) == "-0.13")
        #expect(try Money(parsing: "2.5").rounded(to: 0) == "2")
        #expect(try Money(parsing: "3").rounded(to: 4) == "3.0000")
        #expect(try Money(parsing: "0.0000000000005").picodollars == 0)
        #expect(try Money(parsing: "0.0000000000015").picodollars == 2)
    }
}
