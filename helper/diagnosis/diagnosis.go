// Package diagnosis tells what the causes of a failure may be, from all that
// is known of it, and ranks them by likelihood.
//
// The service answers most failures with one generic invalid_client, on purpose.
// What it does not say has to be told from the rest: when the client was to
// expire, whether the key is the one that last worked, from which network that
// was, the server's clock, the form of the answer and who gave it.
//
// It is a function of its evidence: it asks nobody, reads nothing and knows no
// clock. It trusts the evidence to be true, except that the words of a server
// are only words. Where the evidence does not decide it says so, and what mends
// a cause is left to those who know the commands.
package diagnosis

import (
	"errors"
	"slices"
	"time"

	"sfcred/helper"
	"sfcred/keychain"
	"sfcred/keychain/disk"
	"sfcred/keychain/jose"
)

// Cause is what may be wrong.
type Cause string

// The causes that are told apart.
const (
	NoProfile       Cause = "no such profile"
	StoreLocked     Cause = "key store locked"
	StoreOutOfReach Cause = "key store out of reach"
	NoKey           Cause = "key missing"
	KeyDamaged      Cause = "key damaged"
	KeyOpen         Cause = "key file open to others"
	WrongPassphrase Cause = "wrong passphrase"

	WrongKey      Cause = "wrong key for this client"
	ClientGone    Cause = "client expired or deleted"
	AddressToken  Cause = "address not allowed at the token endpoint"
	AddressAPI401 Cause = "address not allowed at the API (401)"
	AddressAPI403 Cause = "address not allowed at the API (403)"
	WrongAudience Cause = "wrong audience"
	ClockOff      Cause = "clock off"
	WrongTokenURL Cause = "wrong token URL"
	WrongAPIURL   Cause = "wrong API URL"
	ScopeTooWide  Cause = "scope too wide"
	LevelTooLow   Cause = "level too low"

	ServiceDown Cause = "service down"
	ServiceBusy Cause = "service busy"
	NoWay       Cause = "no way to the server"
	ProxyInWay  Cause = "proxy in the way"
	UntrustedCA Cause = "CA not trusted"
	SignInPage  Cause = "captive portal"
)

// Match says whether something is as it was when the client last worked.
type Match int

// What a Match can be.
const (
	Unknown Match = iota
	Same
	Other
)

// Compare matches what is with what was; "" is not known.
func Compare(is, was string) Match {
	switch {
	case is == "" || was == "":
		return Unknown
	case is == was:
		return Same
	}
	return Other
}

// Evidence is what is known of a failure, and beside it. What is zero is not
// known.
type Evidence struct {
	// Err is the failure itself: an error of helper or keychain, or one that
	// wraps one.
	Err error
	// APIPath is the path below the API where it failed, such as "/account/";
	// "" where the token endpoint was asked, or nobody yet.
	APIPath string
	// Now is the time by this machine's clock.
	Now time.Time

	// Expires is when the client is to expire, by the service or the user.
	Expires time.Time
	// Worked is when an exchange of this client with this token URL last worked.
	Worked time.Time
	// Key and Network compare with that time.
	Key, Network Match
	// Shared says that the network's addresses are private or a proxy's: what
	// the server sees of the machine may have changed though Network is Same.
	Shared bool

	// TokenURL is the profile's; Preset says that sfcred itself knows it, and
	// the API URL that goes with it.
	TokenURL string
	Preset   bool
	// Audience is the profile's own, where it has one; OldAudience says that
	// it worked with another.
	Audience    string
	OldAudience bool
	// Proxy is the host of the proxy in use, or "".
	Proxy string

	// Took says that the API took the same token at another path.
	Took bool
	// Elsewhere is how the API's server answers when it is asked for something
	// that needs no token.
	Elsewhere Answer
	// Metadata is what the token URL's server says of itself.
	Metadata helper.Metadata
	// OtherAudience is one with which an exchange did work; NoAudience says that
	// all that the server names were tried, and none did.
	OtherAudience string
	NoAudience    bool
}

// Answer is how somebody answered.
type Answer int

// What an Answer can be.
const (
	NotAsked Answer = iota
	Proper
	Strange // a web page or a redirect, as of somebody else
	None
)

// Finding is a cause and what speaks for it.
type Finding struct {
	Cause Cause
	// Why is the evidence for it, in words, or "".
	Why string
	// Certain says that the evidence decides, Faint that the cause is named
	// only because nothing excludes it.
	Certain, Faint bool

	words string // in place of the cause's own, or ""
}

// Diagnose gives the causes of a failure, the likeliest first; none where
// nothing is known that could be one. If the first is certain, it is the only
// one.
func Diagnose(e Evidence) []Finding {
	var (
		f       findings
		store   *keychain.Error
		refused *helper.RefusedError
		answer  *helper.AnswerError
		network *helper.NetworkError
	)
	switch {
	case e.Err == nil:
		return nil
	case errors.Is(e.Err, helper.ErrNoProfile):
		f.add(NoProfile, certain, "")
	case errors.As(e.Err, &store), errors.Is(e.Err, jose.ErrEncrypted):
		f.keyStore(e.Err)
	case errors.As(e.Err, &refused):
		f.refused(e, refused)
	case errors.As(e.Err, &answer) && e.APIPath != "":
		f.api(e, answer)
	case errors.As(e.Err, &answer):
		f.answer(e, answer)
	case errors.As(e.Err, &network):
		f.network(e, network)
	}
	return f.ranked()
}

// Weights of a cause. They rank; only certain means more than that.
const (
	certain  = 90
	strong   = 70
	likely   = 50
	possible = 30
	faint    = 15
	excluded = 0
)

// findings are causes with their weights.
type findings []weighed

type weighed struct {
	Finding
	weight int
}

func (f *findings) add(c Cause, weight int, why string) {
	*f = append(*f, weighed{Finding{Cause: c, Why: why}, weight})
}

// addAs is add with words of its own.
func (f *findings) addAs(c Cause, words string, weight int, why string) {
	*f = append(*f, weighed{Finding{Cause: c, Why: why, words: words}, weight})
}

// ranked sorts by weight; causes of one weight stay in the order in which they
// were added.
func (f findings) ranked() []Finding {
	slices.SortStableFunc(f, func(a, b weighed) int { return b.weight - a.weight })
	var list []Finding
	for _, w := range f {
		if w.weight <= excluded || len(list) > 0 && (list[0].Certain || w.Cause == list[0].Cause) {
			continue
		}
		w.Certain, w.Faint = w.weight >= certain, w.weight <= faint
		list = append(list, w.Finding)
	}
	return list
}

// wrongURL adds that it is not the URL that it is taken for. One that is known
// to be right, since it is sfcred's own or has worked, is hardly wrong.
func (f *findings) wrongURL(e Evidence, weight int, why string) {
	cause, known := WrongTokenURL, e.Preset || !e.Worked.IsZero()
	if e.APIPath != "" {
		cause, known = WrongAPIURL, e.Preset || e.Took
	}
	switch says := e.Metadata.TokenURL; {
	case e.APIPath == "" && says != "" && says != e.TokenURL:
		weight, why = certain, "the server itself names "+says
	case known, e.APIPath == "" && says != "":
		weight = min(weight, faint)
	}
	f.add(cause, weight, why)
}

// proxy adds the proxy where there is one.
func (f *findings) proxy(e Evidence, weight int) {
	if e.Proxy != "" {
		f.add(ProxyInWay, weight, "requests go through "+e.Proxy)
	}
}

func (f *findings) down(e Evidence) {
	f.add(ServiceDown, strong, "")
	f.proxy(e, possible)
}

// keyStore names what kind of error a key store's is; the error says the rest.
func (f *findings) keyStore(err error) {
	var unsafe *disk.UnsafeError
	switch {
	case errors.As(err, &unsafe):
		f.add(KeyOpen, certain, "")
	case errors.Is(err, keychain.ErrLocked), errors.Is(err, jose.ErrEncrypted):
		f.add(StoreLocked, certain, "")
	case errors.Is(err, keychain.ErrPassphrase):
		f.add(WrongPassphrase, certain, "")
	case errors.Is(err, keychain.ErrNotFound):
		f.add(NoKey, certain, "")
	case errors.Is(err, keychain.ErrDamaged):
		f.add(KeyDamaged, certain, "")
	default:
		f.add(StoreOutOfReach, certain, "")
	}
}
