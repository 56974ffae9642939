package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh/agent"

	"sfcred/helper/sfapitest"
)

// hostile is text that sets a terminal's title, clears its screen, turns its
// colours, shows text in another order and begins a line of its own.
const hostile = "h0stile\x1b]0;title\x07\x1b[2J\u009b31m\u202e\u2028\x7f\x08\r\nsfcred: error: nothing"

// unprintable is the first part of a text that is no character to be seen, and
// no line's end, or "".
func unprintable(text []byte) string {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r != '\n' && (!unicode.IsPrint(r) || r == utf8.RuneError && size == 1) {
			return fmt.Sprintf("%q", text[:min(len(text), 30)])
		}
		text = text[size:]
	}
	return ""
}

// raw answers with these bytes alone, which need not be HTTP.
func raw(answer string) sfapitest.Fault {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			fmt.Fprint(conn, answer)
			conn.Close()
		})
	}
}

// rawJSON answers with a status line, headers and JSON.
func rawJSON(status, headers string, body any) sfapitest.Fault {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return raw(fmt.Sprintf("HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n%s\r\n%s", status, len(text), headers, text))
}

// Whatever a server, an ssh-agent, a key file or a tool sends, and whatever the
// command line says: what sfcred shows of it steers no terminal, and looks like
// no line of sfcred's own.
func TestHostileText(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	if !unprivileged(t) {
		return
	}
	w := newLeakWorld(t)
	w.name = "all is well"
	w.server.SetTokenFault()
	w.env = append(w.env, "SFCRED_TIMEOUT=20s")
	pem := []string{"login", "--profile", "pem", "--store", "pem", "--key", "key.pem", "--token-url", w.server.TokenURL,
		"--api-url", w.server.APIURL, "--host", strings.TrimPrefix(w.server.URL, "http://")}
	if _, failed := w.run(nil, pem...); failed {
		t.Fatal("the login failed")
	}
	w.shown = 0
	w.hostileServers(pem)
	w.hostileAPI(pem)
	w.hostileCertificates()
	w.hostileAgent()
	servers := w.shown
	if servers < 20 {
		t.Errorf("only %d messages quoted a server or an agent; want 20", servers)
	}
	w.hostileInputs()
	w.hostileFiles()
	t.Logf("%d messages quoted a server or an agent, %d what was typed or read from files", servers, w.shown-servers)
	if w.shown-servers < 20 {
		t.Errorf("only %d messages quoted what was typed or read from files; want 20", w.shown-servers)
	}
}

// hostileServers are token endpoints.
func (w *leakWorld) hostileServers(login []string) {
	refusal := func(code, description any) map[string]any {
		return map[string]any{"error": code, "error_description": description}
	}
	token := func(name string, value any) map[string]any {
		o := map[string]any{"access_token": "token", "token_type": "Bearer", "expires_in": 600}
		o[name] = value
		return o
	}
	header := strings.NewReplacer("\r", "", "\n", "").Replace(hostile)
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"scope":["un:` + strings.Trim(string(must(json.Marshal(hostile))), `"`) + `"]}`))
	faults := map[string]sfapitest.Fault{
		"a reason":                     rawJSON("401 Unauthorized", "", refusal("invalid_client", hostile)),
		"a reason in a list":           rawJSON("401 Unauthorized", "", refusal("invalid_client", []string{hostile})),
		"an error":                     rawJSON("400 Bad Request", "", refusal(hostile, "")),
		"a type":                       rawJSON("200 OK", "", token("token_type", hostile)),
		"a token":                      rawJSON("200 OK", "", token("access_token", hostile)),
		"an expiry":                    rawJSON("200 OK", "", token("expires_in", hostile)),
		"a user":                       rawJSON("200 OK", "", token("access_token", "e30."+claims+".e30")),
		"a status":                     rawJSON("418 "+header, "", nil),
		"a status that is none":        raw("HTTP/1.1 " + hostile + "\r\n\r\n"),
		"a protocol":                   raw(hostile + "\r\n\r\n"),
		"a header":                     raw("HTTP/1.1 200 OK\r\n" + hostile + "\r\n\r\n"),
		"a header's value":             rawJSON("503 No", "Retry-After: "+header+"\r\nDate: "+header+"\r\n", nil),
		"a length":                     raw("HTTP/1.1 200 OK\r\nContent-Length: " + hostile + "\r\n\r\n"),
		"an encoding":                  raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: " + header + "\r\n\r\n"),
		"a chunk":                      raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + hostile + "\r\n"),
		"a target":                     rawJSON("307 Elsewhere", "Location: https://"+header+"/\r\n", nil),
		"a target's path":              rawJSON("302 Elsewhere", "Location: https://evil.example/"+header+"\r\n", nil),
		"a target's scheme":            rawJSON("302 Elsewhere", "Location: "+header+"://evil.example/\r\n", nil),
		"a page":                       raw("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=" + header + "\r\n\r\n<title>" + hostile + "</title>"),
		"text":                         raw("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + hostile),
		"what is no UTF-8":             raw("HTTP/1.1 401 No\r\nContent-Type: application/json\r\n\r\n{\"error\":\"invalid_client\",\"error_description\":\"h0stile \x9b31m\xff\xc2\"}"),
		"an encoding of the content":   raw("HTTP/1.1 200 OK\r\nContent-Encoding: " + header + "\r\n\r\n" + hostile),
		"a user, and no time to relax": rawJSON("200 OK", "", token("scope", hostile)),
	}
	// What has been read of one answer must not stand in for the next one, in
	// whatever order they come.
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		w.name = "the server sends " + name
		var asked atomic.Int32
		w.server.SetTokenFault(counted(&asked), faults[name])
		ask := func(stdin string, args ...string) {
			w.forget()
			asked.Store(0)
			w.runWith(stdin, []string{"SFCRED_TIMEOUT=2s"}, args)
			if asked.Load() == 0 {
				w.t.Errorf("%s: sfcred %q did not ask it", w.name, args)
			}
		}
		ask("", "--verbose", "token", "--force", "-p", "pem")
		w.run(nil, "status", "pem")
		w.run(nil, "list")
		ask("", login...)
		ask(`{"v":1,"kind":"get","operation":"read","registry":{"index-url":"`+w.server.URL+`/"}}`+"\n", "helper", "cargo", "-p", "pem", "--min-ttl", "9m")
	}
	w.server.SetTokenFault()
}

// hostileAPI answers what login and list ask the API.
func (w *leakWorld) hostileAPI(login []string) {
	bodies := map[string]any{
		"a name":    map[string]any{"name": hostile},
		"an expiry": []any{map[string]any{"clientId": clientID, "expiresAt": hostile}},
		"text":      hostile,
	}
	for _, name := range slices.Sorted(maps.Keys(bodies)) {
		w.name = "the API sends " + name
		w.server.SetAPIFault(rawJSON("200 OK", "", bodies[name]))
		w.run(nil, login...)
		w.run(nil, "--verbose", "list", "--refresh")
		w.run(nil, "list", "--json")
		w.run(nil, "status", "pem")
	}
	w.server.SetAPIFault()
}

// hostileCertificates are for other names, and from nobody.
func (w *leakWorld) hostileCertificates() {
	name := strings.NewReplacer("\u009b", "", "\u202e", "", "\u2028", "").Replace(hostile) // IA5String
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		Subject:   pkix.Name{CommonName: hostile, Organization: []string{hostile}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: crypto.Signer(key)}}}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	defer server.Close()
	w.write("keys/hostile-ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	for _, ca := range []string{"", "hostile-ca.pem"} {
		w.name = "a certificate, trusted by " + ca
		w.run([]string{"SSL_CERT_FILE=" + ca, "SFCRED_CLIENT_ID=x", "SFCRED_PRIVATE_KEY=" + w.read("keys/key-only.pem"), "SFCRED_TOKEN_URL=" + server.URL},
			"--verbose", "token")
	}
}

// hostileAgent lists keys with comments.
func (w *leakWorld) hostileAgent() {
	w.name = "an ssh-agent"
	for _, key := range []string{"key", "ec", "ed"} {
		if err := w.agent.Add(agent.AddedKey{PrivateKey: theKeys()[key], Comment: hostile}); err != nil {
			w.t.Fatal(err)
		}
	}
	w.run(nil, "login", "--profile", "agent", "--store", "ssh-agent", "--client-id", clientID, "--token-url", w.server.TokenURL)
}

// hostileInputs are command lines, variables and requests.
func (w *leakWorld) hostileInputs() {
	w.name = "what is typed"
	for _, args := range [][]string{
		{hostile}, {"--" + hostile}, {"token", hostile}, {"token", "--min-ttl", hostile}, {"token", "--url", hostile}, {"token", "--url", "https://" + hostile + "/"},
		{"token", "-p", hostile}, {"use", hostile}, {"remove", "--yes", hostile}, {"status", hostile}, {"--timeout", hostile, "list"}, {"help", hostile},
		{"--config", hostile, "token"}, {"--config", hostile + "/x", "use", "x"}, {"edit", "pem", "--host", hostile}, {"edit", "pem", "--rename", hostile},
		{"edit", "pem", "--expires", hostile}, {"login", "--store", hostile}, {"login", "--key", hostile, "--client-id", "x"},
		{"login", "--client-id", hostile, "--key", "key-only.pem", "--profile", "new"}, {"login", "--site", hostile}, {"login", "--token-url", hostile, "--key", "key.pem"},
		{"login", "--key", "key.pem", "--alg", hostile}, {"login", "--profile", "new", "--command", hostile, "--client-id", "x"},
		{"login", "--profile", "new", "--shell", "--command", "false " + hostile, "--client-id", "x"}, {"login", "--profile", "new", "--store", "ssh-agent", "--client-id", "x", "--key", hostile},
		{"keygen", "--profile", "new", "--alg", hostile}, {"keygen", "--profile", "new", "--out", hostile + "/x"}, {"import", hostile}, {"import", "--store", hostile},
		{"unlock", "--agent", "--for", hostile, "pem"}, {"exec", "-p", "pem", "--", hostile}, {"exec", "-p", "pem", "--token-file", hostile + "/x", "--", "true"},
		{"exec", "-p", "pem", "--env", hostile, "--", "true"}, {"setup", "kubectl", "-p", "pem", "--user", hostile}, {"setup", "kubectl", "-p", "pem", "--write", "--user", hostile},
		{"helper", hostile}, {"helper", "git", hostile}, {"helper", "go", hostile}, {"helper", "terraform", "get", hostile}, {"helper", "terraform", hostile, "x"}, {"helper", "bazel", hostile},
		{"login", "--client-id", "x", "--key", "nosuch.pem", "--host", hostile, "--profile", "new"},
	} {
		w.run(nil, args...)
	}
	for _, name := range []string{"SFCRED_PROFILE", "SFCRED_CONFIG", "SFCRED_TIMEOUT", "SFCRED_VERBOSE", "SFCRED_HOSTS", "SFCRED_API_URL", "SFCRED_TOKEN_URL",
		"SFCRED_CLIENT_ID", "SFCRED_PRIVATE_KEY", "SFCRED_PRIVATE_KEY_FILE", "SFCRED_PASSPHRASE_FILE", "SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS", "XDG_CONFIG_HOME", "HTTPS_PROXY", "SSL_CERT_FILE"} {
		w.name = name
		tokenURL := w.server.TokenURL
		if name == "HTTPS_PROXY" || name == "SSL_CERT_FILE" {
			tokenURL = "https://127.0.0.1:1/"
		}
		w.run([]string{"SFCRED_CLIENT_ID=x", "SFCRED_PRIVATE_KEY_FILE=key.pem", "SFCRED_TOKEN_URL=" + tokenURL, name + "=" + hostile}, "--verbose", "token")
		w.run([]string{name + "=" + hostile}, "unlock", "pem")
		w.run([]string{name + "=" + hostile}, "login", "--profile", "new", "--store", "file", "--key", "encrypted.pem", "--token-url", w.server.TokenURL, "--client-id", "encrypted")
	}
	quoted := string(must(json.Marshal(hostile)))
	for _, request := range []string{hostile, quoted, `{"uri":` + quoted + `}`, `{"` + hostile + `":1}`,
		"protocol=https\nhost=" + hostile + "\n\n", "protocol=" + hostile + "\nhost=x\n\n", hostile + "=x\n\n", "capability[]=authtype\nprotocol=https\nhost=x\npath=" + hostile + "\n\n",
		`{"v":1,"kind":` + quoted + `,"registry":{"index-url":"https://x/"}}` + "\n", `{"v":1,"kind":"get","operation":"read","registry":{"index-url":` + quoted + `},"args":[]}` + "\n",
		`{"v":1,"kind":"get","operation":"read","registry":{"index-url":"https://x/"},"args":[` + quoted + `]}` + "\n", `{"v":` + quoted + `}` + "\n", `{"method":"GET","uri":` + quoted + `,"headers":{}}`,
	} {
		for _, args := range [][]string{{"git", "get"}, {"git", "erase"}, {"bazel", "get"}, {"cargo"}, {"restish"}, {"terraform", "store", "x"}, {"go", "https://x/"}} {
			w.name = fmt.Sprintf("the request %q", request)
			w.input(request, append([]string{"helper", "-p", "pem"}, args...)...)
		}
		w.run([]string{"KUBERNETES_EXEC_INFO=" + strings.ReplaceAll(request, "\x00", "")}, "helper", "kubectl", "-p", "pem")
	}
}

// hostileFiles are configs and keys that somebody else may have made, and their
// names.
func (w *leakWorld) hostileFiles() {
	dir := filepath.Join(w.dir, "keys", strings.ReplaceAll(hostile, "/", ""))
	if err := os.Mkdir(dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	key := w.read("keys/key-only.pem")
	files := map[string]string{
		"good.pem": clientID + "\n" + key, "line.pem": hostile + "\n" + key, "none.pem": hostile, "type.pem": strings.ReplaceAll(key, "RSA PRIVATE KEY", hostile),
		"public.pem": w.read("keys/public.pem"), "header.pem": strings.Replace(key, "KEY-----\n", "KEY-----\nProc-Type: "+strings.ReplaceAll(hostile, "\n", "")+"\n\n", 1),
		"bad.jwk": `{"kty":` + string(must(json.Marshal(hostile))) + `,"d":"x"}`, "client.json": `{"client_id":` + string(must(json.Marshal(hostile))) + `,"secret":` + w.read("keys/key.jwk") + `}`,
		"kid.jwk": strings.Replace(w.read("keys/key.jwk"), "{", `{"alg":`+string(must(json.Marshal(hostile)))+`,"kid":`+string(must(json.Marshal(hostile)))+`,`, 1),
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w.write(filepath.Join("keys", filepath.Base(dir), name), files[name])
		path := filepath.Join(dir, name)
		w.name = "the file " + name
		for _, args := range [][]string{
			{"import", "--dry-run", path}, {"import", "--json", path}, {"import", "--all", "--store", "pem", "--token-url", w.server.TokenURL, path},
			{"login", "--profile", "new", "--store", "pem", "--key", path, "--token-url", w.server.TokenURL}, {"login", "--profile", "new", "--store", "ssh-agent", "--key", path},
			{"--config", path, "token"}, {"list"}, {"list", "--json"}, {"status", "new"}, {"setup", "kubectl", "--config", path},
		} {
			w.run(nil, args...)
		}
	}
	quoted := fmt.Sprintf("%q", hostile)
	for _, text := range []string{hostile, quoted + " = 1", "default = " + quoted, "[profile." + quoted + "]\n", "[profile.x]\n" + quoted + " = 1\n", "[profile.x]\nclient_id = " + quoted + "\n",
		"[profile.x]\nclient_id = \"x\"\ntoken_url = " + quoted + "\n", "[profile.x]\nclient_id = \"x\"\nstore = " + quoted + "\ntoken_url = \"https://x/\"\n",
		"[profile.x]\nclient_id = \"x\"\nstore = \"pem\"\nkey_file = " + quoted + "\ntoken_url = \"https://x/\"\nhosts = [" + quoted + "]\n",
		"[profile.x]\nclient_id = \"x\"\nstore = \"command\"\ncommand = " + quoted + "\ntoken_url = \"https://x/\"\n",
		"[profile.x]\nclient_id = \"x\"\nstore = \"ssh-agent\"\nfingerprint = " + quoted + "\ntoken_url = \"https://x/\"\n",
	} {
		w.write("keys/hostile.toml", text)
		w.name = fmt.Sprintf("the config %q", text)
		for _, args := range [][]string{{"token", "-p", "x"}, {"list"}, {"list", "--json"}, {"status", "x"}, {"remove", "--yes", "x"}} {
			w.run(nil, append([]string{"--config", "hostile.toml"}, args...)...)
		}
	}
}
