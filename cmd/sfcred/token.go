package main

import (
	"context"
	"crypto"
	"encoding/json"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"sfcred/helper"
)

// tokenFlags are those of every command that gives a token.
func tokenFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "url", Usage: "answer only if the token may go to this `URL`"},
		minTTLFlag(),
		&cli.BoolFlag{Name: "force", Usage: "get a new token, whatever the cache holds"},
	}
}

func minTTLFlag() cli.Flag {
	return &cli.StringFlag{Name: "min-ttl", Value: "60s", Usage: "the least `DURATION` that the token must last; at most half of its life counts"}
}

// want reads the flags that say what token is wanted.
func (p *program) want(c *cli.Context) (helper.Want, error) {
	min, err := parseDuration(c.String("min-ttl"))
	if err != nil {
		return helper.Want{}, &usageError{text: "--min-ttl: " + err.Error()}
	}
	return helper.Want{MinTTL: min, Force: c.Bool("force"), Since: p.began}, nil
}

// askedToken gives the token that a command line asks for.
func (p *program) askedToken(c *cli.Context) (*chosen, helper.Token, error) {
	want, err := p.want(c)
	if err != nil {
		return nil, helper.Token{}, err
	}
	profile, err := p.choose()
	if err != nil {
		return nil, helper.Token{}, err
	}
	if c.IsSet("url") {
		if _, err := profile.CheckHost(c.String("url")); err != nil {
			return nil, helper.Token{}, &profileError{profile.name, err}
		}
	}
	t, err := p.tokenOf(c.Context, profile, want)
	if err == nil && t.Obtained.After(p.began) { // a warm answer has no time for it
		p.remind(profile)
	}
	return profile, t, err
}

// tokenOf gives a profile's token within the deadline.
func (p *program) tokenOf(ctx context.Context, profile *chosen, want helper.Want) (helper.Token, error) {
	source := p.source(profile.Profile, profile.open)
	if t, ok := source.Cached(want); ok {
		return t, nil
	}
	ctx, listen, stop := p.untilSignal(ctx)
	defer stop()
	ctx, cancel := p.inTime(ctx)
	defer cancel()
	source.Signer = func(ctx context.Context) (crypto.MessageSigner, error) {
		go listen() // till here it waited for another process at most
		return profile.open(ctx)
	}
	t, err := source.Token(ctx, want)
	if err != nil {
		return helper.Token{}, &profileError{profile.name, p.explain(profile.name, source, askedAt{}, err)}
	}
	return t, nil
}

// token prints the access token.
func (p *program) token(c *cli.Context) error {
	profile, t, err := p.askedToken(c)
	if err != nil {
		return err
	}
	if !c.Bool("json") {
		return p.answer(t.Value + "\n")
	}
	answer := struct {
		AccessToken string     `json:"access_token"`
		TokenType   string     `json:"token_type"`
		ExpiresAt   *time.Time `json:"expires_at"`
		Profile     string     `json:"profile"`
		Hosts       []string   `json:"hosts"`
	}{t.Value, "Bearer", jsonTime(t.Expires), profile.name, nonNil(profile.Hosts)}
	return p.answerJSON(answer)
}

// header prints the HTTP header with the token.
func (p *program) header(c *cli.Context) error {
	_, t, err := p.askedToken(c)
	if err != nil {
		return err
	}
	line := t.Value
	if !c.Bool("raw") {
		line = "Bearer " + line
	}
	if !c.Bool("value") {
		line = "Authorization: " + line
	}
	return p.answer(line + "\n")
}

// assertion prints a fresh client assertion.
func (p *program) assertion(c *cli.Context) error {
	profile, err := p.choose()
	if err != nil {
		return err
	}
	ctx, cancel := p.deadline(c.Context)
	defer cancel()
	text, err := p.source(profile.Profile, profile.open).Assertion(ctx)
	if err != nil {
		return &profileError{profile.name, err}
	}
	return p.answer(text + "\n")
}

func (p *program) answerJSON(v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	return p.answer(plainJSON(text) + "\n")
}

func nonNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
