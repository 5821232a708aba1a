/// One run of an agent, drawn before it is written: what happens in which order, for how long, and for how many tokens.
struct AgentRun {
    /// One child of the agent's span.
    struct Step {
        enum Kind {
            case embedding
            case retrieval
            case chat
            case tool(Int)
        }

        var kind: Kind
        /// Nanoseconds.
        var duration: UInt64
        var failed = false
        /// Asks for tools; otherwise the call is the last one.
        var callsTools = false
        /// The answer was cut off.
        var cut = false
        var input = 0
        var cached = 0
        var cacheWritten = 0
        var output = 0
        var reasoning = 0
    }

    /// Out of 1000: model calls that fail and are made again, that fail for good, answers that are cut off, tools that
    /// fail.
    private static let failures = (retried: 25, final: 10, cut: 20, tool: 40)
    /// Providers cache from so many tokens on, and in such units.
    private static let cacheUnit = (least: 1024, size: 128)
    /// The agent's own work before each step, nanoseconds.
    static let pause: UInt64 = 2_000_000

    private(set) var agent = GeneratedAgent.all[0]
    private(set) var model = GeneratedModel.all[0]
    private(set) var steps: [Step] = []
    /// The last model call failed, and with it the run.
    private(set) var failed = false

    /// Nanoseconds from its beginning to its end.
    var duration: UInt64 { steps.reduce(Self.pause) { $0 + $1.duration + Self.pause } }

    /// Draws another run.
    mutating func draw(_ random: inout SeededRandom) {
        steps.removeAll(keepingCapacity: true)
        failed = false
        agent = GeneratedAgent.all[random.below(GeneratedAgent.all.count)]
        model = GeneratedModel.all[agent.models[random.below(agent.models.count)]]
        var context = random.skewed(agent.prompt)
        if agent.dataSource != nil, random.chance(500) {
            steps.append(
                Step(kind: .embedding, duration: milliseconds(20...150, &random), input: random.skewed(8...80)))
            steps.append(Step(kind: .retrieval, duration: milliseconds(5...120, &random)))
            context += random.skewed(300...3000)
        }
        let rounds = 1 + random.below(agent.rounds)
        let caches = random.chance(model.cachePermille)
        var cached = 0
        for round in 1...rounds {
            let isLast = round == rounds
            if random.chance(Self.failures.retried) {
                steps.append(Step(kind: .chat, duration: milliseconds(50...2000, &random), failed: true))
            }
            if isLast, random.chance(Self.failures.final) {
                steps.append(Step(kind: .chat, duration: milliseconds(1000...30_000, &random), failed: true))
                failed = true
                return
            }
            let call = chat(context: context, cached: cached, isLast: isLast, caches: caches, &random)
            steps.append(call)
            if caches { cached = call.cached + call.cacheWritten }
            context += call.output - call.reasoning
            if !isLast { context += callTools(&random) }
        }
    }

    private func chat(
        context: Int, cached: Int, isLast: Bool, caches: Bool, _ random: inout SeededRandom
    ) -> Step {
        var step = Step(kind: .chat, duration: 0, callsTools: !isLast, input: context, cached: cached)
        if let range = model.reasoning { step.reasoning = random.skewed(range) }
        step.output = step.reasoning + random.skewed(isLast ? 60...1200 : 15...200)
        step.cut = isLast && random.chance(Self.failures.cut)
        if caches, context >= Self.cacheUnit.least {
            step.cacheWritten = context / Self.cacheUnit.size * Self.cacheUnit.size - cached
        }
        let answering = UInt64(step.output) * 1_000_000_000 / UInt64(model.speed)
        step.duration = milliseconds(150...900, &random) + answering
        return step
    }

    /// Appends the tools of one round; returns the tokens of their results.
    private mutating func callTools(_ random: inout SeededRandom) -> Int {
        var tokens = 0
        for _ in 0...random.below(3) {
            let index = random.below(agent.tools.count)
            let tool = agent.tools[index]
            let failed = random.chance(Self.failures.tool)
            steps.append(Step(kind: .tool(index), duration: milliseconds(tool.duration, &random), failed: failed))
            tokens += failed ? 20 : random.skewed(tool.resultTokens)
        }
        return tokens
    }

    private func milliseconds(_ range: ClosedRange<Int>, _ random: inout SeededRandom) -> UInt64 {
        UInt64(random.skewed(range.lowerBound * 1000...range.upperBound * 1000)) * 1000
    }
}
