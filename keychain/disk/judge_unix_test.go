//go:build unix

package disk

import (
	"io/fs"
	"os"
	"syscall"
	"testing"
	"time"
)

// fakeInfo is a file of any owner, which only root could make.
type fakeInfo struct {
	uid  int
	mode fs.FileMode
}

func (f fakeInfo) Name() string       { return "fake" }
func (f fakeInfo) Size() int64        { return 0 }
func (f fakeInfo) Mode() fs.FileMode  { return f.mode }
func (f fakeInfo) ModTime() time.Time { return time.Time{} }
func (f fakeInfo) IsDir() bool        { return f.mode.IsDir() }
func (f fakeInfo) Sys() any           { return &syscall.Stat_t{Uid: uint32(f.uid)} }

func TestJudge(t *testing.T) {
	const other = 4711
	me := os.Geteuid()
	tests := []struct {
		info      fakeInfo
		rootToo   bool
		forbidden fs.FileMode
		want      string
	}{
		{fakeInfo{me, 0o600}, false, 0o077, ""},
		{fakeInfo{me, 0o644}, true, 0o022, ""},
		{fakeInfo{me, 0o640}, false, 0o077, "others can read it (mode 0640)"},
		{fakeInfo{me, 0o602}, false, 0o077, "others can write it (mode 0602)"},
		{fakeInfo{me, 0o664}, true, 0o022, "others can write it (mode 0664)"},
		{fakeInfo{other, 0o600}, false, 0o077, "it belongs to uid 4711"},
		{fakeInfo{other, 0o600}, true, 0o022, "it belongs to uid 4711"},
		{fakeInfo{0, 0o644}, true, 0o022, ""},
		// Root's file is no safer when everybody can write it.
		{fakeInfo{0, 0o666}, true, 0o022, "others can write it (mode 0666)"},
		// Setgid and sticky bits give nobody access.
		{fakeInfo{me, 0o700 | fs.ModeDir | fs.ModeSetgid | fs.ModeSticky}, false, 0o077, ""},
	}
	for _, tt := range tests {
		if got := judge(tt.info, tt.rootToo, tt.forbidden); got != tt.want {
			t.Errorf("judge(%+v, %v, %04o): got %q, want %q", tt.info, tt.rootToo, tt.forbidden, got, tt.want)
		}
	}
}
