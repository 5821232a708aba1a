"""Programs that make the scenarios' calls, one for each instrumentation; each runs in the environment of its name."""
