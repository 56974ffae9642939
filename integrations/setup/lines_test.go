package setup_test

import (
	"testing"

	"sfcred/integrations/curl"
	"sfcred/integrations/httpie"
	"sfcred/integrations/pnpm"
	"sfcred/integrations/pyfirecrest"
	"sfcred/integrations/rclone"
	"sfcred/integrations/setup"
	"sfcred/integrations/wget"
)

// The lines of the tools that take a token or a header as it is printed.
func TestLines(t *testing.T) {
	plain := setup.Entry{Profile: "lab", URL: "https://api.example.org:8443/v1", Program: "sfcred", Path: "/usr/bin/sfcred"}
	// No host with a name, a path that wants quotes, a config of its own.
	odd := setup.Entry{Profile: "lab", Program: "/my bin/sfcred", Path: "/my bin/sfcred", Config: "/c"}
	tests := []struct {
		tool       string
		lines      func(setup.Entry) string
		plain, odd string
	}{
		{
			"curl", curl.Lines,
			`url=https://api.example.org:8443/v1
sfcred --profile lab curl "$url"
# or:
header=$(sfcred --profile lab header --url "$url") && printf '%s\n' "$header" | curl -H @- "$url"
`,
			`url=https://HOST/
'/my bin/sfcred' --config /c --profile lab curl "$url"
# or:
header=$('/my bin/sfcred' --config /c --profile lab header --url "$url") && printf '%s\n' "$header" | curl -H @- "$url"
`,
		},
		{
			"httpie", httpie.Lines,
			`url=https://api.example.org:8443/v1
header=$(sfcred --profile lab header --value --url "$url") && http --ignore-netrc GET "$url" Authorization:@<(printf %s "$header")
`,
			`url=https://HOST/
header=$('/my bin/sfcred' --config /c --profile lab header --value --url "$url") && http --ignore-netrc GET "$url" Authorization:@<(printf %s "$header")
`,
		},
		{
			"xh", httpie.XHLines,
			`url=https://api.example.org:8443/v1
header=$(sfcred --profile lab header --value --url "$url") && xh --ignore-netrc GET "$url" Authorization:@<(printf %s "$header")
`,
			`url=https://HOST/
header=$('/my bin/sfcred' --config /c --profile lab header --value --url "$url") && xh --ignore-netrc GET "$url" Authorization:@<(printf %s "$header")
`,
		},
		{
			"wget", wget.Lines,
			`url=https://api.example.org:8443/v1
(
  umask 077 && file=$(mktemp) && trap 'rm -f "$file"' EXIT &&
  header=$(sfcred --profile lab header --url "$url") && printf 'header = %s\n' "$header" >"$file" &&
  wget --config="$file" --max-redirect=0 "$url"
)
`,
			`url=https://HOST/
(
  umask 077 && file=$(mktemp) && trap 'rm -f "$file"' EXIT &&
  header=$('/my bin/sfcred' --config /c --profile lab header --url "$url") && printf 'header = %s\n' "$header" >"$file" &&
  wget --config="$file" --max-redirect=0 "$url"
)
`,
		},
		{
			"rclone", rclone.Lines,
			`rclone config create sfcred-lab webdav url=https://api.example.org:8443/ vendor=other bearer_token_command='sfcred --profile lab token --url https://api.example.org:8443/'
`,
			`rclone config create sfcred-lab webdav url=https://HOST/ vendor=other bearer_token_command='"/my bin/sfcred" --config /c --profile lab token --url https://HOST/'
`,
		},
		{
			"pnpm", pnpm.Lines,
			`mkdir -p ~/.local/bin
cat >~/.local/bin/sfcred-pnpm-lab <<'END'
#!/bin/sh
exec /usr/bin/sfcred --profile lab header --value --url https://api.example.org:8443/
END
chmod 755 ~/.local/bin/sfcred-pnpm-lab
echo "//api.example.org:8443/:tokenHelper=$HOME/.local/bin/sfcred-pnpm-lab" >>~/.npmrc
`,
			`mkdir -p ~/.local/bin
cat >~/.local/bin/sfcred-pnpm-lab <<'END'
#!/bin/sh
exec '/my bin/sfcred' --config /c --profile lab header --value --url https://HOST/
END
chmod 755 ~/.local/bin/sfcred-pnpm-lab
echo "//HOST/:tokenHelper=$HOME/.local/bin/sfcred-pnpm-lab" >>~/.npmrc
`,
		},
		{
			"pyfirecrest", pyfirecrest.Lines,
			`export FIRECREST_TOKEN_COMMAND='sfcred --profile lab token --url https://api.example.org:8443/'
`,
			`export FIRECREST_TOKEN_COMMAND=''\''/my bin/sfcred'\'' --config /c --profile lab token --url https://HOST/'
`,
		},
	}
	for _, tt := range tests {
		if got := tt.lines(plain); got != tt.plain {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.tool, got, tt.plain)
		}
		if got := tt.lines(odd); got != tt.odd {
			t.Errorf("%s, odd: got\n%s\nwant\n%s", tt.tool, got, tt.odd)
		}
	}
}
