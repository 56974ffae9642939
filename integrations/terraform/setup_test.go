package terraform_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"sfcred/integrations/setup"
	"sfcred/integrations/setup/setuptest"
	"sfcred/integrations/terraform"
)

var entry = setup.Entry{Profile: "lab"}

const (
	hcl   = "credentials_helper \"sfcred\" {\n  args = [\"--profile\", \"lab\"]\n}\n"
	block = "# >>> sfcred setup terraform --profile lab\n" + hcl + "# <<< sfcred setup"
)

func TestText(t *testing.T) {
	if got, err := terraform.Setup().Text(entry); err != nil || got != hcl {
		t.Errorf("got %q, %v, want %q", got, err, hcl)
	}
}

func TestAddAndRemove(t *testing.T) {
	for _, text := range []string{
		"",
		"plugin_cache_dir = \"/x\"\n",
		"plugin_cache_dir = \"/x\"",
		"# credentials_helper \"x\" {\n",
		"// {\n/* \" { */\nhost \"a.example.org\" {\n  services = {\n    \"modules.v1\" = \"https://x/{\"\n  }\n}\n",
		"credentials \"app.terraform.io\" {\n  token = \"x\\\"y#z\"\n}\n\n\n",
		"provider_installation {\r\n  direct {\r\n    exclude = [\"a/b\", \"c/d\"]\r\n  }\r\n}\r\n",
		"# häßlich\n",
	} {
		got, err := terraform.Setup().Add([]byte(text), entry)
		if err != nil || !bytes.HasPrefix(got, []byte(text)) || !bytes.Contains(bytes.ReplaceAll(got, []byte("\r"), nil), []byte(block)) {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
		if again, err := terraform.Setup().Add(got, entry); err != nil || !bytes.Equal(again, got) {
			t.Errorf("%q, again: got %q, %v", text, again, err)
		}
		if back, err := terraform.Setup().Remove(got, entry); err != nil || string(back) != text {
			t.Errorf("%q, removed: got %q, %v", text, back, err)
		}
	}
}

func TestAddRefuses(t *testing.T) {
	tests := []struct{ name, text string }{
		{"another helper", "credentials_helper \"vault\" {\n}\n"},
		{"another helper, quoted", "\"credentials_helper\" \"vault\" {\n}\n"},
		{"ours without marks", hcl},
		{"another profile's", "# >>> sfcred setup terraform --profile x\n" + hcl + "# <<< sfcred setup\n"},
		{"an open brace", "host \"a\" {\n"},
		{"a brace too many", "}\n"},
		{"the wrong bracket", "x = [ }\n"},
		{"an open string", "x = \"a\n\"\n"},
		{"an open string at the end", "x = \"a"},
		{"an open comment", "/* x\n"},
		{"a heredoc", "x = <<EOF\n{\nEOF\n"},
		{"a template", "x = \"${y(\"}\")}\"\n"},
		{"JSON", "{\"disable_checkpoint\": true}\n"},
		{"no text", "\xff\xfe"},
		{"half a block", "# >>> sfcred setup terraform --profile lab\n"},
	}
	for _, tt := range tests {
		if got, err := terraform.Setup().Add([]byte(tt.text), entry); err == nil {
			t.Errorf("%s: got %q", tt.name, got)
		}
	}
}

func TestPaths(t *testing.T) {
	env := func(pairs ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	home := filepath.FromSlash("/home/x")
	tests := []struct {
		system     setup.System
		path, dir  string
		noPath, no bool
	}{
		{system: setup.System{Home: home, OS: "linux", Getenv: env()}, path: "/home/x/.terraformrc", dir: "/home/x/.terraform.d/plugins"},
		{system: setup.System{Home: home, OS: "linux", Getenv: env("TF_CLI_CONFIG_FILE", "/etc/tf.rc")}, path: "/etc/tf.rc", dir: "/home/x/.terraform.d/plugins"},
		{system: setup.System{Home: home, OS: "windows", Getenv: env("APPDATA", "/app")}, path: "/app/terraform.rc", dir: "/app/terraform.d/plugins"},
		{system: setup.System{OS: "windows", Getenv: env()}, noPath: true, no: true},
		{system: setup.System{OS: "linux", Getenv: env()}, noPath: true, no: true},
	}
	for i, tt := range tests {
		path, err := terraform.Setup().Path(tt.system)
		if filepath.ToSlash(path) != tt.path || (err != nil) != tt.noPath {
			t.Errorf("%d: path: got %q, %v, want %q", i, path, err, tt.path)
		}
		dir, err := terraform.Setup().HelperDir(tt.system)
		if filepath.ToSlash(dir) != tt.dir || (err != nil) != tt.no {
			t.Errorf("%d: folder: got %q, %v, want %q", i, dir, err, tt.dir)
		}
	}
}

func FuzzSetup(f *testing.F) {
	f.Add([]byte("host \"a\" {\n}\n"))
	f.Add([]byte("/* x */ # y\n\"z\\\"\"\n"))
	f.Add([]byte(block))
	setuptest.RoundTrip(f, terraform.Setup(), entry, bytes.HasPrefix)
}

func TestProfiles(t *testing.T) {
	setuptest.Profiles(t, terraform.Setup(), entry, "", "disable_checkpoint = true\n")
}
