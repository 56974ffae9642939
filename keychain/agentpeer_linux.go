package keychain

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// peerOf asks the kernel who began to listen (SO_PEERCRED, unix(7)).
func peerOf(conn io.ReadWriteCloser) agentPeer {
	nobody := agentPeer{uid: -1}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return nobody
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nobody
	}
	var cred *unix.Ucred
	if e := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); e != nil || err != nil {
		return nobody
	}
	return agentPeer{int(cred.Uid), programOf(cred.Pid)}
}

// programOf names a process; "" if it has ended, is hidden, or is in another
// PID namespace, where its number is 0.
func programOf(pid int32) string {
	if pid <= 0 {
		return ""
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(name))
}
