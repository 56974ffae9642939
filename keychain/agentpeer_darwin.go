package keychain

import (
	"io"
	"syscall"

	"golang.org/x/sys/unix"
)

// peerOf asks the kernel who listens (LOCAL_PEERCRED and LOCAL_PEERPID,
// sys/un.h). For the ssh-agent of macOS that is launchd.
func peerOf(conn io.ReadWriteCloser) agentPeer {
	peer := agentPeer{uid: -1}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return peer
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return peer
	}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED); err == nil {
			peer.uid = int(cred.Uid)
		}
		if pid, err := unix.GetsockoptInt(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERPID); err == nil && pid > 0 {
			if info, err := unix.SysctlKinfoProc("kern.proc.pid", pid); err == nil {
				peer.program = unix.ByteSliceToString(info.Proc.P_comm[:])
			}
		}
	})
	return peer
}
