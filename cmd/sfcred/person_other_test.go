//go:build !linux

package main

// person is for Linux; its scripts are, too.
func person() {}
