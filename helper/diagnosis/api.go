package diagnosis

import (
	"net/http"
	"strings"

	"sfcred/helper"
)

// api is about an answer by the API to a token that is seconds old.
func (f *findings) api(e Evidence, a *helper.AnswerError) {
	switch {
	case a.Status == http.StatusUnauthorized:
		f.apiRefusal(e, a, AddressAPI401)
	case a.Status == http.StatusForbidden:
		f.apiRefusal(e, a, AddressAPI403)
	case a.Status == http.StatusTooManyRequests:
		f.add(ServiceBusy, certain, "")
	case a.Status >= 500:
		f.down(e)
	case a.Status == http.StatusNetworkAuthenticationRequired:
		f.add(SignInPage, certain, "")
	case a.Status == http.StatusProxyAuthRequired:
		f.add(ProxyInWay, certain, "")
	default:
		// The token endpoint was reached a moment ago, so the network is open.
		f.wrongURL(e, strong, "what answers there is not the API")
		f.proxy(e, possible)
		f.add(ServiceDown, faint, "")
	}
}

// apiRefusal tells an address from a level: a token from the wrong address is
// refused everywhere, and one of too low a level only where that matters.
func (f *findings) apiRefusal(e Evidence, a *helper.AnswerError, address Cause) {
	said := strings.ToLower(a.Detail)
	says := func(parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(said, part) {
				return true
			}
		}
		return false
	}
	addressSaid := says("source ip", "ip address", "source address", "source-ip", "ip range", "ip not")
	levelSaid := says("level", "scope", "privilege", "permission", "not authorized for")
	switch {
	case addressSaid && !levelSaid:
		f.add(address, certain, "the API says so")
	case levelSaid && !addressSaid:
		f.add(LevelTooLow, certain, "the API says so")
	case e.Took:
		f.add(LevelTooLow, certain, "the API took the same token elsewhere")
	case a.Status == http.StatusUnauthorized:
		f.add(address, strong, "the token is fresh")
		f.wrongURL(e, possible, "the token may be another service's")
	default:
		f.add(address, likely, "")
		f.add(LevelTooLow, likely-10, "")
		f.wrongURL(e, possible, "")
		f.proxy(e, possible)
	}
}
