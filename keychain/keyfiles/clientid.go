package keyfiles

import (
	"encoding/json"
	"path/filepath"
	"strings"

	"sfcred/keychain/jose"
)

// parseID takes the client ID from the text of a file: one word, also in
// quotes, also after "client_id=" or the like; "" if it is anything else.
func parseID(data []byte) string {
	text := strings.TrimSpace(strings.TrimPrefix(string(data), "\uFEFF"))
	if i := strings.IndexAny(text, "=:"); i >= 0 && isIDLabel(text[:i]) {
		text = strings.TrimSpace(text[i+1:])
	}
	text = unquote(text)
	// An ID may hold "=" and ":", but not a second label.
	if i := strings.IndexAny(text, "=:"); i >= 0 && isIDLabel(text[:i]) || !jose.IsClientID(text) {
		return ""
	}
	return text
}

// isIDLabel recognises client_id, SFAPI_CLIENT_ID, clientid and the like.
func isIDLabel(s string) bool {
	s = strings.TrimSpace(s)
	plain := strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(s))
	return strings.HasSuffix(plain, "clientid") && jose.IsClientID(s)
}

// unquote takes off the quotes of JSON or of a shell.
func unquote(text string) string {
	var s string
	if strings.HasPrefix(text, `"`) && json.Unmarshal([]byte(text), &s) == nil {
		return s
	}
	if len(text) >= 2 && text[0] == '\'' && text[len(text)-1] == '\'' {
		return text[1 : len(text)-1]
	}
	return text
}

// idInName returns the client ID that a key file is called after: ID.pem or
// TAG-ID.pem. Those of Iris have 13 letters and digits. "superfacility" has
// too, so both have to be there: about 1 ID in 70 has no digit, and is not
// recognised.
func idInName(key string) string {
	ext := filepath.Ext(key)
	if ext != ".pem" && ext != ".jwk" {
		return ""
	}
	id := strings.TrimSuffix(key, ext)
	id = id[strings.LastIndexByte(id, '-')+1:]
	const letters, digits = "abcdefghijklmnopqrstuvwxyz", "0123456789"
	if len(id) != 13 || strings.Trim(id, letters+digits) != "" ||
		!strings.ContainsAny(id, letters) || !strings.ContainsAny(id, digits) {
		return ""
	}
	return id
}
