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
		{"sfcred-token", ""},
		{"sfcred-go", "go"},
		{"sfcred-git", "git"},
		{"git-credential-sfcred", "git"},
		{"git-credential-other", ""},
		{"git-credential-sfcred.exe", "git"},
		{"sfcred-terraform", "terraform"},
		{"sfcred-curl", ""}, // is connected, and has no helper
		{"sfcred-", ""},
		{"terraform-credentials-sfcred", "terraform"},
	}
	upper := ""
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		upper = "kubectl"
	}
	for _, name := range []string{"SFCRED-KUBECTL.EXE", "Sfcred-Kubectl"} {
		tests = append(tests, struct{ arg0, want string }{name, upper})
	}
	for _, tt := range tests {
		if got := aliasOf(new(program).tools(), tt.arg0); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.arg0, got, tt.want)
		}
	}
}
