"""What the integration tests share: a destination that misbehaves, the process under test, requests, raw HTTP."""
