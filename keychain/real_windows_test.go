package keychain

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"
)

// TestReal runs against the Credential Manager, Windows' own or Wine's (see
// .ci/wine), with SFCRED_REAL=1 only. Entries of others stay as they are.
func TestReal(t *testing.T) {
	if os.Getenv("SFCRED_REAL") != "1" {
		t.Skip("needs SFCRED_REAL=1 and a Credential Manager to write to")
	}
	s := &Stores{}
	switch role := os.Getenv(roleEnv); role {
	case "":
		// Other tests have replaced go-keyring's way to the Credential Manager,
		// for the life of this process.
		cmd := child(t, "all")
		cmd.Args = append(cmd.Args, "-test.v")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Error(err)
		}
		t.Logf("%s", out)
	case "all":
		realAll(t, s)
	default:
		key, err := s.Key(t.Context(), Ref{Store: StoreKeychain, ID: role})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("got", key.Fingerprint())
	}
}

func realAll(t *testing.T, s *Stores) {
	before := entries(t)
	if err := s.Check(t.Context(), StoreKeychain); err != nil {
		t.Errorf("Check: %v", err)
	}
	for name, key := range supportedKeys(t) {
		t.Run(name, func(t *testing.T) { roundTrip(t, s, StoreKeychain, key) })
	}
	realOtherProcess(t, s)
	realLargest(t, s)
	realTooLarge(t, s)
	if after := entries(t); !slices.Equal(after, before) {
		t.Errorf("got entries %q at the end, want %q", after, before)
	}
}

// realOtherProcess has a key read by a process that did not store it.
func realOtherProcess(t *testing.T, s *Stores) {
	ref, key := Ref{Store: StoreKeychain, ID: NewID()}, newKey(t)
	if err := s.Put(t.Context(), ref, key); err != nil {
		t.Fatal(err)
	}
	if want := service + ":" + ref.ID; !slices.Contains(entries(t), want) {
		t.Errorf("got entries %q, want %s among them", entries(t), want)
	}
	out, err := child(t, ref.ID).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "got "+key.Fingerprint()) {
		t.Errorf("got %v, %s, want %s", err, out, key.Fingerprint())
	}
	if err := s.Delete(t.Context(), ref); err != nil {
		t.Error(err)
	}
}

// realLargest fills an entry to the last byte.
func realLargest(t *testing.T, s *Stores) {
	id, text := NewID(), strings.Repeat("x", maxEntry)
	if err := s.putKeychain(t.Context(), id, text); err != nil {
		t.Errorf("put: %v", err)
	}
	if back, err := s.readKeychain(t.Context(), id); err != nil || back != text {
		t.Errorf("got %d bytes, %v, want %d", len(back), err, maxEntry)
	}
	if err := s.deleteKeychain(t.Context(), id); err != nil {
		t.Errorf("delete: %v", err)
	}
}

func realTooLarge(t *testing.T, s *Stores) {
	id, before := NewID(), entries(t)
	err := s.putKeychain(t.Context(), id, strings.Repeat("x", maxEntry+1))
	if want := "the key needs 2561 bytes in the keychain, which takes 2560"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	_, err = s.readKeychain(t.Context(), id)
	wantError(t, err, ErrNotFound, "no such key")
	if after := entries(t); !slices.Equal(after, before) {
		t.Errorf("got entries %q, want %q", after, before)
	}
}

// entries lists what the Credential Manager has of sfcred's.
// https://learn.microsoft.com/windows/win32/api/wincred/nf-wincred-credenumeratew
func entries(t *testing.T) []string {
	t.Helper()
	advapi32 := windows.NewLazySystemDLL("advapi32.dll")
	filter, err := windows.UTF16PtrFromString(service + ":*")
	if err != nil {
		t.Fatal(err)
	}
	type credential struct {
		_, _   uint32 // flags, type
		target *uint16
	}
	var count uint32
	var list **credential
	ok, _, err := advapi32.NewProc("CredEnumerateW").Call(uintptr(unsafe.Pointer(filter)), 0,
		uintptr(unsafe.Pointer(&count)), uintptr(unsafe.Pointer(&list)))
	if ok == 0 {
		if !errors.Is(err, windows.ERROR_NOT_FOUND) {
			t.Fatal(err)
		}
		return nil
	}
	defer advapi32.NewProc("CredFree").Call(uintptr(unsafe.Pointer(list)))
	var names []string
	for _, c := range unsafe.Slice(list, count) {
		names = append(names, windows.UTF16PtrToString(c.target))
	}
	slices.Sort(names)
	return names
}
