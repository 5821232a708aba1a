import Config
import Pipeline
import Telemetry
import Testing

@Suite struct MemoryLimitTests {
    private let megabyte = 1 << 20

    private func read(_ yaml: String) throws -> (limit: MemoryLimit?, diagnostics: ConfigDiagnostics) {
        let root = try ConfigLoader().load(configs: ["yaml:" + yaml]).root
        var diagnostics = ConfigDiagnostics()
        let limit = ConfigSection.decode(root, path: "processors::memory_limiter", into: &diagnostics) {
            MemoryLimit(from: $0)
        }
        return (limit, diagnostics)
    }

    @Test func mebibytes() throws {
        #expect(try read("limit_mib: 100").limit == MemoryLimit(limit: 100 * megabyte, spike: 20 * megabyte))
        let both = try read("{limit_mib: 100, spike_limit_mib: 30}").limit
        #expect(both == MemoryLimit(limit: 100 * megabyte, spike: 30 * megabyte))
    }

    @Test func percentages() throws {
        let total = SystemMemory.availableBytes
        let limit = try #require(try read("{limit_percentage: 50, spike_limit_percentage: 10}").limit)
        #expect(limit == MemoryLimit(limit: 50 * (total / 100), spike: 10 * (total / 100)))
        let mixed = try #require(try read("{limit_mib: 10, limit_percentage: 50}").limit)
        #expect(mixed.limit == 10 * megabyte, "limit_mib goes before limit_percentage, as in otelcol")
    }

    @Test func aLimitIsRequired() throws {
        for yaml in ["{}", "limit_mib: 0", "{limit_mib: 0, limit_percentage: 0}"] {
            let (limit, diagnostics) = try read(yaml)
            #expect(limit == nil)
            #expect(
                diagnostics.errors.map(\.message) == ["\"limit_mib\" or \"limit_percentage\" must be set and above 0"])
        }
    }

    @Test func theSpikeMustFit() throws {
        let (limit, diagnostics) = try read("{limit_mib: 10, spike_limit_mib: 10}")
        #expect(limit == nil)
        #expect(diagnostics.errors.map(\.message) == ["must be below the limit of 10 MiB"])
    }

    @Test func optionsWithoutEffectSaySo() throws {
        let (limit, diagnostics) = try read(
            "{limit_mib: 5, check_interval: 1s, min_gc_interval_when_soft_limited: 10s, "
                + "min_gc_interval_when_hard_limited: 0s}")
        #expect(limit != nil)
        #expect(diagnostics.warnings.count == 3)
        #expect(diagnostics.warnings.first?.path == "processors::memory_limiter::check_interval")
    }

    @Test func ranges() throws {
        for yaml in ["limit_mib: -1", "limit_percentage: 101", "limit_mib: 9999999999999", "limit_mib: lots"] {
            #expect(try read(yaml).limit == nil)
        }
    }

    @Test func theTighterBoundsWin() {
        let wide = MemoryLimit(limit: 100, spike: 50)
        let narrow = MemoryLimit(limit: 80, spike: 10)
        for both in [wide.tightened(by: narrow), narrow.tightened(by: wide)] {
            #expect(both == MemoryLimit(limit: 80, spike: 30))
        }
        #expect(wide.tightened(by: wide) == wide)
    }

    @Test func theDefaultLeavesRoom() {
        let limit = MemoryLimit.default
        #expect(limit.limit > 0 && limit.limit <= 2 << 30 && limit.spike == limit.limit / 5)
    }
}
