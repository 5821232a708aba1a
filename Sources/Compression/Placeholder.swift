// Target Compression.
