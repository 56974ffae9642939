package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sfcred/helper"
	"sfcred/helper/diagnosis"
)

// The checks that ask somebody: the name service, the token endpoint, the API.

// checkName looks up the host that is connected to: the proxy where there is
// one, which looks up the rest.
func (x *examination) checkName(ctx context.Context) step {
	if x.profile == nil {
		return skipped("no profile")
	}
	host := hostOf(x.profile.TokenURL)
	if u, err := helper.ParseURL(x.profile.TokenURL); err == nil {
		if _, err := proxyFor(&http.Request{URL: u}); err != nil {
			return skipped("through a proxy, and which is not known")
		}
	}
	if proxy := x.source.ProxyHost(x.profile.TokenURL); proxy != "" {
		host = proxy
		if name, _, err := net.SplitHostPort(proxy); err == nil {
			host = name
		}
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return skipped("%s is an address", host)
	}
	if err := lookUp(ctx, host); err != nil {
		e := x.evidence(x.source, err)
		if api := hostOf(x.profile.APIURL); x.profile.APIURL != "" && api != host && lookUp(ctx, api) == nil {
			e.Elsewhere = diagnosis.Proper
		}
		return x.failed(e)
	}
	return passed("%s is found", host)
}

func lookUp(ctx context.Context, host string) error {
	if _, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host); err != nil {
		return &helper.NetworkError{Doing: "look up " + host, Err: err}
	}
	return nil
}

// failedBefore says that a step of that name failed.
func (x *examination) failedBefore(name string) bool {
	return slices.ContainsFunc(x.steps, func(s step) bool { return s.Name == name && s.Verdict == verdictFail })
}

func (x *examination) checkConnection(ctx context.Context) step {
	if x.profile == nil {
		return skipped("no profile")
	}
	if x.failedBefore("name look-up") {
		return skipped("the host is not found")
	}
	reached, err := x.source.Reach(ctx)
	if err != nil {
		return x.failed(x.look(ctx, err))
	}
	x.reached = &reached
	words := "plain http, which does not leave this machine"
	if reached.TLS != "" {
		words = fmt.Sprintf("%s, certificate by %q", reached.TLS, reached.Issuer)
	}
	if reached.Proxy != "" {
		words += ", through the proxy " + reached.Proxy
	}
	return passed("%s", words)
}

// look gathers more evidence on a failure of the token endpoint: how the API's
// server answers, and what the token URL's says of itself.
func (x *examination) look(ctx context.Context, err error) diagnosis.Evidence {
	e := x.evidence(x.source, err)
	if apiErr := x.source.AskAPI(ctx); !errors.Is(apiErr, helper.ErrNoAPI) {
		var answer *helper.AnswerError
		switch {
		case apiErr == nil:
			e.Elsewhere = diagnosis.Proper
		case errors.As(apiErr, &answer) && answer.Status < 400:
			e.Elsewhere = diagnosis.Strange
		case errors.As(apiErr, new(*helper.NetworkError)):
			e.Elsewhere = diagnosis.None
		}
	}
	if errors.As(err, new(*helper.AnswerError)) || errors.As(err, new(*helper.RefusedError)) {
		e.Metadata = x.source.Discover(ctx)
	}
	return e
}

func (x *examination) checkClock(context.Context) step {
	switch {
	case x.reached == nil:
		return skipped("the server was not reached")
	case !x.reached.Dated:
		return skipped("the server does not tell its time")
	}
	const tolerable = time.Minute
	switch skew := x.reached.Skew; {
	case skew > tolerable:
		return warned("date -u", "this machine's clock is %s behind the server's", skew)
	case skew < -tolerable:
		return warned("date -u", "this machine's clock is %s ahead of the server's", -skew)
	}
	return passed("less than a minute from the server's")
}

func (x *examination) checkExchange(ctx context.Context) step {
	switch {
	case x.profile == nil:
		return skipped("no profile")
	case x.signer == nil:
		return skipped("no key")
	case x.reached == nil:
		return skipped("the server was not reached")
	}
	t, err := x.source.Exchange(ctx, x.signer)
	if err != nil {
		return x.failed(x.whyNoToken(ctx, err))
	}
	x.token = t
	x.source.Keep(t)
	words := "the server gave a token"
	if t.Expires.IsZero() {
		return warned("", "%s, and did not say how long it lasts, so it is not kept", words)
	}
	if len(x.warned) > 0 {
		return warned("", "%s; %s", words, strings.Join(x.warned, "; "))
	}
	return passed("%s", words)
}

// whyNoToken gathers the evidence on an exchange that failed. Where nothing
// decides, other audiences are tried: one that works does.
func (x *examination) whyNoToken(ctx context.Context, err error) diagnosis.Evidence {
	e := x.look(ctx, err)
	found := diagnosis.Diagnose(e)
	if len(found) == 0 || found[0].Certain || !slices.ContainsFunc(found, isAudience) && e.Metadata.Issuer == "" {
		return e
	}
	tried := []string{x.profile.AudienceOrTokenURL()}
	for _, audience := range []string{x.profile.TokenURL, e.Metadata.TokenURL, e.Metadata.Issuer} {
		if audience == "" || slices.Contains(tried, audience) {
			continue
		}
		tried = append(tried, audience)
		other := x.profile.Profile // on the token URL's own host, so for nobody else
		other.Audience = audience
		source := x.program.source(other, nil)
		source.Warn = nil
		if _, err := source.Exchange(ctx, x.signer); err == nil {
			e.OtherAudience = audience
			return e
		}
	}
	e.NoAudience = e.Metadata.Issuer != ""
	return e
}

func isAudience(f diagnosis.Finding) bool { return f.Cause == diagnosis.WrongAudience }

func (x *examination) checkToken(context.Context) step {
	t := x.token
	if t.Value == "" {
		return skipped("no token")
	}
	words := "its life is not known"
	if !t.Expires.IsZero() {
		words = fmt.Sprintf("valid for %s", t.Expires.Sub(t.Obtained).Round(time.Second))
	}
	user, known := t.User(), x.learnt(&x.profile.Profile).User
	if user != "" {
		words += ", for " + user
	}
	claimed := t.ClaimedExpiry()
	if claimed.IsZero() && user == "" {
		words += "; what else it says is the server's own affair"
	}
	if off := claimed.Sub(t.Expires) - x.reached.Skew; !claimed.IsZero() && !t.Expires.IsZero() && off.Abs() > time.Minute {
		return warned("", "%s, but the token itself says that it ends %s", words, clockTime(claimed))
	}
	if user != "" && known != "" && user != known {
		return warned("sfcred status "+x.profile.name, "%s, where it was for %s before", words, known)
	}
	return passed("%s", words)
}

func (x *examination) checkAccount(ctx context.Context) step {
	if x.token.Value == "" {
		return skipped("no token")
	}
	name, err := x.source.Account(ctx, x.token)
	switch {
	case errors.Is(err, helper.ErrNoAPI):
		return skipped("%v", err)
	case errors.Is(err, helper.ErrForeignHost):
		return warned(x.addAPIHost(), "%v: %v", withoutQuery(x.profile.APIURL), err)
	case err != nil:
		return x.failed(x.apiEvidence("/account/", err))
	}
	x.account = cmp.Or(name, x.token.User())
	if user := x.token.User(); name != "" && user != "" && name != user {
		return warned("", "the API took the token, and calls its user %s", name)
	}
	if name == "" {
		return passed("the API took the token")
	}
	return passed("the API took the token, for %s", name)
}

// addAPIHost lets the token go to the profile's own API.
func (x *examination) addAPIHost() string {
	host := "HOST"
	if u, err := helper.ParseURL(x.profile.APIURL); err == nil {
		host = u.Host
	}
	if x.profile.name == envName {
		return "export SFCRED_HOSTS=$SFCRED_HOSTS," + host
	}
	return fmt.Sprintf("sfcred edit %s --host +%s", x.profile.name, host)
}

func (x *examination) apiEvidence(path string, err error) diagnosis.Evidence {
	e := x.evidence(x.source, err)
	e.APIPath, e.Took = path, x.tookToken()
	return e
}

// tookToken says that the API has taken the token.
func (x *examination) tookToken() bool {
	last := x.steps[len(x.steps)-1]
	return last.Name == "account" && last.Verdict != verdictFail && x.account != ""
}

// checkClient finds out when the client expires. That nobody says is no failure:
// the token works.
func (x *examination) checkClient(ctx context.Context) step {
	if x.profile == nil {
		return skipped("no profile")
	}
	known := clientExpiry(&x.profile.Profile, x.learnt(&x.profile.Profile))
	said := ""
	if !known.IsZero() && known.Year() < 9999 {
		said = ", which was to be at " + known.UTC().Format("2006-01-02 15:04 UTC")
	}
	if x.token.Value == "" {
		return skipped("no token to ask with when it expires%s", said)
	}
	if !x.tookToken() {
		return skipped("the API does not say when it expires%s", said).but(x.keep(time.Time{}))
	}
	expires, err := x.source.ClientExpiry(ctx, x.token)
	notKept := x.keep(expires)
	switch {
	case err != nil:
		s := x.failed(x.apiEvidence("/account/clients", err))
		s.Verdict = verdictWarn
		return s.but(notKept)
	case expires.IsZero() && known.IsZero():
		hint := fmt.Sprintf("sfcred edit %s --expires 30d", x.profile.name)
		if x.profile.name == envName { // which nothing is kept of
			hint = ""
		}
		return warned(hint, "the API does not list it, so nobody knows when it expires").but(notKept)
	}
	return x.clientWords(firstTime(expires, known)).but(notKept)
}

func (x *examination) clientWords(at time.Time) step {
	if isNever(at) {
		return passed("never expires")
	}
	words := fmt.Sprintf("expires %s (%s)", at.UTC().Format("2006-01-02 15:04 UTC"), expiryWords(&at, ""))
	known := x.learnt(&x.profile.Profile)
	if known.Expires.IsZero() {
		known.Expires = at
	}
	if known.EndsSoon(time.Now()) {
		return warned(x.renewal(), "%s", words)
	}
	return passed("%s", words)
}

// renewal is what begins a client's renewal.
func (x *examination) renewal() string {
	switch {
	case x.profile.name == envName:
		return "export SFCRED_CLIENT_ID=NEW_ID"
	case x.profile.Pending != nil: // it may be registered by now
		return fmt.Sprintf("sfcred login --profile %s --client-id CLIENT_ID", x.profile.name)
	}
	return fmt.Sprintf("sfcred keygen --profile %s", x.profile.name)
}
