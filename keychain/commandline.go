package keychain

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxProgramName bounds the program's name in errors.
const maxProgramName = 80

// SplitCommand splits a command into its words, as "go help goauth" does:
//
//	command = word { blank word } .
//	word    = "'" text "'" | `"` text `"` | text without blanks and quotes .
//
// There are no escapes, so paths of Windows stand as they are. A quote inside a
// word, which a shell reads in one way and goauth in another, is refused. The
// first word is the program: an absolute path, or a name to be found in PATH;
// any other path means another program in each directory. No error repeats the
// command, since its arguments may hold a secret.
func SplitCommand(command string) ([]string, error) {
	if err := checkText(command); err != nil {
		return nil, err
	}
	var words []string
	for rest := trimBlanks(command); rest != ""; rest = trimBlanks(rest) {
		word, after, err := cutWord(rest)
		if err != nil {
			return nil, fmt.Errorf("word %d of the command: %w", len(words)+1, err)
		}
		words, rest = append(words, word), after
	}
	if err := checkProgram(words[0]); err != nil {
		return nil, err
	}
	return words, nil
}

// CheckCommand reports whether a command can be run at all: an [Error] if its
// program is not here, any other error if the command itself is wrong. It runs
// nothing. Of a command for a shell only the shell can say more.
func CheckCommand(command string, shell bool) error {
	if shell {
		return checkText(command)
	}
	words, err := SplitCommand(command)
	if err != nil {
		return err
	}
	_, err = findProgram(words[0])
	return err
}

// checkText refuses what is no command for a shell either. One line is enough:
// a longer script has a file.
func checkText(command string) error {
	if !utf8.ValidString(command) {
		return errors.New("the command is not UTF-8 text")
	}
	if strings.ContainsFunc(command, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }) {
		return errors.New("the command has a line break or another control character in it")
	}
	if trimBlanks(command) == "" {
		return errors.New("the command is empty")
	}
	return nil
}

func trimBlanks(text string) string { return strings.TrimLeft(text, " \t") }

// cutWord cuts the first word off a text that begins with it.
func cutWord(text string) (word, after string, err error) {
	quote := text[:1]
	if quote != `'` && quote != `"` {
		word, after = cutAt(text, strings.IndexAny(text, " \t"))
		if strings.ContainsAny(word, `'"`) {
			return "", "", errors.New("a quote stands inside it: put quotes around the whole word")
		}
		return word, after, nil
	}
	word, after, closed := strings.Cut(text[1:], quote)
	switch {
	case !closed:
		return "", "", fmt.Errorf("its quote %s is not closed", quote)
	case after != "" && trimBlanks(after) == after:
		return "", "", errors.New("it goes on after its quote: put quotes around the whole word")
	}
	return word, after, nil
}

// cutAt cuts text before its byte i; -1 is its end.
func cutAt(text string, i int) (before, after string) {
	if i < 0 {
		return text, ""
	}
	return text[:i], text[i:]
}

// checkProgram refuses a program that is neither absolute nor a bare name.
func checkProgram(word string) error {
	switch {
	case word == "":
		return errors.New("the command's program is empty")
	case filepath.IsAbs(word):
		return nil
	case strings.Contains(word, "="): // not repeated: VAULT_TOKEN=… is a secret
		return errors.New("the command begins with a variable, which only a shell can set")
	case filepath.Base(word) != word: // also C:pass, in the current directory of C:
		return fmt.Errorf("the command's program %s is a relative path: give an absolute one, or a name in PATH", programName(word))
	}
	return nil
}

// findProgram returns the absolute path of a program.
func findProgram(word string) (string, error) {
	path, err := exec.LookPath(word)
	// What is found by a relative path may be anybody's; GODEBUG=execerrdot=0
	// hides the error, not the path.
	if errors.Is(err, exec.ErrDot) || err == nil && !filepath.IsAbs(path) {
		return "", commandError(ErrUnavailable, "command %s is not run, since PATH finds it by way of the current directory: give its absolute path", programName(word))
	}
	switch {
	case err == nil:
		return path, nil
	case !filepath.IsAbs(word):
		return "", commandError(ErrUnavailable, "command %s is not in PATH", programName(word))
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, exec.ErrNotFound):
		return "", commandError(ErrUnavailable, "there is no command %s", programName(word))
	}
	return "", commandError(ErrUnavailable, "command %s cannot be run: %v", programName(word), reason(err))
}

// reason takes the program off an error that has it.
func reason(err error) error {
	var execErr *exec.Error
	if errors.As(err, &execErr) {
		err = execErr.Err
	}
	return cause(err)
}

// programName quotes a program for people.
func programName(word string) string {
	if len(word) > maxProgramName {
		word = strings.ToValidUTF8(word[:maxProgramName], "") + "…"
	}
	return strconv.Quote(word)
}
