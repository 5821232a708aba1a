/// A dictionary that keeps the order in which its keys were added. Keys are unique; look-up is by hash.
package struct OrderedMap<Key: Hashable, Value>: Sequence {
    /// The keys in order.
    package private(set) var keys: [Key] = []
    private var values: [Key: Value] = [:]

    /// Makes an empty map.
    package init() {}

    /// The number of keys.
    package var count: Int { keys.count }

    /// Whether there is no key.
    package var isEmpty: Bool { keys.isEmpty }

    /// The value of `key`, or nil. Setting a new key adds it at the end; setting nil removes it, in linear time.
    package subscript(key: Key) -> Value? {
        get { values[key] }
        set {
            if let newValue {
                if values.updateValue(newValue, forKey: key) == nil { keys.append(key) }
            } else if values.removeValue(forKey: key) != nil {
                keys.removeAll { $0 == key }
            }
        }
    }

    /// Goes over keys and values in order.
    package func makeIterator() -> AnyIterator<(key: Key, value: Value)> {
        var next = keys.makeIterator()
        return AnyIterator {
            guard let key = next.next(), let value = self.values[key] else { return nil }
            return (key, value)
        }
    }
}

extension OrderedMap: Sendable where Key: Sendable, Value: Sendable {}
extension OrderedMap: Equatable where Value: Equatable {}
