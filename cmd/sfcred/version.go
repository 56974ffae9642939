package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

// version is that of the module, as the toolchain recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}

// version prints the version and what it was built with and for.
func (p *program) version(*cli.Context) error {
	return p.answer(fmt.Sprintf("sfcred %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH))
}
