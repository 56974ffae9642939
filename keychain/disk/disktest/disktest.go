// Package disktest damages files as disks, crashes and people do, for tests.
package disktest

import (
	"bytes"
	"fmt"
	"iter"
)

// Flips gives the text once for each of its bytes and each way to spoil one: all
// its bits, its lowest bit, a bit that makes another letter or line of it, and
// none of its bits left. What says which it is.
func Flips(text []byte) iter.Seq2[string, []byte] {
	return func(yield func(what string, damaged []byte) bool) {
		for i, b := range text {
			spoilt := []byte{b ^ 0xff, b ^ 1, b ^ 1<<(i%7+1), 0}
			for _, other := range spoilt {
				damaged := bytes.Clone(text)
				damaged[i] = other
				if other != b && !yield(fmt.Sprintf("byte %d %#x", i, other), damaged) {
					return
				}
			}
		}
	}
}

// Cuts gives the text cut off at each length, from none of it.
func Cuts(text []byte) iter.Seq2[string, []byte] {
	return func(yield func(what string, damaged []byte) bool) {
		for i := range text {
			if !yield(fmt.Sprintf("cut at %d", i), bytes.Clone(text[:i])) {
				return
			}
		}
	}
}

// Blocks gives the text as a crash may leave it: with a block of zeros, of what
// stood before, or missing; all zeros; twice; grown. A block is 64 bytes, which
// is less than a disk's, since the files are small.
func Blocks(text []byte) iter.Seq2[string, []byte] {
	const block = 64
	return func(yield func(what string, damaged []byte) bool) {
		for at := 0; at < len(text); at += block {
			end := min(at+block, len(text))
			for _, d := range []struct {
				how string
				new []byte
			}{
				{"zeros", make([]byte, end-at)},
				{"the block before", text[max(0, at-block):at]},
				{"nothing", nil},
				{"itself twice", bytes.Repeat(text[at:end], 2)},
			} {
				damaged := bytes.Join([][]byte{text[:at], d.new, text[end:]}, nil)
				if !bytes.Equal(damaged, text) && !yield(fmt.Sprintf("block at %d: %s", at, d.how), damaged) {
					return
				}
			}
		}
		whole := map[string][]byte{
			"zeros": make([]byte, len(text)), "twice": bytes.Repeat(text, 2),
			"zeros behind": append(bytes.Clone(text), make([]byte, 512)...), "a page of zeros": make([]byte, 4096),
		}
		for what, damaged := range whole {
			if !yield(what, damaged) {
				return
			}
		}
	}
}

// All gives everything that Flips, Cuts and Blocks give.
func All(text []byte) iter.Seq2[string, []byte] {
	return func(yield func(what string, damaged []byte) bool) {
		for _, kind := range []iter.Seq2[string, []byte]{Flips(text), Cuts(text), Blocks(text)} {
			for what, damaged := range kind {
				if !yield(what, damaged) {
					return
				}
			}
		}
	}
}
