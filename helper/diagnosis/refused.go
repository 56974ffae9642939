package diagnosis

import (
	"fmt"
	"strings"
	"time"

	"sfcred/helper"
)

// refused is about a refusal by the token endpoint (RFC 6749 section 5.2).
func (f *findings) refused(e Evidence, r *helper.RefusedError) {
	switch r.Code {
	case "invalid_scope":
		f.add(ScopeTooWide, certain, "")
	case "unauthorized_client":
		f.add(LevelTooLow, strong, "the server knows the client, and does not let it have tokens this way")
		f.client(e, r)
	case "invalid_client", "invalid_grant":
		f.client(e, r)
	default: // invalid_request, unsupported_grant_type: it expects somebody else
		f.wrongURL(e, strong, "what was asked is not what is asked there")
		f.add(ServiceDown, faint, "")
	}
}

// client is about a client that was not accepted, for whatever reason.
func (f *findings) client(e Evidence, r *helper.RefusedError) {
	f.word(r.Description)
	f.clock(r)
	f.gone(e)
	f.key(e)
	f.address(e)
	f.audience(e)
	f.server(e)
}

// wordsFor are parts of what servers say, in lower case, by cause. A generic
// text, such as Connect2id's, has parts for several and says nothing.
var wordsFor = []struct {
	cause Cause
	parts []string
}{
	{ClockOff, []string{"expired jwt", "jwt expired", "jwt has expired", "assertion expired", "assertion has expired", "issued in the future", "not yet valid", "too far ahead", "clock"}},
	{ClientGone, []string{"client expired", "client has expired", "expired client", "client not found", "unknown client", "no such client", "client disabled", "client is disabled", "client is not active", "client was deleted"}},
	{WrongKey, []string{"signature", "no matching key", "registered jwk", "public key"}},
	{WrongAudience, []string{"audience", "'aud'", `"aud"`, " aud "}},
	{AddressToken, []string{"ip address", "source ip", "source address", "ip not allowed", "remote address", "ip range"}},
}

// word takes a server at its word where that names one cause.
func (f *findings) word(description string) {
	text := " " + strings.ToLower(description) + " "
	var named []Cause
	for _, w := range wordsFor {
		for _, part := range w.parts {
			if strings.Contains(text, part) {
				named = append(named, w.cause)
				break
			}
		}
	}
	if len(named) == 1 {
		f.add(named[0], certain, "the server says so")
	}
}

// clock weighs the difference of the clocks against what servers forgive: an
// assertion is good for five minutes, and few take one from the future.
func (f *findings) clock(r *helper.RefusedError) {
	why := fmt.Sprintf("the server's differs by %s", r.Skew.Abs().Round(time.Second))
	switch {
	case r.Skew == 0:
	case r.ServerTime: // which was no better
		f.add(ClockOff, faint, why)
	case r.Skew < 0 || r.Skew >= 4*time.Minute:
		f.add(ClockOff, certain, why)
	default:
		f.add(ClockOff, likely, why)
	}
}

func (f *findings) gone(e Evidence) {
	switch {
	case e.Expires.IsZero() && e.Worked.IsZero():
		f.addAs(ClientGone, "the client has expired or was deleted, or its ID is mistyped", likely, "")
	case e.Expires.IsZero():
		f.add(ClientGone, likely, "")
	case !e.Now.Before(e.Expires):
		f.addAs(ClientGone, "the client expired "+at(e.Expires), certain, "")
	case e.Expires.Year() >= 9999: // how servers say never
		f.addAs(ClientGone, "the client was deleted", possible+5, "it never expires")
	default:
		f.addAs(ClientGone, "the client was deleted", possible+5, "it was not to expire before "+at(e.Expires))
	}
}

func (f *findings) key(e Evidence) {
	switch e.Key {
	case Same:
		return // a client's key is never changed
	case Other:
		f.add(WrongKey, certain-5, "it is another key than the one that last worked")
	default:
		f.add(WrongKey, likely-10, "")
	}
}

func (f *findings) address(e Evidence) {
	switch {
	case e.Network == Other:
		f.add(AddressToken, strong, "it is on another network than when the client last worked")
	case e.Network == Same && e.Shared:
		f.add(AddressToken, possible, "though the network is the same as when the client last worked, as far as can be seen from within")
	case e.Network == Same:
		f.add(AddressToken, faint, "though the network is the same as when the client last worked")
	default:
		f.add(AddressToken, likely-5, "")
	}
}

func (f *findings) audience(e Evidence) {
	wanted := e.Metadata.TokenURL
	switch {
	case e.OtherAudience != "":
		f.add(WrongAudience, certain+5, "an exchange with the audience "+e.OtherAudience+" worked")
	case e.NoAudience && e.Audience == "":
	case e.NoAudience:
		f.add(WrongAudience, faint, "")
	case e.OldAudience:
		f.add(WrongAudience, certain-5, "it is another one than when the client last worked")
	case e.Audience != "" && e.Audience != wanted && e.Audience != e.Metadata.Issuer && e.Worked.IsZero():
		f.add(WrongAudience, strong+5, "the profile has one of its own, "+e.Audience)
	case e.Audience != "" && e.Worked.IsZero():
		f.add(WrongAudience, possible, "")
	case e.Audience != "" || !e.Preset && e.Worked.IsZero():
		f.add(WrongAudience, faint, "")
	}
}

// server is about a token endpoint that is another service's.
func (f *findings) server(e Evidence) {
	if !e.Preset && e.Worked.IsZero() {
		f.wrongURL(e, faint, "")
	}
}

// at is a time for people.
func at(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
