package diagnosis

import (
	"net/http"

	"sfcred/helper"
)

// answer is about an answer at the token URL that is not OAuth's.
func (f *findings) answer(e Evidence, a *helper.AnswerError) {
	switch {
	case a.Status == http.StatusNetworkAuthenticationRequired: // RFC 6585 section 6
		f.add(SignInPage, certain, "")
	case a.Status == http.StatusProxyAuthRequired:
		f.add(ProxyInWay, certain, "")
	case a.Status == http.StatusTooManyRequests:
		f.add(ServiceBusy, certain, "")
	case a.Status >= 500:
		f.down(e)
	case a.Status == http.StatusForbidden:
		f.add(AddressToken, likely, "a firewall before the server may have answered")
		f.proxy(e, likely-5)
		f.wrongURL(e, possible, "")
	case a.Redirect != "" || a.HTML && a.Status < 400:
		f.page(e, a)
	default:
		f.wrongURL(e, strong, "what answers there is no token endpoint")
		f.add(ServiceDown, possible, "")
		f.proxy(e, possible)
	}
}

// page is about a web page, or a redirect, which leads to one. The sign-in page
// of a network answers for every server, and a mistaken URL is one server's.
func (f *findings) page(e Evidence, a *helper.AnswerError) {
	portal, wrong, down := likely, likely+5, faint
	var why, whyNot string
	if a.Redirect != "" {
		why = "the redirect is to " + a.Redirect
	}
	switch e.Elsewhere {
	case Strange:
		portal, why = certain, "the API is answered for in the same way"
	case Proper:
		portal, wrong, down = faint-5, certain, likely
		whyNot = "the API answers as it should"
	}
	f.wrongURL(e, wrong, whyNot)
	f.add(SignInPage, portal, why)
	f.proxy(e, likely-5)
	f.add(ServiceDown, down, "")
}
