package keychain

import "os"

// openFile opens the file at path; there are no descriptors with paths.
func openFile(path string) (*os.File, error) { return os.Open(path) }
