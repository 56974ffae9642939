package curl

import (
	"bytes"
	"io"
)

// HideHeader passes on what curl says with -v, but for the values of
// Authorization and Proxy-Authorization. Close it after the last of it; w stays
// open.
//
// Such a value has its name before it, whatever else is on the line (the
// progress meter may be):
//
//	> Authorization: Bearer TOKEN
//	* h2h3 [authorization: Bearer TOKEN]             curl 7.88, HTTP/2
//	* [HTTP/2] [1] [authorization: Bearer TOKEN]     curl 8.x, HTTP/2
//
// The name, and not our token, is what is looked for: what is for a proxy comes
// from the environment. Where curl could not send all headers at once, and had
// something else to say meanwhile, that has ended the line, and the rest of the
// value is on another that begins with ">", and has no name.
func HideHeader(w io.Writer) io.WriteCloser { return &hider{w: w, atStart: true} }

type hider struct {
	w       io.Writer
	out     []byte // to be written
	atStart bool   // of a line
	sent    bool   // the line begins with ">"
	matched []byte // the line's last bytes, if they may become secretName
	hiding  bool   // until the line ends
	wary    bool   // a value was hidden, and its rest may follow
	held    []byte // a line that may be this rest
}

const secretName = "authorization:"

func (h *hider) Write(b []byte) (int, error) {
	for _, c := range b {
		if h.wary && (h.held != nil || h.atStart && c == '>') {
			h.held = append(h.held, c)
			if c == '\n' {
				h.release()
			}
			continue
		}
		h.next(c)
	}
	return len(b), h.flush()
}

// Close passes on what was held back for more to come.
func (h *hider) Close() error {
	h.release()
	h.out = append(h.out, h.matched...)
	return h.flush()
}

func (h *hider) flush() error {
	out := h.out
	h.out = nil
	if len(out) == 0 {
		return nil
	}
	_, err := h.w.Write(out)
	return err
}

// release passes on the line that was held, unless it is the rest of a value.
// Any other is a header, or the blank line behind the last.
func (h *hider) release() {
	line := h.held
	h.held = nil
	if len(bytes.TrimSpace(bytes.TrimPrefix(line, []byte(">")))) > 0 && !bytes.ContainsRune(line, ':') {
		h.out = append(h.out, "> [hidden]\n"...)
		return
	}
	h.wary = h.wary && len(line) == 0
	for _, c := range line {
		h.next(c)
	}
}

// next takes in a byte that is not held.
func (h *hider) next(c byte) {
	if h.atStart {
		h.sent = c == '>'
	}
	h.atStart = c == '\n'
	switch {
	case !h.hiding:
		h.match(c)
	case c == '\n':
		h.hiding, h.wary = false, h.sent
		h.out = append(h.out, c)
	}
}

// match passes on a byte, or keeps it while it may belong to the name.
func (h *hider) match(c byte) {
	if c|0x20 == secretName[len(h.matched)]|0x20 {
		h.matched = append(h.matched, c)
		if len(h.matched) == len(secretName) {
			h.out = append(append(h.out, h.matched...), " [hidden]"...)
			h.matched, h.hiding = nil, true
		}
		return
	}
	again := append(h.matched, c)
	h.matched = nil
	h.out = append(h.out, again[0])
	for _, c := range again[1:] {
		h.match(c)
	}
}
