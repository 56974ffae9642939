package helper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sfcred/keychain/disk"
)

// StateFile is the file at a path in which is kept what was learnt of clients
// from their servers. It may be lost: it can be learnt again.
type StateFile string

// Learnt is what the server said of a client.
type Learnt struct {
	User    string    `json:"user,omitempty"`
	Expires time.Time `json:"client_expires_at,omitzero"`
	// Seen is when that was.
	Seen time.Time `json:"seen_at,omitzero"`
	// First is when that expiry was first seen; Learn keeps it.
	First time.Time `json:"first_seen_at,omitzero"`
	// Worked is when an exchange last worked, Key the fingerprint of the key
	// that it was made with, Audience that of the assertion, and From the
	// network that it came from, as Source.From gives it: what has changed since
	// then is what a refusal is likely to be about.
	Worked   time.Time `json:"worked_at,omitzero"`
	Key      string    `json:"key,omitempty"`
	Audience string    `json:"audience,omitempty"`
	From     string    `json:"from,omitempty"`
}

// EndsSoon says that the client expires within a day, or within a fifth of what
// was left of its life when that was first seen: there are clients for 2, 30
// and 60 days. One that has expired does not end soon.
func (l Learnt) EndsSoon(now time.Time) bool {
	left := l.Expires.Sub(now)
	if l.Expires.IsZero() || left <= 0 {
		return false
	}
	return left < 24*time.Hour || !l.First.IsZero() && left < l.Expires.Sub(l.First)/5
}

type state struct {
	Clients map[string]Learnt `json:"clients"`
}

// stateKey names a client; IDs are unique to a server only.
func (p *Profile) stateKey() string { return p.ClientID + " " + p.TokenURL }

// Learnt gives what is known of the profile's client; a missing or damaged
// file is no knowledge.
func (f StateFile) Learnt(p *Profile) Learnt {
	return f.load().Clients[p.stateKey()]
}

func (f StateFile) load() state {
	var s state
	text, err := disk.ReadPrivate(string(f), configLimit)
	if err != nil || json.Unmarshal(text, &s) != nil || s.Clients == nil {
		return state{Clients: map[string]Learnt{}}
	}
	return s
}

// Learn keeps what the server said.
func (f StateFile) Learn(ctx context.Context, p *Profile, l Learnt) error {
	return f.update(ctx, func(s *state) {
		l.First = l.Seen
		if known := s.Clients[p.stateKey()]; known.Expires.Equal(l.Expires) && !known.First.IsZero() {
			l.First = known.First
		}
		s.Clients[p.stateKey()] = l
	})
}

// Forget drops what is known of the profile's client.
func (f StateFile) Forget(ctx context.Context, p *Profile) error {
	if _, known := f.load().Clients[p.stateKey()]; !known {
		return nil
	}
	return f.update(ctx, func(s *state) { delete(s.Clients, p.stateKey()) })
}

func (f StateFile) update(ctx context.Context, change func(*state)) error {
	unlock, err := disk.Lock(ctx, string(f)+".lock")
	switch {
	case err == nil:
		defer unlock()
	case !errors.Is(err, errors.ErrUnsupported):
		return fmt.Errorf("lock state: %w", err)
	}
	s := f.load()
	change(&s)
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	if err := disk.WriteFile(string(f), append(text, '\n')); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}
