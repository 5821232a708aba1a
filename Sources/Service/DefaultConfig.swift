/// What runs without a configuration file.
package enum DefaultConfig {
    /// OTLP over HTTP on the loopback address; AI spans get current names and their cost; every batch goes to a file in the working directory, and a line about
    /// it to standard output.
    package static let yaml = """
        receivers:
          otlp:
            protocols:
              http:
                endpoint: 127.0.0.1:4318
        processors:
          genai:
          batch:
        exporters:
          debug:
            verbosity: basic
          file:
            path: ${env:MARTLET_FILE:-martlet-traces.jsonl}
            append: true
        extensions:
          health_check:
            endpoint: 127.0.0.1:13133
        service:
          extensions: [health_check]
          pipelines:
            traces:
              receivers: [otlp]
              processors: [genai, batch]
              exporters: [debug, file]
        """
}
