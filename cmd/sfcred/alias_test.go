package main

import (
	"runtime"
	"testing"
)

func TestAliasOf(t *testing.T) {
	tests := []struct{ arg0, want string }{
		{"sfcred", ""},
		{"sfcred.exe", ""},
		{"sfcred-kubectl", "kubectl"},
		{"/opt/bin/sfcred-kubectl", "kubectl"},
		{"sfcred-kubectl.exe", "kubectl"},
		{"sfcred-nosuch", ""},
	}
	upper := ""
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		upper = "kubectl"
	}
	for _, name := range []string{"SFCRED-KUBECTL.EXE", "Sfcred-Kubectl"} {
		tests = append(tests, struct{ arg0, want string }{name, upper})
	}
	for _, tt := range tests {
		if got := aliasOf(tt.arg0); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.arg0, got, tt.want)
		}
	}
}
