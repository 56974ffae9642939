package keychain

// writable returns nil: only trying tells what an access list allows.
func writable(string) error { return nil }
