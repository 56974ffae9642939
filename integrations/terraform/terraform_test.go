package terraform_test

import (
	"encoding/json"
	"strings"
	"testing"

	"sfcred/helper"
	"sfcred/integrations/terraform"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		// As Terraform 1.11 asks.
		{[]string{"get", "app.terraform.io"}, "https://app.terraform.io/"},
		{[]string{"get", "tf.example.org:8443"}, "https://tf.example.org:8443/"},
		{[]string{"forget", "xn--kse-qla.example.org"}, "https://xn--kse-qla.example.org/"},
		{[]string{"store", "tf.example.org"}, "https://tf.example.org/"},
		// The host rule refuses these; here they are only text.
		{[]string{"get", "user@evil.example"}, "https://user@evil.example/"},
		{[]string{"get", "a\nb"}, "https://a\nb/"},
	} {
		got, err := terraform.Parse(test.args)
		if err != nil || got != (terraform.Request{Verb: test.args[0], Host: test.args[1]}) || got.URL() != test.want {
			t.Errorf("Parse(%q): got %+v %s, %v, want %s", test.args, got, got.URL(), err, test.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "a verb is missing: get, store or forget"},
		// "must react to any unsupported verb by printing … an error"
		{[]string{"list", "tf.example.org"}, `unknown verb "list"`},
		{[]string{"GET", "tf.example.org"}, `unknown verb "GET"`},
		{[]string{"\x1b[2J"}, `unknown verb "\x1b[2J"`},
		{[]string{"get"}, "get wants one host"},
		{[]string{"get", "a", "b"}, "get wants one host"},
		{[]string{"get", ""}, `"" is not a host`},
		{[]string{"get", "https://tf.example.org"}, `"https://tf.example.org" is not a host`},
		{[]string{"get", "tf.example.org/x"}, `"tf.example.org/x" is not a host`},
		{[]string{"get", "tf.example.org?.evil.example"}, `"tf.example.org?.evil.example" is not a host`},
		{[]string{"get", "tf.example.org#.evil.example"}, `"tf.example.org#.evil.example" is not a host`},
	} {
		got, err := terraform.Parse(test.args)
		if err == nil || err.Error() != test.want || got != (terraform.Request{}) {
			t.Errorf("Parse(%q): got %+v, %v, want %s", test.args, got, err, test.want)
		}
	}
}

func TestRefusal(t *testing.T) {
	for verb, refused := range map[string]bool{"get": false, "store": true, "forget": true} {
		if err := (terraform.Request{Verb: verb}).Refusal(); (err != nil) != refused {
			t.Errorf("%s: got %v, want an error: %v", verb, err, refused)
		}
	}
}

func TestReply(t *testing.T) {
	for _, test := range []struct{ token, want string }{ // want "" is an error
		{"a.b-c_d~e+f/g=", `{"token":"a.b-c_d~e+f/g="}` + "\n"},
		// {"token":""} would be credentials, and wrong ones.
		{"", ""},
		{"tok\n", ""},
		{"t k", ""},
	} {
		got, err := terraform.Reply(test.token)
		if string(got) != test.want || (err != nil) != (test.want == "") {
			t.Errorf("Reply(%q): got %s, %v, want %s", test.token, got, err, test.want)
		}
	}
	if got, want := string(terraform.None()), "{}\n"; got != want {
		t.Errorf("None: got %q, want %q", got, want)
	}
}

// A host that passes the host rule is the very host that was asked for, and
// Terraform reads back the token that was given, or there is no answer.
func FuzzParse(f *testing.F) {
	f.Add("get", "tf.example.org", "a.b.c")
	f.Add("get", "tf.example.org:443", "a\nb")
	f.Add("store", "tf.example.org/@evil.example", "")
	f.Add("forget", "evil.example#tf.example.org", "\"}")
	f.Add("list", "TF.example.org\\", "\xff")
	hosts, err := helper.ParseHosts([]string{"tf.example.org"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, verb, host, token string) {
		r, err := terraform.Parse([]string{verb, host})
		if err != nil {
			if r != (terraform.Request{}) {
				t.Fatalf("an error, and a request: %+v", r)
			}
		} else if _, err := hosts.Check(r.URL()); err == nil && strings.TrimSuffix(strings.ToLower(host), ":443") != "tf.example.org" {
			t.Fatalf("%q passed as %s", host, r.URL())
		}
		answer, err := terraform.Reply(token)
		if err != nil {
			if answer != nil {
				t.Fatalf("an error, and an answer: %q", answer)
			}
			return
		}
		// helper_program.go decodes into a map and looks for a string "token".
		var back map[string]any
		if err := json.Unmarshal(answer, &back); err != nil || len(back) != 1 || back["token"] != token {
			t.Fatalf("%s was read back as %v, %v", answer, back, err)
		}
	})
}
