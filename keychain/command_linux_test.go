package keychain

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openPTY opens a pseudo terminal, pty(7); a read of its screen does not wait.
func openPTY(t *testing.T) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	conn, err := screen.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	controlErr := conn.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err != nil || controlErr != nil {
		t.Fatal(err, controlErr)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return screen, tty
}

// shownOn returns what a terminal has shown by now.
func shownOn(t *testing.T, screen *os.File) string {
	t.Helper()
	if err := screen.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 4096)
	n, _ := screen.Read(text) // the deadline, mostly
	return string(text[:n])
}

// Somebody sits at the terminal that sfcred runs on, and still no program can
// ask there.
func TestCommandHasNoTerminal(t *testing.T) {
	if os.Getenv(roleEnv) == "" {
		screen, tty := openPTY(t)
		cmd := child(t, "on a terminal")
		cmd.ExtraFiles = []*os.File{tty}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
		run(t, cmd)
		if shown := shownOn(t, screen); shown != "here is one" {
			t.Errorf("the terminal shows %q, want only that it is there", shown)
		}
		return
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	fmt.Fprint(tty, "here is one")
	ref := scriptOf(t, ed25519PEM(t), `if (echo "passphrase: " >/dev/tty); then exit 3; fi 2>/dev/null; cat "$KEY"`)
	if _, err := (&Stores{Stderr: os.Stderr}).Key(before(t, 20*time.Second), ref); err != nil {
		t.Errorf("got %v, want the key, and no /dev/tty", err)
	}
}
