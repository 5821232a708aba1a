import Synchronization
import Testing

@testable import Transport

/// Addresses in turn, on a clock of the test's own; look-ups by name only where the test says so.
struct AddressRotationTests {
    private static let pause = AddressRotation.pauseNanoseconds

    private func state(_ addresses: String...) -> AddressRotation.State {
        var state = AddressRotation.State()
        state.update(addresses)
        return state
    }

    @Test func everyAddressHasItsTurn() {
        var state = state("a", "b", "c")
        #expect((0..<6).map { _ in state.next(now: 0, except: []) } == ["a", "b", "c", "a", "b", "c"])
    }

    @Test func nothingIsKnownYet() {
        var state = AddressRotation.State()
        #expect(state.next(now: 0, except: []) == nil)
    }

    @Test func aPausedOneIsPassedOverUntilItsTime() {
        var state = state("a", "b", "c")
        state.pause("b", until: 100)
        #expect((0..<4).map { _ in state.next(now: 99, except: []) } == ["a", "c", "a", "c"])
        let later = Set((0..<3).map { _ in state.next(now: 100, except: []) })
        #expect(later == ["a", "b", "c"])
    }

    @Test func whenAllArePausedTheFirstToReturnIsTaken() {
        var state = state("a", "b", "c")
        for (address, end) in [("a", 300), ("b", 100), ("c", 200)] as [(String, UInt64)] {
            state.pause(address, until: end)
        }
        #expect(state.next(now: 0, except: []) == "b")
        #expect(state.next(now: 0, except: ["b"]) == "c")
        #expect(state.next(now: 0, except: ["a", "b", "c"]) == nil)
    }

    @Test func aNewListKeepsPauses() {
        var state = state("a", "b")
        state.pause("b", until: 100)
        state.update(["b", "c"])
        #expect(state.addresses == [.init(address: "b", pausedUntil: 100), .init(address: "c")])
        state.update([])
        #expect(state.addresses.count == 2)
    }

    @Test func aNameIsLookedUpOncePerInterval() async {
        let (asked, sink) = AsyncStream<String>.makeStream()
        let rotation = AddressRotation("[::1]:4317") { host in
            sink.yield(host)
            return ["127.0.0.1"]
        }
        #expect(rotation.next(now: 0) == nil)
        var hosts = asked.makeAsyncIterator()
        #expect(await hosts.next() == "[::1]")
        // The look-up's thread may not be through yet, and its list is used from then on.
        while rotation.next(now: 1) == nil { await Task.yield() }
        #expect(rotation.next(now: 1) == "127.0.0.1")
        rotation.failed("127.0.0.1", now: 1)
        #expect(rotation.next(now: 2) == "127.0.0.1", "the only one there is")
        #expect(rotation.next(now: 2, except: ["127.0.0.1"]) == nil)
        _ = rotation.next(now: monotonicNanoseconds() + AddressRotation.refreshNanoseconds)
        #expect(await hosts.next() == "[::1]")
    }
}

@Suite struct EnvironmentProxyTests {
    private func mayBeUsed(_ host: String, isTLS: Bool = false, _ variables: [String: String]) -> Bool {
        EnvironmentProxy.mayBeUsed(for: host, isTLS: isTLS) { variables[$0] }
    }

    @Test func whichVariablesCount() {
        #expect(!mayBeUsed("a.test", [:]))
        #expect(mayBeUsed("a.test", ["http_proxy": "http://p"]))
        #expect(!mayBeUsed("a.test", ["http_proxy": ""]))
        #expect(!mayBeUsed("a.test", ["HTTP_PROXY": "http://p", "https_proxy": "http://p", "HTTPS_PROXY": "http://p"]))
        #expect(mayBeUsed("a.test", isTLS: true, ["HTTPS_PROXY": "http://p"]))
        #expect(!mayBeUsed("a.test", isTLS: true, ["http_proxy": "http://p"]))
        for name in ["all_proxy", "ALL_PROXY"] {
            #expect(mayBeUsed("a.test", [name: "socks5://p"]) && mayBeUsed("a.test", isTLS: true, [name: "socks5://p"]))
        }
    }

    @Test func exceptions() {
        func isExcepted(_ host: String, _ list: String, name: String = "no_proxy") -> Bool {
            !mayBeUsed(host, ["http_proxy": "http://p", name: list])
        }
        #expect(isExcepted("a.test", "*") && isExcepted("a.test", "a.test") && isExcepted("A.Test", "b, a.TEST"))
        #expect(
            isExcepted("x.a.test", "a.test") && isExcepted("x.a.test", ".a.test") && isExcepted("a.test", ".a.test"))
        #expect(isExcepted("[::2]", "::2") && isExcepted("10.0.0.1", "10.0.0.1", name: "NO_PROXY"))
        #expect(!isExcepted("xa.test", "a.test") && !isExcepted("a.test", "") && !isExcepted("a.test", "x.a.test"))
        #expect(!isExcepted("10.0.0.1", "10.0.0.0/8"))
    }
}
