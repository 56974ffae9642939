package restish_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sfcred/integrations/restish"
	"sfcred/integrations/setup"
	"sfcred/integrations/setup/setuptest"
)

var entry = setup.Entry{Profile: "lab", URL: "https://api.example.org/v1", Program: "sfcred"}

const (
	api = `    "lab": {
      "base_url": "https://api.example.org/v1",
      "profiles": {
        "default": {
          "auth": {
            "type": "external-tool",
            "params": {
              "commandline": "sfcred --profile lab helper restish",
              "omitbody": "true"
            }
          }
        }
      }
    }`
	whole = "{\n  \"apis\": {\n" + api + "\n  }\n}\n"
)

func TestText(t *testing.T) {
	if got, err := restish.Setup().Text(entry); err != nil || got != whole {
		t.Errorf("got %q, %v, want %q", got, err, whole)
	}
	if got, err := restish.Setup().Text(setup.Entry{Profile: "lab"}); err == nil {
		t.Errorf("without a URL: got %q", got)
	}
}

func TestAddAndRemove(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"an empty file", "", "\n" + whole},
		{"blanks", " \r\n", " \r\n\n" + whole},
		{"an object", "{}", strings.TrimSuffix(whole, "\n")},
		{"no apis", "{\n  \"theme\": {}\n}\n", "{\n  \"theme\": {},\n  \"apis\": {\n" + api + "\n  }\n}\n"},
		{
			"other apis", "{\n  \"apis\": {\n    \"x\": {\"base_url\": \"https://x/\"}\n  },\n  \"theme\": {}\n}\n",
			"{\n  \"apis\": {\n    \"x\": {\"base_url\": \"https://x/\"},\n" + api + "\n  },\n  \"theme\": {}\n}\n",
		},
		{"in one line", `{"apis": {"x": {}}, "b": 1}`, `{"apis": {"x": {},` + "\n" + api + `}, "b": 1}`},
		{
			"lines of Windows", "{\r\n  \"theme\": {}\r\n}\r\n",
			strings.ReplaceAll("{\n  \"theme\": {},\n  \"apis\": {\n"+api+"\n  }\n}\n", "\n", "\r\n"),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { setuptest.Change(t, restish.Setup(), entry, tt.text, tt.want) })
	}
}

// Only a file that was not there goes again.
func TestRemoveLeavesFile(t *testing.T) {
	for _, text := range []string{"{\n  \"apis\": {}\n}\n\n", "{\n  \"apis\": {\n  }\n}\n\n", "{\n  \"apis\": {}\n}\n", "{}\n\n", "{}"} {
		added, err := restish.Setup().Add([]byte(text), entry)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := restish.Setup().Remove(added, entry); err != nil || !strings.HasPrefix(string(back), "{}") {
			t.Errorf("%q: became %q, and then %q, %v", text, added, back, err)
		}
	}
}

// An entry of ours is brought up to date; what a person has added to it stays.
func TestAddToOurs(t *testing.T) {
	old := strings.Replace(whole, "https://api.example.org/v1", "https://old.example.org/", 1)
	if got, err := restish.Setup().Add([]byte(old), entry); err != nil || string(got) != whole {
		t.Errorf("got %q, %v, want %q", got, err, whole)
	}
	for _, text := range []string{
		strings.Replace(whole, `"base_url"`, `"spec_files": [], "base_url"`, 1),
		strings.Replace(whole, "--profile lab", "--profile other", 1),
		strings.Replace(whole, "sfcred --profile", "mycred --profile", 1),
		`{"apis": {"lab": {"base_url": "https://x/"}}}`,
		`{"apis": {"lab": 1}}`,
	} {
		if got, err := restish.Setup().Add([]byte(text), entry); err == nil && string(got) != text {
			t.Errorf("%s: got %q", text, got)
		}
		if got, err := restish.Setup().Remove([]byte(text), entry); err != nil || string(got) != text {
			t.Errorf("%s, removed: got %q, %v", text, got, err)
		}
	}
}

func TestAddRefuses(t *testing.T) {
	for _, text := range []string{
		"// comment\n{}", "{} {}", "[]", "1", `{"apis": []}`, `{"apis": {}, "apis": {}}`, `{"apis": {"a": 1, "a": 2}}`,
		"{", `{"a": 1,}`, "\xff", "\u00a0", "\u2028",
	} {
		if got, err := restish.Setup().Add([]byte(text), entry); err == nil {
			t.Errorf("%s: got %q", text, got)
		}
	}
}

func TestPath(t *testing.T) {
	env := map[string]string{}
	s := setup.System{Home: filepath.FromSlash("/home/x"), OS: "linux", Getenv: func(name string) string { return env[name] }}
	for _, tt := range []struct{ name, value, want string }{
		{"", "", "/home/x/.config/restish/restish.json"},
		{"XDG_CONFIG_HOME", "/xdg", "/xdg/restish/restish.json"},
		{"XDG_CONFIG_HOME", "relative", "/home/x/.config/restish/restish.json"},
		{"RSH_CONFIG_DIR", "/d", "/d/restish.json"},
		{"RSH_CONFIG", "/f.json", "/f.json"},
	} {
		env = map[string]string{tt.name: filepath.FromSlash(tt.value)}
		if got, err := restish.Setup().Path(s); err != nil || filepath.ToSlash(got) != tt.want {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}

// Whatever is there: it stays JSON that says the same, and more; removing gives
// it back, but for the blanks within an object that was empty.
func FuzzSetup(f *testing.F) {
	f.Add([]byte(`{"apis": {"x": {}}, "b": [1, "}", null]}`))
	f.Add([]byte("{\n}\n"))
	f.Add([]byte(`{"a":"\"apis\"","apis":{ }}`))
	f.Add([]byte(whole))
	f.Fuzz(func(t *testing.T, text []byte) {
		before, err := restish.Setup().Remove(text, entry)
		if err != nil {
			return
		}
		got, err := restish.Setup().Add(before, entry)
		if err != nil {
			if got != nil {
				t.Fatalf("%q: an error, and %q", before, got)
			}
			return
		}
		if again, err := restish.Setup().Add(got, entry); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("%q: became %q, and then %q, %v", before, got, again, err)
		}
		if names, err := restish.Setup().Profiles(got); err != nil || !slices.Contains(names, entry.Profile) {
			t.Fatalf("%q: it is seen for %q, %v", got, names, err)
		}
		if bytes.Equal(got, before) {
			return
		}
		// All that was there is, and nothing is new but ours.
		all, apis := members(got)
		was, apisWere := members(before)
		delete(apis, entry.Profile)
		if !reflect.DeepEqual(apis, apisWere) || !reflect.DeepEqual(all, was) {
			t.Fatalf("%q: became %q", before, got)
		}
		back, err := restish.Setup().Remove(got, entry)
		if err != nil {
			t.Fatalf("%q: became %q, and then %v", before, got, err)
		}
		if (back == nil) != (before == nil) {
			t.Errorf("%q: became %q, and then %q", before, got, back)
		}
		if bytes.Equal(back, before) {
			return
		}
		if want, got := value(before), value(back); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: became %q", before, back)
		}
	})
}

// members are what a text has beside its APIs, and these, each as it is written.
func members(text []byte) (all, apis map[string]json.RawMessage) {
	all, apis = map[string]json.RawMessage{}, map[string]json.RawMessage{}
	json.Unmarshal(text, &all)
	json.Unmarshal(all["apis"], &apis)
	delete(all, "apis")
	return all, apis
}

// value is what a text says, an API list that is empty being none.
func value(text []byte) map[string]json.RawMessage {
	all := map[string]json.RawMessage{}
	json.Unmarshal(text, &all)
	var apis map[string]any
	if json.Unmarshal(all["apis"], &apis) == nil && len(apis) == 0 {
		delete(all, "apis")
	}
	return all
}

func TestProfiles(t *testing.T) {
	setuptest.Profiles(t, restish.Setup(), entry, "", `{"apis": {"x": {"base_url": "https://x.example"}}}`)
}
