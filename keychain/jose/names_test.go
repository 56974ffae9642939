package jose_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sfcred/keychain/jose"
)

// jwxCalls are all functions of jwx that are called here, by package.
var jwxCalls = []string{
	"jwa.SignatureAlgorithm", // a type
	"jwk.FromRaw", "jwk.ParseKey", "jwk.WithPEM",
	"jws.NewHeaders",
	"jwt.NewBuilder",
}

// namers are the methods by which something of jwx takes a name, and those of the
// same name of anything else in those files.
var namers = []string{"Set", "Claim", "Remove", "Update", "Merge", "AsMap", "UnmarshalJSON"}

// GHSA-4cf7-xm37-g63h: jwx v2 writes the names of claims, headers and members of
// a JWK as they are, so that a name with a quote in it makes others. Each name
// that is given to jwx is one of its own constants, and nothing of jwx is used
// that would take names from elsewhere and write them.
func TestNamesAreConstants(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		file := must(parser.ParseFile(fset, path, nil, 0))
		packages := map[string]bool{}
		for _, spec := range file.Imports {
			if name := strings.Trim(spec.Path.Value, `"`); strings.HasPrefix(name, "github.com/lestrrat-go/jwx/") {
				if spec.Name != nil {
					t.Errorf("%s: jwx is imported under another name", fset.Position(spec.Pos()))
				}
				packages[name[strings.LastIndexByte(name, '/')+1:]] = true
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, isCall := n.(*ast.CallExpr)
			if !isCall {
				return true
			}
			called, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			at := fset.Position(call.Pos())
			if of, ok := called.X.(*ast.Ident); ok && packages[of.Name] {
				name := of.Name + "." + called.Sel.Name
				seen[name]++
				if !slices.Contains(jwxCalls, name) {
					t.Errorf("%s: %s is called; does it take names?", at, name)
				}
			}
			if len(packages) == 0 || !slices.Contains(namers, called.Sel.Name) {
				return true
			}
			seen[called.Sel.Name]++
			constant, ok := call.Args[0].(*ast.SelectorExpr)
			if !ok {
				t.Errorf("%s: %s with a name that is none of jwx's constants", at, called.Sel.Name)
				return true
			}
			if of, ok := constant.X.(*ast.Ident); !ok || !packages[of.Name] || !strings.HasSuffix(constant.Sel.Name, "Key") {
				t.Errorf("%s: %s with a name that is none of jwx's constants", at, called.Sel.Name)
			}
			return true
		})
	}
	for _, name := range append(slices.Clone(jwxCalls), "Set") {
		if seen[name] == 0 {
			t.Errorf("%s is nowhere called", name)
		}
	}
}

// members lists the names of a JSON object, each as often as it is there.
func members(t *testing.T, text string) map[string]string {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		t.Fatalf("no object: %.60q", text)
	}
	found := map[string]string{}
	for d.More() {
		name := must(d.Token()).(string)
		if _, twice := found[name]; twice {
			t.Errorf("%q is there twice", name)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
		found[name] = string(value)
	}
	return found
}

// Whatever an assertion is made of, and whatever a key file has beside the key,
// its header and its claims have the members that they are to have, with the
// values that were given. A JWK that is written has nothing of the file either.
func FuzzNames(f *testing.F) {
	key := with(jwkOf(ed()), nil)
	f.Add("abcdefghijklm", "https://example.org/token", "id", "kid", "x5c", `["a"]`)
	for _, evil := range []string{`x","admin":true,"y":"`, `\`, `"`, "x\n\u2028<&>", `{"a":1}`, "kid", "alg", "iss", "d"} {
		f.Add(evil, evil, evil, evil, evil, `"`+strings.ReplaceAll(evil, `"`, ``)+`"`)
	}
	f.Fuzz(func(t *testing.T, client, audience, id, kid, name, value string) {
		if !json.Valid([]byte(value)) {
			value = string(must(json.Marshal(value)))
		}
		var data []byte
		data = append(data, bytes.TrimSuffix(key, []byte("}"))...)
		data = append(append(append(append(append(data, ','), must(json.Marshal(name))...), ':'), value...), '}')
		file, err := jose.Parse(data, nil)
		if err != nil {
			return // it is for FuzzParse what is a key
		}
		a := jose.Assertion{ClientID: client, Audience: audience, ID: id, IssuedAt: time.Unix(1_800_000_000, 0), Expiry: time.Unix(1_800_000_300, 0)}
		for _, kid := range []string{kid, ""} {
			text, err := a.Sign(file.Signer(), "", kid)
			if err != nil {
				continue
			}
			header, claims, _ := split(t, text)
			names := slices.Sorted(maps.Keys(members(t, header)))
			if !slices.Equal(names, []string{"alg", "typ"}) && !slices.Equal(names, []string{"alg", "kid", "typ"}) {
				t.Errorf("the header is %s", header)
			}
			got := members(t, claims)
			if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, []string{"aud", "exp", "iat", "iss", "jti", "sub"}) {
				t.Errorf("the claims are %s", claims)
			}
			for claim, want := range map[string]string{"iss": client, "sub": client, "aud": audience, "jti": id} {
				var is string
				if json.Unmarshal([]byte(got[claim]), &is) != nil || is != want {
					t.Errorf("%s: got %s, want %q", claim, got[claim], want)
				}
			}
			if kid != "" {
				var is string
				if json.Unmarshal([]byte(members(t, header)["kid"]), &is) != nil || is != kid {
					t.Errorf("kid: got %s, want %q", header, kid)
				}
			}
		}
		public := string(must(jose.PublicJWK(file.Key.Public(), "")))
		if names := slices.Sorted(maps.Keys(members(t, public))); !slices.Equal(names, []string{"alg", "crv", "kty", "use", "x"}) {
			t.Errorf("the JWK is %s", public)
		}
	})
}
