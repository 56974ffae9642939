//go:build linux && !kill

package main

// The tests of faults do more with the tag kill.

// faultCalls is how many processes a case of TestFaultsMany starts at most.
const faultCalls = 48

// everyLie has TestFaultsServer tell each lie to all commands that it is about, or to one.
const everyLie = false
