package sfapitest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// signingKey signs access tokens. RS256 is what the service uses; since such a
// key takes long to make, all servers of a process share one, made on first
// use. Tokens of another server are told by their issuer.
var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(fmt.Sprintf("sfapitest: generate a signing key: %v", err))
	}
	return key
})

// jwk is the public half of the signing key (RFC 7517).
type jwk struct {
	Kty string `json:"kty"`
	Use string `json:"use,omitempty"`
	Alg string `json:"alg,omitempty"`
	Kid string `json:"kid,omitempty"`
	E   string `json:"e"`
	N   string `json:"n"`
}

func publicJWK() jwk {
	public := signingKey().Public().(*rsa.PublicKey)
	e := base64.RawURLEncoding.EncodeToString(big.NewInt(int64(public.E)).Bytes())
	n := base64.RawURLEncoding.EncodeToString(public.N.Bytes())
	// RFC 7638: the hash of the needed members, ordered by name.
	sum := sha256.Sum256(fmt.Appendf(nil, `{"e":%q,"kty":"RSA","n":%q}`, e, n))
	return jwk{Kty: "RSA", Use: "sig", Alg: "RS256", Kid: base64.RawURLEncoding.EncodeToString(sum[:]), E: e, N: n}
}

type accessHeader struct {
	Kid string `json:"kid"`
	Typ string `json:"typ"`
	Alg string `json:"alg"`
}

// accessClaims are those of RFC 9068. The names of scope and its un: entry are
// the service's; what else it sends is not public.
type accessClaims struct {
	Iss      string `json:"iss"`
	Sub      string `json:"sub"`
	Aud      string `json:"aud"`
	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
	Jti      string `json:"jti"`
	Iat      int64  `json:"iat"`
	Exp      int64  `json:"exp"`
}

// Mint returns an access token for the first client whose User is user, as
// the token endpoint would, good for life from now; a negative life makes one
// that has expired. It panics if there is no such client.
func (s *Server) Mint(user string, life time.Duration) string {
	s.mu.Lock()
	clients := slices.Clone(s.clients)
	s.mu.Unlock()
	for _, c := range clients {
		if c.User == user {
			scopes, _ := grantedScopes(c, "")
			return s.mint(c, scopes, life)
		}
	}
	panic(fmt.Sprintf("sfapitest: mint a token: no client of user %q", user))
}

// mint makes and signs an access token.
func (s *Server) mint(c Client, scopes []string, life time.Duration) string {
	now := s.now()
	header := accessHeader{Kid: publicJWK().Kid, Typ: "at+jwt", Alg: "RS256"}
	claims := accessClaims{
		Iss:      s.URL + issuerPath,
		Sub:      c.ID,
		Aud:      s.APIURL,
		ClientID: c.ID,
		Scope:    strings.Join(scopes, " "),
		Jti:      s.generation() + rand.Text(),
		Iat:      now.Unix(),
		Exp:      now.Add(life).Unix(),
	}
	input := encodePart(header) + "." + encodePart(claims)
	sig, err := rsa.SignPKCS1v15(rand.Reader, signingKey(), crypto.SHA256, digest(crypto.SHA256, []byte(input)))
	if err != nil {
		panic(fmt.Sprintf("sfapitest: sign an access token: %v", err))
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// Revoke makes all access tokens that were given so far worth nothing, as a
// restart of the service might.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked++
}

// generation is how the jti of a token begins that has not been revoked.
func (s *Server) generation() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strconv.Itoa(s.revoked) + "-"
}

func encodePart(part any) string {
	b, err := json.Marshal(part)
	if err != nil {
		panic(fmt.Sprintf("sfapitest: encode a part of a token: %v", err))
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// checkAccess judges an access token whole and returns the client it was
// issued to. Its errors are for the request log alone.
func (s *Server) checkAccess(compact string) (Client, error) {
	token, err := parseJWS(compact)
	if err != nil {
		return Client{}, fmt.Errorf("the token is no compact JWS: %w", err)
	}
	alg, _ := token.header.text("alg")
	typ, _ := token.header.text("typ")
	kid, _ := token.header.text("kid")
	if alg != "RS256" || typ != "at+jwt" || kid != publicJWK().Kid {
		return Client{}, errors.New("the token's header is not one of ours")
	}
	if token.verify(alg, signingKey().Public()) != nil {
		return Client{}, errors.New("the token's signature is not ours")
	}
	if iss, _ := token.claims.text("iss"); iss != s.URL+issuerPath {
		return Client{}, errors.New("the token is another server's")
	}
	now := s.now()
	if exp, ok := token.claims.seconds("exp"); !ok || exp <= unixSeconds(now) {
		return Client{}, errors.New("the token has expired")
	}
	if jti, _ := token.claims.text("jti"); !strings.HasPrefix(jti, s.generation()) {
		return Client{}, errors.New("the token was revoked")
	}
	id, _ := token.claims.text("client_id")
	c, ok := s.client(id)
	if !ok {
		return Client{}, errors.New("the token's client is not known any more")
	}
	if c.expired(now) {
		return Client{}, errors.New("the token's client has expired")
	}
	return c, nil
}
