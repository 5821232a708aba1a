// Target Config.
