package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sfcred/helper"
	"sfcred/helper/diagnosis"
)

// explainedError is a failure with what its causes may be.
type explainedError struct {
	error
	found []diagnosis.Finding
	hints []string
}

// shown are the causes that are told: one that is certain alone, or the likeliest.
func (e *explainedError) shown() []diagnosis.Finding {
	const most = 3
	if e.found[0].Certain {
		return e.found[:1]
	}
	shown := slices.Clone(e.found[:min(len(e.found), most)])
	return slices.DeleteFunc(shown, func(f diagnosis.Finding) bool { return f.Faint && f != shown[0] })
}

// Error has a cause that is certain come first, and those that are not last.
func (e *explainedError) Error() string {
	var words []string
	for _, f := range e.shown() {
		words = append(words, f.String())
	}
	switch {
	case e.found[0].Certain:
		return fmt.Sprintf("%s: %v", words[0], e.error)
	case len(words) == 1:
		return fmt.Sprintf("%v; likely cause: %s", e.error, words[0])
	}
	return fmt.Sprintf("%v; likely causes: %s", e.error, strings.Join(words, "; "))
}

func (e *explainedError) Unwrap() error { return e.error }

// askedAt is where something failed: at a path of the API, which took the same
// token at another, or did not. The zero askedAt is the token endpoint.
type askedAt struct {
	path string
	took bool
}

// explain adds to a failure of the server's what its causes may be, as far as
// that can be told without asking anybody, and what to type.
func (p *program) explain(name string, source *helper.Source, at askedAt, err error) error {
	evidence := p.evidence(source, err)
	evidence.APIPath, evidence.Took = at.path, at.took
	found := diagnosis.Diagnose(evidence)
	if len(found) == 0 || !explains(found[0].Cause, err) {
		return err
	}
	c := commands{name, &source.Profile}
	hints := []string{c.doctor()}
	if hint := c.hint(found, evidence); hint != "" && found[0].Certain {
		hints = []string{hint}
	} else if hint := c.test(found[0].Cause, evidence); hint != "" {
		hints = []string{hint, c.doctor()}
	}
	return &explainedError{err, found, hints}
}

// explains says whether a cause is news: an error of a key store, and one that
// names the clock, has said it all.
func explains(cause diagnosis.Cause, err error) bool {
	var (
		refused *helper.RefusedError
		answer  *helper.AnswerError
		network *helper.NetworkError
	)
	if errors.As(err, &refused) {
		return cause != diagnosis.ClockOff
	}
	return errors.As(err, &answer) || errors.As(err, &network)
}

// evidence is what is known beside a failure, from what is kept of the client
// and what the source has seen.
func (p *program) evidence(source *helper.Source, err error) diagnosis.Evidence {
	profile := &source.Profile
	known := p.learnt(profile)
	network, parseErr := netip.ParsePrefix(known.From)
	from := source.From()
	if refused := new(*helper.RefusedError); errors.As(err, refused) {
		from = (*refused).From // it may be remembered
	}
	return diagnosis.Evidence{
		Err:     err,
		Now:     time.Now(),
		Expires: clientExpiry(profile, known),
		Worked:  slices.MaxFunc([]time.Time{known.Worked, source.LastObtained()}, time.Time.Compare),
		Key:     diagnosis.Compare(source.Key(), known.Key),
		Network: diagnosis.Compare(from, known.From),
		// A network that is no prefix is a proxy.
		Shared:      parseErr != nil || network.Addr().IsPrivate(),
		TokenURL:    profile.TokenURL,
		Preset:      isPreset(profile),
		Audience:    profile.Audience,
		OldAudience: diagnosis.Compare(profile.AudienceOrTokenURL(), known.Audience) == diagnosis.Other,
		Proxy:       source.ProxyHost(profile.TokenURL),
	}
}

// isPreset says whether a profile's URLs are those that sfcred knows.
func isPreset(profile *helper.Profile) bool {
	return slices.ContainsFunc(helper.Sites(), func(s helper.Site) bool {
		return s.TokenURL == profile.TokenURL && (profile.APIURL == "" || s.APIURL == profile.APIURL)
	})
}

// commands are what to type about a profile.
type commands struct {
	name string
	*helper.Profile
}

func (c commands) doctor() string {
	if c.name == envName {
		return "sfcred doctor"
	}
	return "sfcred doctor " + c.name
}

// hint is the command that mends a cause that is certain, or else the test that
// comes next; "" where there is none.
func (c commands) hint(found []diagnosis.Finding, e diagnosis.Evidence) string {
	if len(found) == 0 {
		return ""
	}
	if found[0].Certain {
		return c.mend(found[0].Cause, e)
	}
	for _, f := range found {
		if test := c.test(f.Cause, e); test != "" {
			return test
		}
	}
	return ""
}

// mend is the command that mends a cause.
func (c commands) mend(cause diagnosis.Cause, e diagnosis.Evidence) string {
	if c.name == envName {
		return c.mendEnv(cause, e)
	}
	login := fmt.Sprintf("sfcred login --profile %s --client-id ", c.name)
	same := login + shellWord(c.ClientID)
	switch cause {
	case diagnosis.ClientGone, diagnosis.LevelTooLow:
		return login + "NEW_ID"
	case diagnosis.WrongKey:
		return same + " --replace --key KEY_FILE"
	case diagnosis.WrongAudience:
		if e.OtherAudience == c.TokenURL { // which is what none means
			return same + " --audience ''"
		}
		if e.OtherAudience != "" {
			return same + " --audience " + shellWord(e.OtherAudience)
		}
		return same + " --audience AUDIENCE"
	case diagnosis.WrongTokenURL:
		url := "URL"
		if e.Metadata.TokenURL != "" && e.Metadata.TokenURL != c.TokenURL {
			url = shellWord(e.Metadata.TokenURL)
		}
		return same + " --key KEY_FILE --token-url " + url + c.beside()
	case diagnosis.WrongAPIURL:
		return fmt.Sprintf("sfcred edit %s --api-url URL", c.name)
	case diagnosis.ScopeTooWide:
		return same + " --scope ''"
	case diagnosis.ServiceBusy:
		return c.doctor()
	}
	return c.test(cause, e)
}

// beside is what a login with another token URL has to be told again: with
// --token-url only what is given counts.
func (c commands) beside() string {
	var b strings.Builder
	if c.APIURL != "" {
		b.WriteString(" --api-url " + shellWord(c.APIURL))
	}
	for _, host := range c.Hosts {
		b.WriteString(" --host " + shellWord(host))
	}
	return b.String()
}

// mendEnv is mend for the profile from variables.
func (c commands) mendEnv(cause diagnosis.Cause, e diagnosis.Evidence) string {
	switch cause {
	case diagnosis.ClientGone, diagnosis.LevelTooLow:
		return "export SFCRED_CLIENT_ID=NEW_ID"
	case diagnosis.WrongKey:
		return "export SFCRED_PRIVATE_KEY_FILE=KEY_FILE"
	case diagnosis.WrongTokenURL:
		return "export SFCRED_TOKEN_URL=URL"
	case diagnosis.WrongAPIURL:
		return "export SFCRED_API_URL=URL"
	}
	return c.test(cause, e)
}

// test is the command that shows whether a cause is the one; "" where only Iris
// shows it.
func (c commands) test(cause diagnosis.Cause, e diagnosis.Evidence) string {
	url := c.TokenURL
	if e.APIPath != "" {
		url = strings.TrimRight(c.APIURL, "/") + e.APIPath
	}
	switch cause {
	case diagnosis.WrongKey:
		if c.name == envName {
			return ""
		}
		return fmt.Sprintf("sfcred keygen --profile %s --show", c.name)
	case diagnosis.AddressToken, diagnosis.AddressAPI401, diagnosis.AddressAPI403:
		return "curl -sS https://api.ipify.org" // this machine's address, as others see it
	case diagnosis.ClockOff:
		return "date -u"
	case diagnosis.ProxyInWay:
		return withoutProxy(hostOf(url))
	case diagnosis.UntrustedCA:
		if c.name == envName {
			return "export SSL_CERT_FILE=CA_FILE"
		}
		return fmt.Sprintf("sfcred login --profile %s --client-id %s --ca-file CA_FILE", c.name, shellWord(c.ClientID))
	case diagnosis.WrongTokenURL, diagnosis.WrongAPIURL, diagnosis.ServiceDown, diagnosis.SignInPage, diagnosis.NoWay:
		return "curl -sS -D - -o /dev/null " + shellWord(withoutQuery(url))
	}
	return ""
}

// withoutQuery is a URL as it may be shown: its query may hold anything.
func withoutQuery(rawURL string) string {
	before, _, _ := strings.Cut(rawURL, "?")
	return before
}

// hostOf is the host of a URL, without its port.
func hostOf(rawURL string) string {
	u, err := helper.ParseURL(rawURL)
	if err != nil {
		return "HOST"
	}
	return u.Hostname()
}
