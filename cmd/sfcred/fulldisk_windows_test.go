package main

// fullDisk is for Unix; its scripts are, too.
func fullDisk() {}
