package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"sfcred/helper"
)

// stateFile is where what was learnt of clients is kept; false if there is no
// place for it.
func (p *program) stateFile() (helper.StateFile, bool) {
	dir := p.dataDir()
	return helper.StateFile(filepath.Join(dir, "state.json")), dir != ""
}

// learnt is what is known of a profile's client.
func (p *program) learnt(profile *helper.Profile) helper.Learnt {
	if l, ok := p.unkept[clientOf(profile)]; ok {
		return l
	}
	state, ok := p.stateFile()
	if !ok {
		return helper.Learnt{}
	}
	return state.Learnt(profile)
}

// client is what tells clients apart: IDs are unique to a server only.
type client struct{ id, tokenURL string }

func clientOf(p *helper.Profile) client { return client{p.ClientID, p.TokenURL} }

// listed is a profile in a list.
type listed struct {
	Name          string     `json:"name"`
	Default       bool       `json:"default"`
	ClientID      string     `json:"client_id"`
	Store         string     `json:"store"`
	Hosts         []string   `json:"hosts"`
	User          *string    `json:"user"`
	ClientExpires *time.Time `json:"client_expires_at"`
	TokenExpires  *time.Time `json:"token_expires_at"`
	Pending       bool       `json:"pending"`
}

// list lists the profiles.
func (p *program) list(c *cli.Context) error {
	config, err := p.loadConfig()
	if errors.Is(err, helper.ErrNoProfile) {
		config, err = &helper.Config{}, nil
	}
	if err != nil {
		return err
	}
	var failed error
	if c.Bool("refresh") {
		failed = p.refresh(c.Context, config)
	}
	profiles := make([]listed, 0, len(config.Profiles))
	for _, name := range config.Names() {
		profiles = append(profiles, p.listed(name, config))
	}
	if c.Bool("json") {
		err = p.answerJSON(profiles)
	} else {
		err = p.printList(profiles)
	}
	return errors.Join(err, failed)
}

func (p *program) listed(name string, config *helper.Config) listed {
	profile := config.Profiles[name]
	known := p.learnt(profile)
	l := listed{
		Name: name, Default: config.Default == name,
		ClientID: profile.ClientID, Store: profile.Store, Pending: profile.Pending != nil, Hosts: nonNil(profile.Hosts),
		ClientExpires: jsonTime(clientExpiry(profile, known)),
	}
	if known.User != "" {
		l.User = &known.User
	}
	if t, ok := p.source(*profile, nil).Cached(helper.Want{}); ok {
		l.TokenExpires = jsonTime(t.Expires)
	}
	return l
}

// printList prints a table for people.
func (p *program) printList(profiles []listed) error {
	if len(profiles) == 0 {
		p.inform("no profile yet")
		p.say("hint", "sfcred login --client-id CLIENT_ID --key KEY_FILE")
		return nil
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tCLIENT\tSTORE\tUSER\tCLIENT EXPIRES\tTOKEN")
	for _, l := range profiles {
		name, user := l.Name, "-"
		if l.Default {
			name += " *"
		}
		if l.User != nil {
			user = *l.User
		}
		store := l.Store
		if l.Pending {
			store = strings.TrimSpace(store + " (a key is pending)")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", name, oneLine(cmp.Or(l.ClientID, "-")), oneLine(store), oneLine(user), expiryWords(l.ClientExpires, "-"), expiryWords(l.TokenExpires, "none"))
	}
	w.Flush()
	return p.answer(b.String())
}

// refresh asks the servers of all profiles when the clients expire.
func (p *program) refresh(ctx context.Context, config *helper.Config) error {
	ctx, cancel := p.deadline(ctx)
	defer cancel()
	var failed error
	for _, name := range config.Names() {
		if !config.Profiles[name].HasKey() {
			continue // there is no client yet
		}
		if err := p.refreshOne(ctx, config, name); err != nil {
			failed = errors.Join(failed, &profileError{name, err})
		}
	}
	return failed
}

func (p *program) refreshOne(ctx context.Context, config *helper.Config, name string) error {
	profile, err := p.chooseFrom(config, name)
	if err != nil {
		return err
	}
	s := p.source(profile.Profile, profile.open)
	t, err := s.Token(ctx, helper.Want{MinTTL: time.Minute})
	if err != nil {
		return p.explain(name, s, askedAt{}, err)
	}
	found := &checked{token: t, user: t.User(), source: s}
	if found.expires, err = s.ClientExpiry(ctx, t); errors.Is(err, helper.ErrNoAPI) {
		err = nil
	}
	if err := p.learn(&profile.Profile, found); err != nil {
		p.warn(err.Error())
	}
	if err == nil {
		return nil
	}
	at := askedAt{path: "/account/clients"}
	if answer := new(*helper.AnswerError); errors.As(err, answer) && (*answer).Denied {
		_, accountErr := s.Account(ctx, t) // which every level may ask for
		at.took = accountErr == nil
	}
	return p.explain(name, s, at, err)
}
