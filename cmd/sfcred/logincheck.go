package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sfcred/helper"
	"sfcred/helper/diagnosis"
	"sfcred/keychain"
)

// checked is what an exchange has shown.
type checked struct {
	token   helper.Token
	user    string
	expires time.Time // of the client
	source  *helper.Source
}

// check exchanges with the key, and asks the API who it was for.
func (l *loginRun) check(open opener) (*checked, error) {
	s := l.source(l.profile, open)
	if l.c.Bool("no-check") {
		return &checked{source: s}, nil
	}
	ctx, cancel := l.deadline(l.ctx)
	defer cancel()
	signer, err := open(ctx)
	if err != nil {
		return nil, err
	}
	t, err := s.Exchange(ctx, signer)
	if err != nil {
		return nil, fmt.Errorf("check the key: %w", l.explained(s, err))
	}
	found := &checked{token: t, user: t.User(), source: s}
	if err := l.askAPI(found); err != nil {
		return nil, err
	}
	want := l.c.String("user")
	switch {
	case want == "" || want == found.user:
		return found, nil
	case found.user == "":
		return nil, fmt.Errorf("neither token nor API tells whose the token is, so --user %s cannot be checked", want)
	}
	return nil, fmt.Errorf("the client's user is %q, not %q", found.user, want)
}

// explained says what the causes may be. What to type is the login again, with
// what may be wrong in it, or the test that shows whether it is: of a profile there
// may be none yet.
func (l *loginRun) explained(s *helper.Source, err error) error {
	evidence := l.evidence(s, err)
	err = l.explain(l.name, s, askedAt{}, err)
	why := new(*explainedError)
	if !errors.As(err, why) {
		return err
	}
	(*why).hints = nil
	for _, f := range (*why).shown() {
		hint := l.mend(f.Cause, evidence)
		if hint != "" && !slices.Contains((*why).hints, hint) {
			(*why).hints = append((*why).hints, hint)
		}
	}
	return err
}

func (l *loginRun) mend(cause diagnosis.Cause, e diagnosis.Evidence) string {
	switch cause {
	case diagnosis.ClientGone:
		return l.again("--client-id", "CLIENT_ID")
	case diagnosis.WrongKey:
		return l.again("--key", "KEY_FILE")
	case diagnosis.WrongAudience:
		return l.again("--audience", "AUDIENCE")
	case diagnosis.UntrustedCA:
		return l.again("--ca-file", "CA_FILE")
	}
	return commands{l.name, &l.profile}.test(cause, e)
}

// askAPI finds out what the token itself does not say. That it cannot is no
// reason to refuse a login.
func (l *loginRun) askAPI(found *checked) error {
	ctx, cancel := l.deadline(l.ctx)
	defer cancel()
	var err error
	if found.user == "" {
		found.user, err = found.source.Account(ctx, found.token)
	}
	if err == nil {
		found.expires, err = found.source.ClientExpiry(ctx, found.token)
	}
	if ctx.Err() == context.Canceled { // a signal, not the deadline
		return errInterrupted
	}
	if err != nil {
		l.trace("ask the API: " + err.Error())
	}
	return nil
}

// finish keeps what the check has shown, and says what was done.
func (l *loginRun) finish(found *checked) {
	if found.token.Value != "" {
		found.source.Keep(found.token)
		if err := l.learn(&l.profile, found); err != nil {
			l.warn(err.Error())
		}
	}
	l.inform("%s", l.outcome(found))
	if l.c.IsSet("expires") {
		l.warnOverruled(&l.profile, l.profile.Expires)
	}
	l.warnOfHosts()
}

// warnOfHosts warns where the token may go nowhere, or not to the API.
func (l *loginRun) warnOfHosts() {
	host := "HOST"
	switch api, err := helper.ParseURL(l.profile.APIURL); {
	case len(l.profile.Hosts) == 0:
		l.warn("the profile names no host, so helpers and --url give no token")
	case err != nil: // there is no API
		return
	default:
		if _, err := l.profile.CheckHost(l.profile.APIURL); err == nil {
			return
		}
		l.warn("the API is on no host of the profile's, and gets no token")
		host = api.Host
	}
	l.say("hint", fmt.Sprintf("sfcred edit %s --host +%s", l.name, host))
}

// learn remembers what the server said of the client: till the end of this
// command where it cannot be written, which the error says.
func (p *program) learn(profile *helper.Profile, found *checked) error {
	fresh := found.token.Obtained.After(p.began)
	if found.user == "" && found.expires.IsZero() && !fresh {
		return nil
	}
	known := p.learnt(profile) // where the API did not answer this time
	learnt := helper.Learnt{
		User:    cmp.Or(found.user, known.User),
		Expires: firstTime(found.expires, known.Expires),
		Seen:    time.Now().UTC(),
		Worked:  known.Worked, Key: known.Key, Audience: known.Audience, From: known.From,
	}
	if fresh {
		learnt.Worked, learnt.Audience = found.token.Obtained.UTC(), profile.AudienceOrTokenURL()
		learnt.Key, learnt.From = found.source.Key(), found.source.From()
	}
	state, ok := p.stateFile()
	var err error
	if ok {
		ctx, cancel := p.deadline(context.Background())
		defer cancel()
		err = state.Learn(ctx, profile, learnt)
	}
	if ok && err == nil {
		return nil
	}
	if p.unkept == nil {
		p.unkept = map[client]helper.Learnt{}
	}
	p.unkept[clientOf(profile)] = learnt
	if err != nil {
		return fmt.Errorf("what the server said of client %s is not kept: %w", profile.ClientID, err)
	}
	return nil
}

// outcome is the one line that says what was checked.
func (l *loginRun) outcome(found *checked) string {
	var b strings.Builder
	fmt.Fprintf(&b, "profile %q: ", l.name)
	if found.token.Value == "" {
		fmt.Fprintf(&b, "not checked")
	} else {
		fmt.Fprintf(&b, "checked: %s gave a token", withoutQuery(l.profile.TokenURL))
		if found.user != "" {
			fmt.Fprintf(&b, " for %s", found.user)
		}
	}
	fmt.Fprintf(&b, "; key %s", storeWords(&l.profile))
	if at := clientExpiry(&l.profile, l.learnt(&l.profile)); !at.IsZero() {
		fmt.Fprintf(&b, "; the client %s", endWords(at))
	}
	return b.String()
}

// storeWords says where a profile's key is.
func storeWords(p *helper.Profile) string {
	switch p.Store {
	case keychain.StoreKeychain:
		return "in the keychain"
	case keychain.StoreFile:
		return "in an encrypted file"
	case keychain.StoreAgent:
		return "in the ssh-agent"
	case keychain.StoreCommand: // its arguments are nobody's business
		if p.Shell {
			return "printed by a shell command"
		}
		program, _, _ := strings.Cut(p.Command, " ")
		return "printed by " + oneLine(program)
	}
	return "in " + p.KeyFile
}
