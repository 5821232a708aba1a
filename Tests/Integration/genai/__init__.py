"""Real instrumentation libraries against a stand-in for the providers' HTTP APIs: `scenarios` says what is called and
what that costs, `provider` answers, `apps` are the programs that call."""
