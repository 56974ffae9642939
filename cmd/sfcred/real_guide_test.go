//go:build unix

package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
)

// The ways to a token of the service's guide,
// https://docs.nersc.gov/services/sfapi/authentication/, as they stand there,
// but for the jti that the guide leaves out and OpenID Connect Core section 9
// wants. Each prints the token, or all of the answer that it is in.
const (
	guideAuthlib = `
import os
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
token_url = os.environ["TOKEN_URL"]
session = OAuth2Session(
    os.environ["CLIENT"],
    open("key.pem").read(),
    PrivateKeyJWT(token_url),
    grant_type="client_credentials",
    token_endpoint=token_url,
)
print(session.fetch_token()["access_token"])
`
	guidePayload = `
cat > payload.json << EOF
{
	"iss" : "$CLIENT",
	"sub" : "$CLIENT",
	"aud" : "$TOKEN_URL",
	"jti" : "$(openssl rand -hex 16)",
	"exp" : $(($(date "+%s") + 300))
}
EOF
`
	guideJose = `
ASSERTION=$(jose jws sig -I payload.json -k my-keyset.jwk -c)
`
	guideOpenSSL = `
echo -n '{ "alg": "RS256" }' | openssl base64 -A | tr '/+' '_-' | tr -d '=' > head.b64
openssl base64 -in payload.json -A | tr '/+' '_-' | tr -d '=' > body.b64
cat head.b64 <(echo '.') body.b64 | tr -d "\n" > jwt.txt
openssl dgst -sha256 -sign key.pem jwt.txt | openssl base64 -A | tr '/+' '_-' | tr -d '=' > sig.sha256.b64
ASSERTION=$(cat jwt.txt <(echo '.') sig.sha256.b64 | tr -d "\n")
`
	guideCurl = `
curl -sS --cacert ca.pem -XPOST -H "Content-Type:application/x-www-form-urlencoded" -d "grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=$ASSERTION" $TOKEN_URL
`
)

// realGuide has sfcred and the guide's three ways get tokens with one key.
func realGuide(t *testing.T, a *authority, u *user) {
	realParts(t, "curl", "openssl", "jose", "bash", "/usr/bin/python3")
	// Debian's, which another python in PATH would not find.
	if u.do("/usr/bin/python3", "-c", "import authlib, requests").code != 0 {
		missing(t, "authlib with requests for /usr/bin/python3")
	}
	u.works("sfcred", a.login(u, "RS256")...)
	a.next(t)
	u.writeKey("key.pem", theKeys()["key"])
	u.write("my-keyset.jwk", []byte(jwkOf(theKeys()["key"].(*rsa.PrivateKey))))
	u = u.with("TOKEN_URL="+a.tokenURL, "CLIENT=client-RS256", "REQUESTS_CA_BUNDLE="+u.path("ca.pem"))
	for name, command := range map[string][]string{
		"authlib": {"/usr/bin/python3", "-c", guideAuthlib},
		"jose":    {"bash", "-c", guidePayload + guideJose + guideCurl},
		"openssl": {"bash", "-c", guidePayload + guideOpenSSL + guideCurl},
		"sfcred":  {"sfcred", "token", "--force"},
	} {
		got := u.works(command[0], command[1:]...)
		answer := a.next(t)
		if answer.Status != 200 {
			t.Errorf("%s: the server answered %d (%s)", name, answer.Status, answer.Reason)
		} else if want := accessToken(t, answer); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want the token %q", name, got, want)
		}
	}
}

// realVerify has others judge our assertions.
func realVerify(t *testing.T, a *authority, u *user) {
	realParts(t, "jose", "openssl")
	for _, alg := range []string{"RS256", "ES256"} {
		u.works("sfcred", a.login(u, alg)...)
		a.next(t)
		assertion := u.answers("assertion", "-p", alg)
		u.writePublic(alg)
		jose := []string{"jws", "ver", "-i", u.path("assertion"), "-k", u.path(alg + ".jwk"), "-O", u.path("claims")}
		u.write("assertion", []byte(assertion))
		u.works("jose", jose...)
		u.write("assertion", []byte(forged(assertion)))
		if u.do("jose", jose...).code == 0 {
			t.Errorf("%s: jose accepts other claims, too", alg)
		}
	}
	assertion := u.answers("assertion", "-p", "RS256")
	verify := func(assertion string) outcome {
		dot := strings.LastIndex(assertion, ".")
		sig, err := base64.RawURLEncoding.DecodeString(assertion[dot+1:])
		check(t, err)
		return u.do("openssl", "dgst", "-sha256", "-verify", u.path("RS256.public.pem"), "-signature", u.write("sig", sig), u.write("input", []byte(assertion[:dot])))
	}
	if o := verify(assertion); o.code != 0 || o.stdout != "Verified OK\n" {
		t.Errorf("openssl: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	if verify(forged(assertion)).code == 0 {
		t.Error("openssl accepts other claims, too")
	}
}

// writePublic writes the public half of an algorithm's key, as PEM and as JWK.
func (u *user) writePublic(alg string) {
	u.Helper()
	der, err := x509.MarshalPKIXPublicKey(theKeys()[authorityClients()[alg]].(crypto.Signer).Public())
	check(u.T, err)
	file := u.write(alg+".public.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	const toJWK = `console.log(JSON.stringify(crypto.createPublicKey(fs.readFileSync(process.argv[1])).export({ format: 'jwk' })))`
	u.write(alg+".jwk", []byte(u.works("node", "-e", toJWK, file)))
}

// forged is a JWT with other claims under its signature.
func forged(jwt string) string {
	parts := strings.Split(jwt, ".")
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"mallory"}`))
	return strings.Join(parts, ".")
}
