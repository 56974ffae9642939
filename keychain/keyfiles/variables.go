package keyfiles

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// variable is one that people have a key in, or its path; whatever its name
// says, it may be either.
type variable struct {
	name string
	ids  []string // the variables with its client ID
}

// keyVariables are those that tools for the API read; sfapi is the group that
// the others fall back to.
func keyVariables() (all []variable, sfapi []string) {
	sfapi = []string{"SFAPI_CLIENT_ID", "SFAPI_CLIENT_ID_FILE"}
	nersc := []string{"NERSC_SFAPI_CLIENT_ID"}
	superfacility := []string{"SUPERFACILITY_CLIENT_ID"}
	als := []string{"PATH_NERSC_CLIENT_ID", "PATH_NERSC_ID"}
	return []variable{
		{"SFAPI_SECRET", sfapi},
		{"SFAPI_CLIENT_SECRET", sfapi},
		{"SFAPI_PRIVATE_KEY", sfapi},
		{"SFAPI_PRIVATE_KEY_PATH", sfapi},
		{"SFAPI_PRIVATE_KEY_FILE", sfapi},
		{"SFAPI_PRIVATE_KEY_JWK", sfapi},
		{"SFAPI_PRIVATE_KEY_JWK_FILE", sfapi},
		{"SFAPI_PRIVATE_KEY_JSON", sfapi},
		{"SFAPI_KEY_PATH", sfapi},
		{"SFAPI_AUTH_FILE", sfapi},
		{"SFAPI_JSON", sfapi},
		{"SUPERFACILITY_KEY_PATH", superfacility},
		{"NERSC_SFAPI_KEY_PATH", nersc},
		{"NERSC_SFAPI_PRIVATE_KEY", nersc},
		{"NERSC_SFAPI_PRIVATE_KEY_PATH", nersc},
		{"SUPERFACILITY_SECRET", superfacility},
		{"PATH_NERSC_PRI_KEY", als},
	}, sfapi
}

// variables looks at the environment.
func (l *look) variables() {
	all, _ := keyVariables()
	for _, v := range all {
		value, ok := l.env[v.name]
		if !ok {
			continue
		}
		claims := l.clientIDs(v.ids)
		if len(claims) == 0 {
			claims = l.sfapiID()
		}
		if f := l.variable(v.name, value); f != nil {
			f.with = append(f.with, claims...)
		}
	}
}

// variable looks at the key, or the file, that a variable holds. Nothing of a
// value is repeated unless it is the name of a file.
func (l *look) variable(name, value string) *file {
	if LooksLikeKey(value) {
		f := &file{variable: name}
		f.parse([]byte(value))
		f.found.text = func() []byte { return []byte(value) }
		l.files = append(l.files, f)
		return f
	}
	path := l.expand(value)
	if !l.goOn("the path in " + name) {
		return nil
	}
	switch _, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrPermission):
		l.problem("", name, "what it names cannot be read: permission denied")
		return nil
	case err != nil:
		l.problem("", name, "it holds neither a key nor the name of a file")
		return nil
	}
	f := l.file(path, asGiven)
	if f != nil && !slices.Contains(f.namedBy, name) {
		f.namedBy = append(f.namedBy, name)
	}
	return f
}

// environment reads the variables that count, without the quotes that an
// environment file leaves around a path. Those that are empty are left out.
func (s Search) environment() map[string]string {
	env := map[string]string{}
	if s.Lookup == nil || len(s.Paths) > 0 {
		return env
	}
	all, _ := keyVariables()
	for _, v := range all {
		for _, name := range append([]string{v.name}, v.ids...) {
			value := strings.TrimSpace(s.Lookup(name))
			if !LooksLikeKey(value) {
				value = strings.Trim(value, `"'`)
			}
			if value != "" {
				env[name] = value
			}
		}
	}
	return env
}

// LooksLikeKey says whether a value is a key itself and no name of a file:
// PEM or JSON, also in quotes.
func LooksLikeKey(value string) bool {
	inner := strings.TrimLeft(value, "\"'\uFEFF \t\r\n")
	return strings.Contains(value, "-----BEGIN ") || strings.HasPrefix(inner, "{") || strings.HasPrefix(inner, "[")
}

// expand makes absolute the path that a variable holds. No shell may have seen
// its "~".
func (l *look) expand(value string) string {
	if below, ok := strings.CutPrefix(value, "~/"); ok && l.Home != "" {
		value = filepath.Join(l.Home, below)
	}
	return l.absolute(value)
}

func (l *look) sfapiID() []claim {
	_, sfapi := keyVariables()
	return l.clientIDs(sfapi)
}

// clientIDs returns what those of the variables say that are set; some hold
// the path of a file.
func (l *look) clientIDs(variables []string) []claim {
	var claims []claim
	for _, name := range variables {
		value, ok := l.env[name]
		switch {
		case !ok:
		case strings.HasPrefix(name, "PATH_") || strings.HasSuffix(name, "_FILE"):
			if !l.goOn("the path in " + name) {
				return nil
			}
			c := idFile(l.expand(value))
			c.source = name
			claims = append(claims, c)
		default:
			claims = append(claims, claim{id: parseID([]byte(value)), source: name})
		}
	}
	return claims
}
