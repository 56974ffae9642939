// Package e2e shows sfcred to the real kubectl and to client-go's own exec
// authenticator, against an https API server that takes the tokens of a
// pocket authorization server and no others.
//
// It is a module of its own, so that Kubernetes' dependencies stay out of
// sfcred's, and has nothing but tests. They build both programs, kubectl of the
// version that go.mod names, and fail where they cannot: none is skipped. The
// key is in a file (store pem), since keychains are tested elsewhere. For
// Linux and macOS:
//
//	CGO_ENABLED=0 go test -count=1 ./...
//
// Without -count=1 go may give an old result, since it does not know that the
// tests build sfcred. CGO_ENABLED=0 has them and kubectl share what is compiled,
// which takes some minutes the first time.
package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// programs is where TestMain has put sfcred and kubectl.
var programs string

func TestMain(m *testing.M) {
	code, err := runWithPrograms(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runWithPrograms(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "sfcred-e2e")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	programs = dir
	if err := build("../../..", "./cmd/sfcred", filepath.Join(dir, "sfcred")); err != nil {
		return 0, err
	}
	minor, patch, err := kubectlVersion()
	if err != nil {
		return 0, err
	}
	if err := buildKubectl(filepath.Join(dir, "kubectl"), minor, patch); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// kubectlVersion is the release of the kubectl that go.mod names: v0.37.2 of
// the module is v1.37.2 of the program.
func kubectlVersion() (minor, patch int, err error) {
	out, err := exec.Command("go", "list", "-m", "-json", "k8s.io/kubectl").Output()
	if err != nil {
		return 0, 0, fmt.Errorf("find kubectl's version: %w", err)
	}
	var module struct{ Version string }
	if err := json.Unmarshal(out, &module); err != nil {
		return 0, 0, fmt.Errorf("find kubectl's version: %w", err)
	}
	if _, err := fmt.Sscanf(module.Version, "v0.%d.%d", &minor, &patch); err != nil {
		return 0, 0, fmt.Errorf("kubectl's version %s: %w", module.Version, err)
	}
	return minor, patch, nil
}

// buildKubectl builds kubectl as version 1.minor.patch. A release has its
// version from the linker too (kubernetes/hack/lib/version.sh).
func buildKubectl(output string, minor, patch int) error {
	const pkg = "k8s.io/component-base/version."
	return build(".", "./kubectl", output, "-ldflags", strings.Join([]string{
		"-s -w", // half of the time to link
		"-X " + pkg + "gitMajor=1",
		fmt.Sprintf("-X %sgitMinor=%d", pkg, minor),
		fmt.Sprintf("-X %sgitVersion=v1.%d.%d", pkg, minor, patch),
	}, " "))
}

// build builds a program of the module in dir. The module's own go.mod counts,
// not a workspace, and no C, as in the releases of both programs.
func build(dir, pkg, output string, flags ...string) error {
	args := append([]string{"build", "-o", output}, flags...)
	cmd := exec.Command("go", append(args, pkg)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s in %s: %w\n%s", pkg, dir, err, out)
	}
	return nil
}
