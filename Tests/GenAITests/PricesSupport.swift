import Config
import GenAI

/// The bytes of a fixture.
func fileBytes(_ path: String) throws -> [UInt8] { try ConfigInputs.process.readFile(path, 16 << 20) }
