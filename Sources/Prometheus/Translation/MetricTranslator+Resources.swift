internal import OTLP

// Labels that come from resources and scopes, and the series about a resource.
extension MetricTranslator {
    /// Half of the time that Prometheus looks back for a sample, in milliseconds.
    private static let targetInfoStep: Int64 = 150_000
    /// Most `target_info` samples for one resource of one request.
    private static let targetInfoLimit: Int64 = 1000

    private func nextSerial() -> Int {
        frameSerial += 1
        return frameSerial
    }

    /// Reads a ResourceMetrics message up to its scopes.
    func beginResource(_ message: UnsafeRawBufferPointer) {
        frameStore.removeAll()
        resourceAttributes.removeAll()
        resourceSerial += 1
        earliest = .max
        latest = .min
        var cursor = FieldCursor(message)
        while var rest = cursor, !rest.isAtEnd, let tag = rest.varint() {
            if tag == 0x0A {
                guard let resource = rest.payload() else { break }
                readAttributes(resource, tag: 0x0A)
            } else {
                rest.skipField(tag)
            }
            cursor = rest
        }
        resourceFrame.begin(serial: nextSerial())
        addIdentity()
        if options.addsResourceAttributes {
            addResourceAttributes(to: &resourceFrame, withoutService: options.excludesServiceAttributes)
        }
        for (number, value) in externalLabels { resourceFrame.add(number, .external, value) }
    }

    /// Reads the attributes of a Resource or InstrumentationScope into `resourceAttributes`.
    private func readAttributes(_ message: FieldCursor, tag wanted: UInt64) {
        var cursor = message
        while !cursor.isAtEnd, let tag = cursor.varint() {
            guard tag == wanted else {
                cursor.skipField(tag)
                continue
            }
            guard let attribute = cursor.payload() else { return }
            _ = Self.readAttribute(attribute, &resourceAttributes, &frameStore)
        }
    }

    private func resourceAttribute(_ key: StaticString) -> TextSlice {
        for index in 0..<resourceAttributes.count {
            let attribute = resourceAttributes[index]
            if attribute.keyCount == key.utf8CodeUnitCount,
                equalBytes(attribute.key, key.utf8Start, key.utf8CodeUnitCount)
            {
                return TextSlice(attribute.value, Int(attribute.valueCount))
            }
        }
        return .empty
    }

    /// `job` and `instance`.
    private func addIdentity() {
        let name = resourceAttribute("service.name")
        let namespace = resourceAttribute("service.namespace")
        if name.count > 0, namespace.count > 0 {
            let target = frameStore.take(namespace.count + 1 + name.count)
            target.update(from: namespace.base, count: namespace.count)
            target[namespace.count] = UInt8(ascii: "/")
            (target + namespace.count + 1).update(from: name.base, count: name.count)
            resourceFrame.add(
                fixedNames.job, .fixed, TextSlice(UnsafePointer(target), namespace.count + 1 + name.count))
        } else {
            resourceFrame.add(fixedNames.job, .fixed, name)
        }
        resourceFrame.add(fixedNames.instance, .fixed, resourceAttribute("service.instance.id"))
    }

    private func isServiceAttribute(_ attribute: PointAttribute) -> Bool {
        for key in ["service.name", "service.namespace", "service.instance.id"] as [StaticString]
        where attribute.keyCount == key.utf8CodeUnitCount
            && equalBytes(attribute.key, key.utf8Start, key.utf8CodeUnitCount)
        {
            return true
        }
        return false
    }

    /// Adds the resource's attributes as labels; those without a label name are left out. Returns how many.
    @discardableResult
    private func addResourceAttributes(to frame: inout LabelFrame, withoutService: Bool) -> Int {
        var added = 0
        for index in 0..<resourceAttributes.count {
            let attribute = resourceAttributes[index]
            if attribute.valueCount == 0 || withoutService && isServiceAttribute(attribute) { continue }
            let key = UnsafeRawBufferPointer(start: attribute.key, count: Int(attribute.keyCount))
            guard let number = names.number(ofKey: key), names.entries[number].isValid else { continue }
            frame.add(number, .attribute, TextSlice(attribute.value, Int(attribute.valueCount)))
            added += 1
        }
        return added
    }

    // MARK: Scopes

    /// Makes the frame of a ScopeMetrics message.
    func beginScope(_ message: UnsafeRawBufferPointer) {
        frame.begin(serial: nextSerial())
        frame.add(resourceFrame)
        if options.addsScopeLabels {
            var cursor = FieldCursor(message)
            while var rest = cursor, !rest.isAtEnd, let tag = rest.varint() {
                if tag == 0x0A {
                    guard let scope = rest.payload() else { break }
                    addScope(scope)
                } else if tag == 0x1A {
                    guard let url = rest.payload() else { break }
                    frame.add(fixedNames.scopeSchemaURL, .fixed, TextSlice(url))
                } else {
                    rest.skipField(tag)
                }
                cursor = rest
            }
        }
        frame.key = shapes.frameKey(frame.words)
    }

    private func addScope(_ scope: FieldCursor) {
        var cursor = scope
        while !cursor.isAtEnd, let tag = cursor.varint() {
            guard tag & 7 == 2, let payload = cursor.payload() else {
                cursor.skipField(tag)
                continue
            }
            switch tag {
            case 0x0A: frame.add(fixedNames.scopeName, .fixed, TextSlice(payload))
            case 0x12: frame.add(fixedNames.scopeVersion, .fixed, TextSlice(payload))
            case 0x1A: addScopeAttribute(payload)
            default: break
            }
        }
    }

    private func addScopeAttribute(_ attribute: FieldCursor) {
        guard let pair = KeyAndValue(attribute), let text = AttributeText.text(pair.value, &frameStore) else { return }
        let key = Array("otel_scope_".utf8) + pair.key.rest
        guard let number = key.withUnsafeBytes({ names.number(ofKey: $0) }), names.entries[number].isValid else {
            return
        }
        // What the scope says itself counts more than an attribute of that name.
        for fixed in [fixedNames.scopeName, fixedNames.scopeVersion, fixedNames.scopeSchemaURL]
        where compareBytes(names.name(fixed), names.name(number)) == 0 { return }
        frame.add(number, .fixed, text)
    }

    // MARK: target_info

    /// The series that holds the resource's other attributes, from the earliest to the latest of its samples.
    func writeTargetInfo(_ sink: any SeriesSink) {
        guard latest >= earliest,
            resourceAttribute("service.name").count > 0
                || resourceAttribute("service.instance.id").count > 0
        else { return }
        infoFrame.begin(serial: nextSerial())
        guard addResourceAttributes(to: &infoFrame, withoutService: true) > 0 else { return }
        for index in 0..<resourceFrame.labels.count where resourceFrame.labels[index].rank != .attribute {
            let label = resourceFrame.labels[index]
            infoFrame.add(Int(label.nameID), label.rank, TextSlice(label.value, Int(label.valueCount)))
        }
        infoFrame.key = shapes.frameKey(infoFrame.words)
        shapes.trim()
        attributes.removeAll()
        // `fill` and `emit` work with the present frame.
        swap(&frame, &infoFrame)
        defer { swap(&frame, &infoFrame) }
        guard let shape = shapes.shape(attributes, frame, .none, &names), !shape.pointee.isInvalid else { return }
        let family = families.targetInfo
        sink.begin(family)
        let isEmptied = fill(shape)
        let last = infoTimes.after(hash(shape), latest)
        guard last < latest else { return }
        exemplars.removeAll()
        // Of a span that would take too many samples, the latest part counts.
        let first = last < earliest ? earliest : last + Self.targetInfoStep
        var time = max(first, latest - Self.targetInfoStep * Self.targetInfoLimit)
        while time < latest {
            emit(shape, isEmptied, family, .info, 1, (time, 0), exemplars.elements, sink)
            time += Self.targetInfoStep
        }
        emit(shape, isEmptied, family, .info, 1, (latest, 0), exemplars.elements, sink)
    }

    private func hash(_ shape: ShapeTable.Address) -> UInt64 {
        var hash = ByteHash.seed
        let labels = shape.pointee.labels
        // The series' name is put in later.
        for slot in labels.indices where slot != shape.pointee.nameSlot {
            let label = labels[slot]
            hash = ByteHash.add(label.encodedName, Int(label.encodedNameCount), to: hash)
            hash = ByteHash.add(label.value, Int(label.valueCount), to: hash)
        }
        return hash
    }
}

/// When each `target_info` series had its last sample, so that none comes twice or late. Bounded: what is forgotten
/// is sent once more.
struct TargetInfoTimes {
    private static let limit = 16_384
    private var times: [UInt64: Int64] = [:]

    /// The last time of a series so far, `Int64.min` without one; `latest` is remembered if it is later.
    mutating func after(_ series: UInt64, _ latest: Int64) -> Int64 {
        let last = times[series]
        if times.count >= Self.limit, last == nil { times = [:] }
        times[series] = max(last ?? .min, latest)
        return last ?? .min
    }
}
