"""What is fuzzed, one file each."""
