//go:build linux && kill

package main

// faultCalls is how many processes each case of TestFaultsMany starts.
const faultCalls = 1000
