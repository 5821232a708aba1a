import OTLP
import TestSupport
import Testing
import Transport

@testable import Receivers

@Suite struct CORSPolicyTests {
    @Test(arguments: [
        ("https://a.example", "https://a.example", true), ("https://A.example", "https://a.EXAMPLE", true),
        ("https://a.example", "https://a.example.evil", false), ("https://a.example", "http://a.example", false),
        ("https://*.example", "https://x.example", true), ("https://*.example", "https://.example", true),
        ("https://*.example", "https://example", false), ("https://*.example", "https://x.example.evil", false),
        ("https://a*a", "https://a", false), ("*", "null", true), ("*", "", true),
    ])
    func origins(_ pattern: String, _ origin: String, _ allowed: Bool) {
        #expect(CORSPolicy(allowedOrigins: [pattern]).allows(origin: origin) == allowed)
    }

    @Test func preflights() throws {
        let harness = OTLPHarness {
            $0.cors = CORSPolicy(allowedOrigins: ["https://a.example"], allowedHeaders: ["X-Key"], maximumAge: 60)
        }
        let fields = "Origin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n"
        let reply = try harness.post([], type: nil, fields: fields, method: "OPTIONS")
        #expect(reply.status == 204)
        #expect(reply["access-control-allow-origin"] == "https://a.example")
        #expect(reply["access-control-allow-methods"] == "POST")
        #expect(reply["access-control-allow-headers"] == "Accept, Content-Type, X-Requested-With, X-Key")
        #expect(reply["access-control-max-age"] == "60")
        #expect(reply["vary"] == "Origin")
        let foreign = "Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n"
        let refused = try harness.post([], type: nil, fields: foreign, method: "OPTIONS")
        #expect(refused.status == 405)
        #expect(refused["access-control-allow-origin"] == nil)
    }

    @Test func anyHeaderIsEchoed() throws {
        let harness = OTLPHarness { $0.cors = CORSPolicy(allowedOrigins: ["*"], allowedHeaders: ["*"]) }
        let fields =
            "Origin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n"
            + "Access-Control-Request-Headers: x-one, x-two\r\n"
        let reply = try harness.post([], type: nil, fields: fields, method: "OPTIONS")
        #expect(reply["access-control-allow-headers"] == "x-one, x-two")
        #expect(reply["access-control-max-age"] == nil)
    }

    @Test func answersShowTheirOrigin() throws {
        let harness = OTLPHarness {
            $0.cors = CORSPolicy(allowedOrigins: ["https://a.example"], exposedHeaders: ["Retry-After"])
            $0.maximumBodySize = 1000
        }
        let origin = "Origin: https://a.example\r\n"
        let bodies: [[UInt8]] = [SampleRequests.bytes(.traces), [0xFF], [UInt8](repeating: 0, count: 2000)]
        for (body, status) in zip(bodies, [200, 400, 413]) {
            let reply = try harness.post(body, fields: origin)
            #expect(reply.status == status)
            #expect(reply["access-control-allow-origin"] == "https://a.example")
            #expect(reply["access-control-expose-headers"] == "Retry-After")
        }
        let foreign = try harness.post(SampleRequests.bytes(.traces), fields: "Origin: https://b.example\r\n")
        #expect(foreign.status == 200)
        #expect(foreign["access-control-allow-origin"] == nil)
        #expect(try harness.post(SampleRequests.bytes(.traces))["access-control-allow-origin"] == nil)
    }
}
