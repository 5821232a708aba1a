internal import NIOCore

/// What each frame of a client does (RFC 9113, sections 5 and 6).
extension HTTP2ServerConnection {
    func handle(_ event: HTTP2FrameReader.Event) throws(HTTP2ConnectionError) {
        switch event {
        case .content(let bytes): dataStream?.received(bytes)
        case .data(let frame): try beginData(frame)
        case .dataEnd: endData()
        case .frame(let frame, let payload): try take(frame, payload)
        }
    }

    /// Takes credit for a frame, or for what it leads to.
    private func pay(_ count: Int = 1) throws(HTTP2ConnectionError) {
        guard credit.pay(count, now) else { throw .excess("too many frames without data") }
    }

    private func take(_ frame: HTTP2FrameHead, _ payload: UnsafeRawBufferPointer) throws(HTTP2ConnectionError) {
        try pay()
        guard sawSettings || frame.type == HTTP2FrameType.settings else {
            throw .protocolError("the first frame is not SETTINGS")
        }
        guard !heads.isOpen || frame.type == HTTP2FrameType.continuation else {
            throw .protocolError("a frame inside of a head")
        }
        switch frame.type {
        case HTTP2FrameType.headers:
            guard frame.stream & 1 == 1 else { throw .protocolError("a head on a stream that is not the client's") }
            if let block = try heads.begin(frame, payload) { try takeHead(block) }
        case HTTP2FrameType.continuation:
            if let block = try heads.go(on: frame, payload) { try takeHead(block) }
        case HTTP2FrameType.reset: try takeReset(frame)
        case HTTP2FrameType.settings: try takeSettings(frame, payload)
        case HTTP2FrameType.ping: try takePing(frame, payload)
        case HTTP2FrameType.windowUpdate: try takeWindowUpdate(frame, payload)
        case HTTP2FrameType.pushPromise: throw .protocolError("a client that pushes")
        case HTTP2FrameType.goAway:
            guard frame.stream == 0, frame.length >= 8 else { throw Self.sizeError }
        case HTTP2FrameType.priority:
            guard frame.stream != 0 else { throw .protocolError("the priority of no stream") }
            if frame.length != 5 { try refuse(frame.stream, .frameSizeError) }
        default: break
        }
    }

    private static var sizeError: HTTP2ConnectionError {
        HTTP2ConnectionError(code: .frameSizeError, reason: "a frame of a wrong size")
    }

    // MARK: Bodies

    private func beginData(_ frame: HTTP2FrameHead) throws(HTTP2ConnectionError) {
        guard sawSettings, !heads.isOpen else { throw .protocolError("a DATA frame where none may be") }
        guard frame.stream & 1 == 1, frame.stream <= lastStream else {
            throw .protocolError("a DATA frame of no stream")
        }
        let ends = frame.has(HTTP2FrameFlags.endStream)
        credit.earn(bytes: frame.length)
        if frame.length < HTTP2FrameCredit.tinyData, !ends { try pay() }
        window -= frame.length
        guard window >= 0 else {
            throw HTTP2ConnectionError(code: .flowControlError, reason: "more data than its window has")
        }
        dataFrame = frame
        guard let stream = streams[frame.stream], !stream.isComplete else {
            dataStream = nil
            if !remembers(frame.stream) { try refuse(frame.stream, .streamClosed) }
            return
        }
        guard stream.take(window: frame.length) else {
            dataStream = nil
            try refuse(frame.stream, .flowControlError)
            return
        }
        dataStream = stream
    }

    private func endData() {
        guard let frame = dataFrame else { return }
        dataFrame = nil
        guard let stream = dataStream else {
            consume(frame.length)
            return
        }
        dataStream = nil
        stream.endFrame(frame.length, ends: frame.has(HTTP2FrameFlags.endStream))
    }

    /// Ends one stream for what its client did there.
    private func refuse(_ stream: UInt32, _ code: HTTP2ErrorCode) throws(HTTP2ConnectionError) {
        try pay(HTTP2FrameCredit.streamError)
        if let open = streams[stream] {
            open.reset(code)
        } else {
            writer.reset(stream, code)
            remember(stream)
        }
    }

    // MARK: Heads

    private func takeHead(_ block: HTTP2HeadReader.Block) throws(HTTP2ConnectionError) {
        guard block.stream > lastStream else {
            try takeTrailers(block)
            return
        }
        lastStream = block.stream
        // Beyond what it was told, or behind our GOAWAY: it may try again elsewhere.
        guard streams.count < settings.http2.maximumConcurrentStreams, ending != .final, takesAnswers else {
            writer.reset(block.stream, .refusedStream)
            if !block.ends { remember(block.stream) }
            return
        }
        guard let request = HTTP2RequestHead(block.fields, client: client),
            !block.ends || request.length ?? 0 == 0
        else {
            try refuse(block.stream, .protocolError)
            return
        }
        credit.earnRequest()
        let stream = HTTP2ServerStream(block.stream, self)
        add(stream)
        stream.begin(request.head, length: block.ends ? 0 : request.length)
        if block.ends { stream.end() }
    }

    /// Fields behind a body.
    private func takeTrailers(_ block: HTTP2HeadReader.Block) throws(HTTP2ConnectionError) {
        guard let stream = streams[block.stream] else {
            if remembers(block.stream) { return }
            throw HTTP2ConnectionError(code: .streamClosed, reason: "a head on a stream that has ended")
        }
        if stream.isComplete {
            try refuse(block.stream, .streamClosed)
        } else if !block.ends || !HTTP2FieldSyntax.areTrailers(block.fields) {
            try refuse(block.stream, .protocolError)
        } else {
            stream.end()
        }
    }

    // MARK: Other frames

    private func takeReset(_ frame: HTTP2FrameHead) throws(HTTP2ConnectionError) {
        guard frame.length == 4 else { throw Self.sizeError }
        guard frame.stream != 0, frame.stream <= lastStream else { throw .protocolError("the reset of no stream") }
        guard let stream = streams[frame.stream] else { return }
        remove(stream, remembers: false)
        guard credit.pay(HTTP2FrameCredit.reset, now) else { throw .excess("too many streams were reset") }
    }

    private func takeSettings(
        _ frame: HTTP2FrameHead, _ payload: UnsafeRawBufferPointer
    ) throws(HTTP2ConnectionError) {
        guard frame.stream == 0 else { throw .protocolError("settings of a stream") }
        if frame.has(HTTP2FrameFlags.ack) {
            guard frame.length == 0, sawSettings else { throw Self.sizeError }
            return
        }
        guard frame.length % 6 == 0 else { throw Self.sizeError }
        sawSettings = true
        var newWindow: Int?
        for offset in stride(from: 0, to: payload.count, by: 6) {
            let value = Int(HTTP2Wire.uint32(payload, at: offset + 2))
            switch HTTP2Wire.uint16(payload, at: offset) {
            case HTTP2SettingName.headerTableSize: writer.setHeaderTableSize(value)
            case HTTP2SettingName.enablePush:
                guard value <= 1 else { throw .protocolError("a setting that is neither 0 nor 1") }
            case HTTP2SettingName.initialWindowSize:
                guard value <= HTTP2Wire.mostWindow else {
                    throw HTTP2ConnectionError(code: .flowControlError, reason: "a window that is too large")
                }
                newWindow = value
            case HTTP2SettingName.maxFrameSize:
                guard (16 << 10)..<(16 << 20) ~= value else { throw .protocolError("a frame size out of bounds") }
            default: break
            }
        }
        writer.settingsAck()
        guard let newWindow, newWindow != initialSendWindow else { return }
        let change = newWindow - initialSendWindow
        initialSendWindow = newWindow
        for stream in Array(streams.values) where !stream.addSendWindow(change) {
            throw HTTP2ConnectionError(code: .flowControlError, reason: "a window that is too large")
        }
    }

    private func takePing(
        _ frame: HTTP2FrameHead, _ payload: UnsafeRawBufferPointer
    ) throws(HTTP2ConnectionError) {
        guard frame.length == 8 else { throw Self.sizeError }
        guard frame.stream == 0 else { throw .protocolError("a PING of a stream") }
        let data = UInt64(HTTP2Wire.uint32(payload, at: 0)) << 32 | UInt64(HTTP2Wire.uint32(payload, at: 4))
        if frame.has(HTTP2FrameFlags.ack) {
            if data == Self.drainPing { sawGoAway() }
            return
        }
        // The rules are gRPC's: clients of plain HTTP/2 do not know them.
        if settings.versions == .http2, !pings.take(now, isIdle: isIdle) {
            end(.excess("too many pings"), "too_many_pings")
            return
        }
        writer.ping(data, ack: true)
    }

    private func takeWindowUpdate(
        _ frame: HTTP2FrameHead, _ payload: UnsafeRawBufferPointer
    ) throws(HTTP2ConnectionError) {
        guard frame.length == 4 else { throw Self.sizeError }
        guard frame.stream <= lastStream else { throw .protocolError("the window of no stream") }
        let increment = Int(HTTP2Wire.uint32(payload, at: 0) & 0x7FFF_FFFF)
        if frame.stream == 0 {
            guard increment > 0 else { throw .protocolError("a window update of nothing") }
            sendWindow += increment
            guard sendWindow <= HTTP2Wire.mostWindow else {
                throw HTTP2ConnectionError(code: .flowControlError, reason: "a window that is too large")
            }
            for stream in Array(streams.values) { stream.sendPending() }
        } else if let stream = streams[frame.stream] {
            if increment == 0 {
                try refuse(frame.stream, .protocolError)
            } else if !stream.addSendWindow(increment) {
                try refuse(frame.stream, .flowControlError)
            }
        }
    }
}
