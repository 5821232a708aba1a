import Config
import Pipeline
import Testing

@testable import Delivery

@Suite struct SettingsTests {
    private func read(_ yaml: String) throws -> DeliverySettings {
        let node = try ConfigLoader().load(configs: ["yaml:" + yaml]).root
        let section = ConfigSection(node, path: "exporters::x")
        let settings = DeliverySettings(from: section, timeout: .seconds(3))
        try section.finish()
        return settings
    }

    private func errors(_ yaml: String) -> String {
        do {
            _ = try read(yaml)
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test(arguments: ["{}", "{sending_queue: , retry_on_failure: }"])
    func nothingWrittenIsOtelcolsDefaults(yaml: String) throws {
        var expected = DeliverySettings()
        expected.timeout = .seconds(3)
        let settings = try read(yaml)
        #expect(settings == expected)
        #expect(settings.queue.size == 1000 && settings.queue.consumers == 10 && settings.queue.sizer == .requests)
        #expect(settings.queue.isEnabled && settings.queue.batch == nil && settings.deadLetter == nil)
        #expect(!settings.queue.blocksOnOverflow && !settings.queue.waitsForResult)
        #expect(settings.retry.initialInterval == .seconds(5) && settings.retry.maxInterval == .seconds(30))
        #expect(settings.retry.multiplier == 1.5 && settings.retry.randomizationFactor == 0.5)
        #expect(settings.retry.maxElapsedTime == .seconds(300) && settings.retry.isEnabled)
    }

    @Test func everyKeyIsRead() throws {
        let settings = try read(
            """
            sending_queue:
              enabled: false
              queue_size: 20000
              sizer: items
              queue_bytes: 1000000
              num_consumers: 1
              block_on_overflow: true
              overflow_timeout: 3s
              wait_for_result: true
              batch:
                flush_timeout: 1s
                min_size: 100
                max_size: 200
                sizer: bytes
                partition:
                  metadata_keys: [X-Tenant]
            retry_on_failure:
              enabled: false
              initial_interval: 1s
              randomization_factor: 0
              multiplier: 2
              max_interval: 10s
              max_elapsed_time: 0
            dead_letter:
              directory: /var/lib/martlet
              max_bytes: 1000
            """)
        let queue = settings.queue
        #expect(!queue.isEnabled && queue.size == 20_000 && queue.sizer == .items && queue.maximumBytes == 1_000_000)
        #expect(queue.consumers == 1 && queue.blocksOnOverflow && queue.waitsForResult)
        #expect(queue.overflowTimeout == .seconds(3))
        let batch = try #require(queue.batch)
        #expect(batch.flushTimeout == .seconds(1) && batch.minSize == 100 && batch.maxSize == 200)
        #expect(batch.sizer == .bytes && batch.metadataKeys == ["x-tenant"])
        let retry = settings.retry
        #expect(!retry.isEnabled && retry.initialInterval == .seconds(1) && retry.randomizationFactor == 0)
        #expect(retry.multiplier == 2 && retry.maxInterval == .seconds(10) && retry.maxElapsedTime == .zero)
        #expect(settings.deadLetter == DeadLetterSettings(directory: "/var/lib/martlet", maximumBytes: 1000))
    }

    @Test func theBatchTakesTheQueuesSizer() throws {
        #expect(try read("{sending_queue: {batch: {}}}").queue.batch == BatchPolicy())
        let bytes = try read("{sending_queue: {sizer: bytes, queue_size: 100000, batch: }}").queue.batch
        #expect(bytes?.sizer == .bytes)
    }

    @Test(arguments: [
        ("{sending_queue: {storage: '1'}}", "storage"),
        ("{sending_queue: {storage: file_storage, enabled: false}}", "storage"),
        ("{sending_queue: {on_overflow: drop_oldest}}", "on_overflow"),
        ("{sending_queue: {on_overflow: refuse, block_on_overflow: true}}", "on_overflow"),
        ("{sending_queue: {queue_size: 0}}", "queue_size"),
        ("{sending_queue: {num_consumers: 0}}", "num_consumers"),
        ("{sending_queue: {num_consumers: 1000}}", "num_consumers"),
        ("{sending_queue: {sizer: spans}}", "sizer"),
        ("{sending_queue: {batch: {sizer: requests}}}", "sizer"),
        ("{sending_queue: {batch: {flush_timeout: 0s}}}", "flush_timeout"),
        ("{sending_queue: {batch: {min_size: 5, max_size: 4}}}", "max_size"),
        ("{sending_queue: {sizer: items, queue_size: 10, batch: {min_size: 11}}}", "min_size"),
        ("{sending_queue: {batch: {partition: {metadata_keys: [a, A]}}}}", "metadata_keys"),
        ("{sending_queue: {queue_sise: 1}}", "queue_size"),
        ("{retry_on_failure: {max_elapsed_time: 1s}}", "max_elapsed_time"),
        ("{retry_on_failure: {randomization_factor: 1.5}}", "randomization_factor"),
        ("{retry_on_failure: {multiplier: 0.5}}", "multiplier"),
        ("{dead_letter: {}}", "directory"),
    ])
    func wrongValuesAreNamed(yaml: String, key: String) {
        #expect(errors(yaml).contains(key))
    }

    @Test func aBatchProcessorIsFoldedUnlessTheQueueBatchesItself() throws {
        var processor = BatchProcessorSettings()
        processor.sendBatchSize = 77
        var plain = try read("{}")
        plain.fold(processor)
        #expect(plain.queue.batch?.minSize == 77)
        var own = try read("{sending_queue: {batch: {min_size: 5}}}")
        own.fold(processor)
        #expect(own.queue.batch?.minSize == 5)
    }
}
