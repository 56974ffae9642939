//go:build linux && !kill

package main

// faultCalls is how many processes each case of TestFaultsMany starts. With the
// tag kill there are many more.
const faultCalls = 64
