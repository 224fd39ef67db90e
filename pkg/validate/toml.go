package validate

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/BurntSushi/toml"
)

const (
	tomlDepth = 100 // brackets in each other, or parts of one key
	tomlKeys  = 100
)

// checkTOML looks at the file with the parser that most programs in Go use. The
// parser calls itself for each bracket, and spends the square of a key's parts: so
// both are counted first.
func checkTOML(ctx context.Context, f File) error {
	t := f.text(ctx, "toml")
	if f.Size > parsedMax {
		return t.verdict(notJudged("it is larger than %d bytes", parsedMax))
	}
	b, err := io.ReadAll(t)
	if err != nil {
		return t.verdict(err)
	}
	s := strings.TrimPrefix(string(b), bom)
	if !tomlBearable(s) {
		return notJudged("its brackets or keys have more than %d levels", tomlDepth)
	}
	return t.verdict(parseTOML(s))
}

func parseTOML(s string) (err error) {
	defer func() {
		if recover() != nil { // the parser panics by design, and contains only its own
			err = notJudged("its parser gave up")
		}
	}()
	var into map[string]any
	_, err = toml.Decode(s, &into)
	var at toml.ParseError
	if errors.As(err, &at) {
		return broken("toml", "line %d: %s", at.Position.Line, tomlFault(at.Message))
	}
	if err != nil {
		return broken("toml", "it is broken")
	}
	return nil
}

// tomlFault words a message of the parser, which may hold names out of the file.
func tomlFault(message string) string {
	return reword(message, [][2]string{
		{"unexpected EOF", "it ends in the middle of a value"},
		{"expected key separat", "a key without an equals sign"},
		{"already been defined", "a key that is there twice"},
		{"already defined", "a key that is there twice"},
		{"expected value", "a key without a value"},
		{"strings cannot", "a string that does not end"},
	}, "its structure is broken")
}

// tomlBearable follows the brackets and the dots of keys outside strings and
// comments. In what is no TOML it may err; the parser stops there before it errs.
func tomlBearable(s string) bool {
	depth, dots := 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(0, depth-1)
		case '.':
			dots++
		case '\n', ',':
			dots = 0
		case '#':
			i += lengthTo(s[i:], "\n") - 1
		case '"', '\'':
			i += tomlString(s[i:]) - 1
		}
		if depth > tomlDepth || dots > tomlKeys {
			return false
		}
	}
	return true
}

// tomlString is the length of the string that s begins with.
func tomlString(s string) int {
	quote := s[:1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(s, triple) {
		quote = triple
	}
	for i := len(quote); i < len(s); i++ {
		switch {
		case s[i] == '\\' && quote[0] == '"':
			i++
		case len(quote) == 1 && s[i] == '\n':
			return i // the parser reports it
		case strings.HasPrefix(s[i:], quote):
			return i + len(quote) + moreQuotes(s[i+len(quote):], quote)
		}
	}
	return len(s)
}

// moreQuotes counts those that end a multi-line string, before the three that close it.
func moreQuotes(s, quote string) int {
	n := 0
	for ; len(quote) == 3 && n < 2 && n < len(s) && s[n] == quote[0]; n++ {
	}
	return n
}

// lengthTo is how many bytes come before the mark, or all.
func lengthTo(s, mark string) int {
	if i := strings.Index(s, mark); i >= 0 {
		return i
	}
	return len(s)
}
