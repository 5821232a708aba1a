/// The profile `plain`: requests to a shop.
enum PlainTrace {
    static let services = ["frontend", "checkout", "inventory", "payments"]

    /// A page: route at the frontend, and the calls that it takes, each with the service's index, its route and the
    /// statement that the service runs.
    struct Page: Sendable {
        var route: StaticString
        var calls: [(service: Int, route: StaticString, statement: StaticString)]
    }

    static let pages: [Page] = [
        Page(
            route: "GET /products/{id}",
            calls: [(2, "GET /stock/{id}", "SELECT stock"), (1, "GET /cart", "SELECT carts")]),
        Page(
            route: "POST /orders",
            calls: [
                (1, "POST /cart/close", "UPDATE carts"), (2, "POST /reservations", "INSERT reservations"),
                (3, "POST /charges", "INSERT charges"),
            ]),
        Page(route: "GET /search", calls: [(2, "GET /stock", "SELECT stock")]),
    ]

    /// Out of 1000 pages: those that fail, with their last call.
    static let failurePermille = 20
}

extension TraceGenerator {
    mutating func writePlainTrace(endingAt now: UInt64) {
        let page = PlainTrace.pages[random.below(PlainTrace.pages.count)]
        let fails = random.chance(PlainTrace.failurePermille)
        let trace = (random.identifier(), random.identifier())
        let root = random.identifier()
        // Of each call, nanoseconds; a tenth of it is the way there, another tenth the way back.
        let unit = UInt64(random.skewed(300...40_000)) * 1000
        let count = UInt64(page.calls.count)
        let start = now - min(now, (count + 1) * unit)
        for (index, call) in page.calls.enumerated() {
            let status = fails && index == page.calls.count - 1 ? 503 : 200
            var head = SpanBuffer.Head(
                trace: trace, id: random.identifier(), parent: root, kind: .client, service: service(0),
                start: start + UInt64(index) * unit + unit / 2, end: start + UInt64(index + 1) * unit + unit / 2)
            let caller = head
            head.id = random.identifier()
            head.parent = caller.id
            head.isParentRemote = true
            head.kind = .server
            head.service = service(call.service)
            head.start += unit / 10
            head.end -= unit / 10
            writeStatement(call.statement, of: head)
            writeHTTP(head, call.route, host: "shop.internal", status: status)
            writeHTTP(caller, call.route, host: "shop.internal", status: status)
        }
        let head = SpanBuffer.Head(
            trace: trace, id: root, parent: 0, kind: .server, service: service(0), start: start, end: now)
        writeHTTP(head, page.route, host: "shop.example", status: fails ? 503 : 200)
    }

    private mutating func writeStatement(_ statement: StaticString, of parent: SpanBuffer.Head) {
        var head = parent
        head.id = random.identifier()
        head.parent = parent.id
        head.isParentRemote = false
        head.kind = .client
        let margin = (parent.end - parent.start) / 5
        head.start += margin
        head.end -= margin
        spans.begin(head, name: statement)
        spans.attribute("db.system.name", "postgresql")
        spans.attribute("db.namespace", "shop")
        spans.attribute("db.query.summary", statement)
        spans.end()
    }
}
