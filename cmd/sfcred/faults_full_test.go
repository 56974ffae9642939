//go:build linux && kill

package main

// faultCalls is how many processes a case of TestFaultsMany starts at most.
const faultCalls = 1000

// everyLie has TestFaultsServer tell each lie to all commands that it is about.
const everyLie = true
