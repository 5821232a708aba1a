// Target Telemetry.
