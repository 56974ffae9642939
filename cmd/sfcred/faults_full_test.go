//go:build linux && kill

package main

// faultCalls is how many processes each case of TestFaultsMany starts.
const faultCalls = 1000

// everyLie has TestFaultsServer tell each lie to all commands that it is about.
const everyLie = true
