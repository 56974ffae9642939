package main

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"
)

// hasty is sfcred whose exec renews as fast as it can.
func hasty() {
	alone()
	p := newProgram(time.Now())
	p.pace.ahead = func(life time.Duration) time.Duration { return life }
	p.pace.least = time.Millisecond
	os.Exit(p.run(context.Background(), os.Args))
}

// paused is sfcred, on the terminal of a person who is asked for a signal when it
// has the token and no child yet, and where job control has put it.
func paused() {
	p := newProgram(time.Now())
	p.starting = func(signals chan os.Signal) {
		tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(tty, "no child yet")
		for len(signals) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	os.Exit(p.run(context.Background(), os.Args))
}

func TestCheckVariable(t *testing.T) {
	for name, good := range map[string]bool{
		"TOKEN": true, "SF_TOKEN": true, "BEARER_TOKEN": true, "_": true, "x1": true, "PATHS": true,
		"": false, "1X": false, "A B": false, "A=B": false, "Ä": false, "A-B": false, "A\n": false,
		"PATH": false, "path": false, "HOME": false, "IFS": false, "BASH_ENV": false, "ENV": false,
		"LD_PRELOAD": false, "LD_LIBRARY_PATH": false, "DYLD_INSERT_LIBRARIES": false,
		"SFCRED_PROFILE": false, "BEARER_TOKEN_FILE": false, "XDG_RUNTIME_DIR": false, "LC_ALL": false,
	} {
		if err := checkVariable(name); (err == nil) != good {
			t.Errorf("%q: got %v, want it to be good: %t", name, err, good)
		}
	}
}

func TestParseMode(t *testing.T) {
	for text, want := range map[string]uint32{
		"0600": 0o600, "600": 0o600, "0640": 0o640, "440": 0o440, "0660": 0o660, "00640": 0o640,
		"0644": 0, "0604": 0, "0700": 0, "0750": 0, "0240": 0, "0": 0, "4600": 0, "01600": 0, "2640": 0,
		"": 0, "rw": 0, "-640": 0, "0o640": 0, "0x1a0": 0, "888": 0, "1000640": 0, "99999999999999999999": 0,
	} {
		got, err := parseMode(text)
		if uint32(got) != want || (err == nil) != (want != 0) {
			t.Errorf("%q: got %o, %v, want %o", text, got, err, want)
		}
	}
}
