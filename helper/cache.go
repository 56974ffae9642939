package helper

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"sfcred/keychain/disk"
)

// cacheFileLimit bounds a cache file: a token that does not fit in an HTTP
// header of 64 kB is of no use.
const cacheFileLimit = 64 << 10

// tokenLimit bounds a token, which must fit in that file with what stands before
// it: one that does not would be exchanged for anew by each process.
const tokenLimit = cacheFileLimit - 1<<10

// refusalLife is how long a refusal answers for the server: long enough for a
// burst of callers, short enough that a person who has mended it does not
// notice.
const refusalLife = 10 * time.Second

// cacheKey names what a token depends on, so that two profiles of one client
// share it and a changed setting does not.
func (p *Profile) cacheKey() string {
	return digest(p.ClientID, p.TokenURL, p.Audience, p.Scope, p.Alg)
}

// digest is 128 bits of a hash over parts, each framed by its length.
func digest(parts ...string) string {
	var framed []byte
	for _, part := range parts {
		framed = strconv.AppendInt(framed, int64(len(part)), 10)
		framed = append(framed, ':')
		framed = append(framed, part...)
	}
	sum := sha256.Sum256(framed)
	return hex.EncodeToString(sum[:16])
}

// encode writes a cache file:
//
//	obtained SP expires SP booted SP digest LF
//	token LF
//
// Times are Unix nanoseconds, since whole seconds could not tell which of two
// commands came first. The digest is over all of it: a token with one wrong bit
// looks like any other. It is not JSON because reading that takes longer than
// all else that a warm answer does.
func (t Token) encode(booted time.Time) []byte {
	var times [3]string
	for i, at := range []time.Time{t.Obtained, t.Expires, booted} {
		times[i] = strconv.FormatInt(at.UnixNano(), 10)
	}
	sum := digest(times[0], times[1], times[2], t.Value)
	return []byte(strings.Join(times[:], " ") + " " + sum + "\n" + t.Value + "\n")
}

// decodeToken reads a cache file. What is damaged is no token.
func decodeToken(b []byte) (t Token, booted time.Time, ok bool) {
	head, value, _ := strings.Cut(string(b), "\n")
	fields := strings.Split(head, " ")
	value, whole := strings.CutSuffix(value, "\n")
	if len(fields) != 4 || !whole || !sendable(value) || fields[3] != digest(fields[0], fields[1], fields[2], value) {
		return Token{}, time.Time{}, false
	}
	var times [3]int64
	for i := range times {
		var err error
		if times[i], err = strconv.ParseInt(fields[i], 10, 64); err != nil {
			return Token{}, time.Time{}, false
		}
	}
	if times[0] <= 0 || times[1] <= times[0] {
		return Token{}, time.Time{}, false
	}
	return Token{Value: value, Obtained: time.Unix(0, times[0]), Expires: time.Unix(0, times[1])}, time.Unix(0, times[2]), true
}

// steered is how far the clock may seem to have been set in a token's life
// without anybody having set it: clocks are steered, and a crystal is wrong by
// up to a part in ten thousand, which is 9 s in a day.
const steered = 10 * time.Second

// booted is when the machine was started, by the clock as it is set now: where
// it gives another time than before, the clock has been set, or the machine
// started again. It is the same time always where that cannot be known.
func (s *Source) booted() time.Time {
	up, ok := Uptime()
	if s.up != nil {
		up, ok = s.up(), true
	}
	if !ok {
		return time.Unix(0, 0)
	}
	return s.clock().Round(0).Add(-up)
}

// refusal is a remembered refusal, good for the key it was spoken for. Its file is
// the digest of what follows, a line's end, and JSON.
type refusal struct {
	Fingerprint string        `json:"fingerprint"`
	Began       int64         `json:"began_at"` // the exchange
	At          int64         `json:"refused_at"`
	Booted      int64         `json:"booted_at"` // as in a token's file
	Error       *RefusedError `json:"error"`
}

// entry is the place of one token in the cache directory. The zero entry keeps
// nothing.
type entry struct {
	dir    *disk.Dir
	key    string
	booted func() time.Time // as Source has it
}

// openEntry opens the profile's place in the cache.
func (s *Source) openEntry() (entry, error) {
	if s.CacheDir == "" || s.Profile.Cache == "none" {
		return entry{}, nil
	}
	dir, err := disk.OpenDir(s.CacheDir)
	if err != nil {
		return entry{}, fmt.Errorf("token cache: %w", err)
	}
	return entry{dir, s.Profile.cacheKey(), s.booted}, nil
}

func (e entry) close() {
	if e.dir != nil {
		e.dir.Close()
	}
}

// token gives the cached token. A damaged or foreign file is none, and so is one
// of before the clock was set: by the time it has now, nobody can tell when the
// token ends. An hour after a clock was set back by an hour, one that ended then
// would look new again.
func (e entry) token() (Token, bool) {
	t, booted, ok := e.last()
	if !ok || e.set(booted) {
		return Token{}, false
	}
	return t, true
}

// last gives the token that was kept last, and when the machine was started by
// the clock of then.
func (e entry) last() (t Token, booted time.Time, ok bool) {
	if e.dir == nil {
		return Token{}, time.Time{}, false
	}
	b, err := e.dir.ReadFile(e.key+".token", cacheFileLimit)
	if err != nil {
		return Token{}, time.Time{}, false
	}
	return decodeToken(b)
}

// set says whether the clock has been set since booted was taken.
func (e entry) set(booted time.Time) bool { return e.booted().Sub(booted).Abs() > steered }

// keep stores a token and forgets a refusal. A token without an expiry is not
// kept: nobody could tell when to stop using it.
func (e entry) keep(t Token) error {
	if e.dir == nil {
		return nil
	}
	e.dir.Remove(e.key + ".refused")
	if t.Expires.IsZero() {
		return nil
	}
	return e.dir.WriteFile(e.key+".token", t.encode(e.booted()))
}

// forget removes all that is kept.
func (e entry) forget() error {
	if e.dir == nil {
		return nil
	}
	err := e.dir.Remove(e.key + ".token")
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	e.dir.Remove(e.key + ".refused")
	e.dir.Remove(e.key + ".reminded")
	return err
}

// remind says whether a reminder is due: none was given within the last day, by
// a stamp that it renews. Where no stamp can be kept none is due, since it would
// come each time.
func (e entry) remind(now time.Time) bool {
	if e.dir == nil {
		return false
	}
	name := e.key + ".reminded"
	if b, err := e.dir.ReadFile(name, cacheFileLimit); err == nil {
		at, err := time.Parse(time.RFC3339, string(b))
		if age := now.Sub(at); err == nil && age >= 0 && age < 24*time.Hour {
			return false
		}
	}
	return e.dir.WriteFile(name, []byte(now.UTC().Format(time.RFC3339))) == nil
}

// refused gives a remembered refusal of the key, if it is fresh.
func (e entry) refused(fingerprint string, now time.Time) (*RefusedError, time.Time) {
	if e.dir == nil || fingerprint == "" {
		return nil, time.Time{}
	}
	b, err := e.dir.ReadFile(e.key+".refused", cacheFileLimit)
	if err != nil {
		return nil, time.Time{}
	}
	sum, text, _ := strings.Cut(string(b), "\n")
	var r refusal
	if sum != digest(text) || json.Unmarshal([]byte(text), &r) != nil || r.Error == nil || r.Fingerprint != fingerprint {
		return nil, time.Time{}
	}
	if age := now.Sub(time.Unix(0, r.At)); age < 0 || age >= refusalLife || e.set(time.Unix(0, r.Booted)) {
		return nil, time.Time{}
	}
	return r.Error, time.Unix(0, r.Began)
}

// refuse remembers a refusal. That it cannot is no news for anybody.
func (e entry) refuse(fingerprint string, began, now time.Time, err *RefusedError) {
	if e.dir == nil {
		return
	}
	r := refusal{fingerprint, began.UnixNano(), now.UnixNano(), e.booted().UnixNano(), err}
	if b, jsonErr := json.Marshal(r); jsonErr == nil {
		_ = e.dir.WriteFile(e.key+".refused", []byte(digest(string(b))+"\n"+string(b)))
	}
}
