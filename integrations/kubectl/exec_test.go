package kubectl_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sfcred/integrations/kubectl"
)

const (
	v1      = "client.authentication.k8s.io/v1"
	v1beta1 = "client.authentication.k8s.io/v1beta1"
)

// execInfo is what client-go puts into KUBERNETES_EXEC_INFO.
func execInfo(version, spec string) string {
	return `{"kind":"ExecCredential","apiVersion":"` + version + `","spec":` + spec + `}`
}

func TestParse(t *testing.T) {
	for _, test := range []struct {
		info string
		want kubectl.Request
	}{
		// A person tries the command by hand.
		{"", kubectl.Request{APIVersion: v1}},
		{execInfo(v1, `{"interactive":false}`), kubectl.Request{APIVersion: v1}},
		{execInfo(v1beta1, `{}`), kubectl.Request{APIVersion: v1beta1}},
		// Without provideClusterInfo there is no cluster, or a null.
		{execInfo(v1, `{"cluster":null,"interactive":true}`), kubectl.Request{APIVersion: v1}},
		{`{"kind":"ExecCredential","apiVersion":"` + v1 + `"}`, kubectl.Request{APIVersion: v1}},
		{execInfo(v1, `{"cluster":{"server":"https://k8s.example.org:6443"}}`), kubectl.Request{APIVersion: v1, Server: "https://k8s.example.org:6443"}},
		{execInfo(v1, `{"cluster":{"server":"https://k","insecure-skip-tls-verify":true}}`), kubectl.Request{APIVersion: v1, Server: "https://k", Insecure: true}},
		// Fields that are not known may come with any new minor version.
		{execInfo(v1, `{"cluster":{"server":"https://k","config":{"a":[1]},"certificate-authority-data":"eA=="},"more":1}`), kubectl.Request{APIVersion: v1, Server: "https://k"}},
		// Names are taken as they are, as client-go does.
		{execInfo(v1, `{"cluster":{"server":"https://k","SERVER":"https://b"},"Cluster":{"server":"https://b"}}`), kubectl.Request{APIVersion: v1, Server: "https://k"}},
		{execInfo(v1, `{"cluster":{"server":"https://k","insecure-skip-tls-verify":true,"INSECURE-SKIP-TLS-VERIFY":false}}`), kubectl.Request{APIVersion: v1, Server: "https://k", Insecure: true}},
		{execInfo(v1, `{"cluster":{"server":"https://k","config":{"a":1,"a":2}}}`), kubectl.Request{APIVersion: v1, Server: "https://k"}},
	} {
		got, err := kubectl.Parse(test.info)
		if err != nil || got != test.want {
			t.Errorf("Parse(%s): got %+v, %v, want %+v", test.info, got, err, test.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, test := range []struct{ info, want string }{
		{"{", "KUBERNETES_EXEC_INFO is not the JSON of an ExecCredential"},
		{"null", "KUBERNETES_EXEC_INFO is not the JSON of an ExecCredential"},
		{`{"Kind":"ExecCredential","apiVersion":"` + v1 + `"}`, `KUBERNETES_EXEC_INFO is of kind "", not ExecCredential`},
		{execInfo(v1, `{"cluster":{"SERVER":"https://k"}}`), "KUBERNETES_EXEC_INFO names a cluster without a server"},
		// The first, or the last: which would be meant?
		{execInfo(v1, `{"cluster":{"server":"https://a","server":"https://b"}}`), "KUBERNETES_EXEC_INFO is not the JSON of an ExecCredential"},
		{execInfo(v1, `{"cluster":{"server":"https://a"},"cluster":null}`), "KUBERNETES_EXEC_INFO is not the JSON of an ExecCredential"},
		{execInfo(v1, `{},"spec":{"cluster":{"server":"https://a"}}`), "KUBERNETES_EXEC_INFO is not the JSON of an ExecCredential"},
		{execInfo(v1, `{"cluster":{"server":"https://k","insecure-skip-tls-verify":true,"insecure-skip-tls-verify":false}}`), "KUBERNETES_EXEC_INFO is not the JSON of an ExecCredential"},
		{"[]", "KUBERNETES_EXEC_INFO is not the JSON of an ExecCredential"},
		{" ", "KUBERNETES_EXEC_INFO is not the JSON of an ExecCredential"},
		// Two values: which would be meant?
		{execInfo(v1, "{}") + execInfo(v1, "{}"), "KUBERNETES_EXEC_INFO is not the JSON of an ExecCredential"},
		{`{"kind":"Pod","apiVersion":"v1"}`, `KUBERNETES_EXEC_INFO is of kind "Pod", not ExecCredential`},
		// Removed from Kubernetes in 1.24.
		{execInfo("client.authentication.k8s.io/v1alpha1", "{}"), `KUBERNETES_EXEC_INFO asks for "client.authentication.k8s.io/v1alpha1"; what can be answered is client.authentication.k8s.io/v1 and client.authentication.k8s.io/v1beta1`},
		{execInfo("", "{}"), `KUBERNETES_EXEC_INFO asks for ""; what can be answered is client.authentication.k8s.io/v1 and client.authentication.k8s.io/v1beta1`},
		// A cluster without a server could be any.
		{execInfo(v1, `{"cluster":{}}`), "KUBERNETES_EXEC_INFO names a cluster without a server"},
		{execInfo(v1, `{"cluster":{"server":""}}`), "KUBERNETES_EXEC_INFO names a cluster without a server"},
		{execInfo(v1, `{"cluster":{"server":7}}`), "KUBERNETES_EXEC_INFO is not the JSON of an ExecCredential"},
		{execInfo(v1, `{"cluster":{"server":"https://k","insecure-skip-tls-verify":"true"}}`), "KUBERNETES_EXEC_INFO is not the JSON of an ExecCredential"},
		// What is quoted is cut, and cannot steer a terminal.
		{`{"kind":"` + strings.Repeat("x", 100) + `"}`, `KUBERNETES_EXEC_INFO is of kind "` + strings.Repeat("x", 40) + `", not ExecCredential`},
		{`{"kind":"\u001b[2J"}`, `KUBERNETES_EXEC_INFO is of kind "\x1b[2J", not ExecCredential`},
	} {
		got, err := kubectl.Parse(test.info)
		if err == nil || err.Error() != test.want || got != (kubectl.Request{}) {
			t.Errorf("Parse(%s): got %+v, %v, want %s", test.info, got, err, test.want)
		}
	}
}

func TestReply(t *testing.T) {
	at := time.Date(2026, 11, 23, 10, 0, 0, 999_999_999, time.FixedZone("", 3600))
	for _, test := range []struct {
		version, token string
		expires        time.Time
		want           string
	}{
		// UTC, whole seconds, rounded down.
		{v1, "tok", at, `{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"expirationTimestamp":"2026-11-23T09:00:00Z","token":"tok"}}` + "\n"},
		{v1beta1, "tok", at, `{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","status":{"expirationTimestamp":"2026-11-23T09:00:00Z","token":"tok"}}` + "\n"},
		{v1, "a.b-c_d~e+f/g=", time.Time{}, `{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"a.b-c_d~e+f/g="}}` + "\n"},
	} {
		got, err := kubectl.Reply(kubectl.Request{APIVersion: test.version}, test.token, test.expires)
		if err != nil || string(got) != test.want {
			t.Errorf("Reply: got %s, %v, want %s", got, err, test.want)
		}
	}
	for _, token := range []string{"", "a b", "a\nb"} {
		if got, err := kubectl.Reply(kubectl.Request{APIVersion: v1}, token, at); err == nil || got != nil {
			t.Errorf("Reply to %q: got %s, %v, want an error", token, got, err)
		}
	}
}

// What is accepted names a known version and, where there is a cluster, a
// server; its reply is one line that decodes to the same version and token.
func FuzzParse(f *testing.F) {
	f.Add("")
	f.Add(execInfo(v1, `{"interactive":false}`))
	f.Add(execInfo(v1beta1, `{"cluster":{"server":"https://k8s.example.org","insecure-skip-tls-verify":true}}`))
	f.Add(execInfo(v1, `{"cluster":{"server":""}}`))
	f.Add(execInfo("client.authentication.k8s.io/v1alpha1", `{}`))
	f.Add(`{"kind":"ExecCredential","KIND":"Pod","apiVersion":"client.authentication.k8s.io/v1"}`)
	f.Fuzz(func(t *testing.T, info string) {
		r, err := kubectl.Parse(info)
		if err != nil {
			if r != (kubectl.Request{}) {
				t.Fatalf("an error, and a request: %+v", r)
			}
			return
		}
		if r.APIVersion != v1 && r.APIVersion != v1beta1 {
			t.Fatalf("accepted version %q", r.APIVersion)
		}
		if r.Insecure && r.Server == "" {
			t.Fatal("an insecure cluster without a server")
		}
		reply, err := kubectl.Reply(r, "a.b.c", time.Unix(1_800_000_000, 0))
		if err != nil {
			t.Fatal(err)
		}
		var back struct {
			Kind, APIVersion string
			Status           struct {
				Token               string
				ExpirationTimestamp time.Time
			}
		}
		if strings.Count(string(reply), "\n") != 1 || json.Unmarshal(reply, &back) != nil ||
			back.Kind != "ExecCredential" || back.APIVersion != r.APIVersion || back.Status.Token != "a.b.c" || back.Status.ExpirationTimestamp.Unix() != 1_800_000_000 {
			t.Fatalf("reply %s to %+v", reply, r)
		}
	})
}
