package import Config
package import Pipeline

extension DeliverySettings {
    /// Reads `sending_queue`, `retry_on_failure` and `dead_letter` of an exporter's section.
    ///
    /// - Parameters:
    ///   - timeout: of one attempt, which the exporter's client settings have read.
    ///   - queueKey: what this exporter's `sending_queue` is called.
    ///   - defaults: for keys that are missing.
    package init(
        from section: ConfigSection, timeout: Duration, queueKey: String = "sending_queue",
        defaults: DeliverySettings = DeliverySettings()
    ) {
        self = defaults
        self.timeout = timeout
        queue = QueueSettings(from: section.section(queueKey), defaults: queue)
        // What is on the disk is kept until it is delivered, unless the configuration says for how long.
        if queue.storage != nil { retry.maxElapsedTime = .zero }
        retry = RetrySettings(from: section.section("retry_on_failure"), defaults: retry)
        if let letters = section.optionalSection("dead_letter") {
            letters.require("directory")
            deadLetter = DeadLetterSettings(
                directory: letters.nonEmptyString("directory") ?? "",
                maximumBytes: letters.integer("max_bytes", in: 1...Int.max) ?? DeadLetterSettings.defaultMaximumBytes)
        }
    }

    /// Carries out a `batch` processor's policy in this queue, unless the queue has a batching of its own.
    package mutating func fold(_ processor: BatchProcessorSettings) {
        // Whoever gathers a batch has acknowledged it: the queue becomes its holder, and keeps trying. As with otelcol's
        // processor before an exporter without a queue, senders wait while the destination is slower than they are.
        if !queue.isEnabled {
            queue.isEnabled = true
            queue.blocksOnOverflow = true
            queue.maximumBytes = min(queue.maximumBytes, QueueSettings.foldedMaximumBytes)
            if retriesOnceQueued { retry.isEnabled = true }
        }
        guard queue.batch == nil else { return }
        queue.batch = BatchPolicy(
            sendBatchSize: processor.sendBatchSize, timeout: processor.timeout,
            sendBatchMaxSize: processor.sendBatchMaxSize, metadataKeys: processor.metadataKeys,
            metadataCardinalityLimit: processor.metadataCardinalityLimit)
    }
}

extension QueueSettings {
    fileprivate init(from section: ConfigSection, defaults: QueueSettings) {
        self = defaults
        isEnabled = section.bool("enabled") ?? isEnabled
        size = section.integer("queue_size", in: 1...Int(Int32.max)) ?? size
        sizer = section.choice("sizer") ?? sizer
        maximumBytes = section.integer("queue_bytes", in: 1...Int.max) ?? maximumBytes
        consumers = section.integer("num_consumers", in: 1...Self.maximumConsumers) ?? consumers
        blocksOnOverflow = section.bool("block_on_overflow") ?? blocksOnOverflow
        overflowTimeout =
            section.duration("overflow_timeout", in: .milliseconds(1) ... .seconds(3600)) ?? overflowTimeout
        waitsForResult = section.bool("wait_for_result") ?? waitsForResult
        readStorage(section)
        guard let batching = section.optionalSection("batch") else { return }
        let policy = BatchPolicy(from: batching, queueSizer: sizer)
        if policy.sizer.rawValue == sizer.rawValue, policy.minSize > size {
            batching.error("min_size", "must not be above \"queue_size\" (\(size)), or no batch gets that large")
        }
        batch = policy
    }

    /// `storage` and what goes with it.
    private mutating func readStorage(_ section: ConfigSection) {
        let overflow = section.choice("on_overflow", ["refuse", "block", "drop_oldest"])
        if let overflow {
            if blocksOnOverflow, overflow != "block" {
                section.error("on_overflow", "must be \"block\" with \"block_on_overflow\", or one of the two left out")
            }
            blocksOnOverflow = overflow == "block"
            dropsOldest = overflow == "drop_oldest"
        }
        if let name = section.nonEmptyString("storage") {
            do throws(IDError) {
                storage = try ComponentID.parse(name)
            } catch {
                section.error(
                    "storage", "must be the id of a storage extension, such as file_storage; it is \"\(name)\"")
            }
        }
        guard storage != nil else {
            if dropsOldest { section.error("on_overflow", "can be \"drop_oldest\" only with \"storage\"") }
            return
        }
        if !section.contains("queue_bytes") { maximumBytes = Self.defaultStoredBytes }
        if !isEnabled { section.error("storage", "needs the queue; leave it out or set \"enabled\" to true") }
    }
}

extension BatchPolicy {
    fileprivate init(from section: ConfigSection, queueSizer: QueueSizer) {
        self.init()
        flushTimeout = section.duration("flush_timeout", in: .milliseconds(1) ... .seconds(86_400)) ?? flushTimeout
        minSize = section.integer("min_size", in: 0...Int(Int32.max)) ?? minSize
        maxSize = section.integer("max_size", in: 0...Int(Int32.max)) ?? maxSize
        if maxSize > 0, maxSize < minSize {
            section.error("max_size", "must not be below \"min_size\" (\(minSize))")
        }
        sizer = section.choice("sizer") ?? (queueSizer == .bytes ? .bytes : .items)
        let partition = section.section("partition")
        metadataKeys = (partition.stringList("metadata_keys") ?? []).map { $0.lowercased() }
        if Set(metadataKeys).count < metadataKeys.count {
            partition.error("metadata_keys", "must not name a key twice")
        }
    }
}

extension RetrySettings {
    fileprivate init(from section: ConfigSection, defaults: RetrySettings) {
        self = defaults
        let anyTime = Duration.zero ... .seconds(86_400 * 30)
        isEnabled = section.bool("enabled") ?? isEnabled
        initialInterval = section.duration("initial_interval", in: anyTime) ?? initialInterval
        randomizationFactor = section.double("randomization_factor", in: 0...1) ?? randomizationFactor
        multiplier = section.double("multiplier", in: 1...100) ?? multiplier
        maxInterval = section.duration("max_interval", in: anyTime) ?? maxInterval
        maxElapsedTime = section.duration("max_elapsed_time", in: anyTime) ?? maxElapsedTime
        let failures = 0...Self.maximumBreakerFailures
        breakerFailures = section.integer("circuit_breaker_failures", in: failures) ?? breakerFailures
        guard isEnabled, maxElapsedTime > .zero else { return }
        for (key, interval) in [("initial_interval", initialInterval), ("max_interval", maxInterval)]
        where interval > maxElapsedTime {
            let limit = DurationText.format(maxElapsedTime)
            section.error("max_elapsed_time", "must not be below \"\(key)\", or be 0 for no limit; it is \(limit)")
        }
    }
}
