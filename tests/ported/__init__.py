"""Programs written for vuer: run under both libraries, and compared."""
