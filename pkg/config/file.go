package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/BurntSushi/toml"
)

// MaxFile is the largest settings file that is read, in bytes.
const MaxFile = 1 << 20

// Error is a settings file that cannot be used: which, where and why.
type Error struct {
	File string
	Line int    // from 1; 0 when the problem has no single line
	Key  string // dotted; may be empty
	Why  string
}

func (e *Error) Error() string {
	where := e.File
	if e.Line > 0 {
		where = fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	if e.Key != "" {
		return fmt.Sprintf("%s: %s: %s", where, e.Key, e.Why)
	}
	return fmt.Sprintf("%s: %s", where, e.Why)
}

// load reads the file into settings that hold the defaults already. A file
// that is not there leaves the defaults when optional is set.
func load(file string, into any, optional bool) error {
	raw, err := read(file)
	if optional && errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read settings: %w", err)
	}
	meta, err := toml.NewDecoder(bytes.NewReader(raw)).Decode(into)
	if err != nil {
		return syntaxError(file, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		key := unknown[0].String()
		return &Error{File: file, Line: lineOf(raw, unknown[0]), Key: key, Why: "unknown key"}
	}
	return nil
}

func read(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err == nil && len(raw) > MaxFile {
		err = fmt.Errorf("%s: larger than %d bytes", file, MaxFile)
	}
	return raw, err
}

func syntaxError(file string, err error) error {
	var perr toml.ParseError
	if errors.As(err, &perr) {
		return &Error{File: file, Line: perr.Position.Line, Key: perr.LastKey, Why: firstLine(perr.Message, err)}
	}
	return &Error{File: file, Why: strings.TrimPrefix(err.Error(), "toml: ")}
}

func firstLine(msg string, err error) string {
	if msg == "" {
		msg = strings.TrimPrefix(err.Error(), "toml: ")
	}
	line, _, _ := strings.Cut(msg, "\n")
	return line
}

// lineOf finds the line that sets the key, for the person who has to mend it;
// 0 when it is not found. The parser does not tell where an unknown key stood.
func lineOf(raw []byte, key toml.Key) int {
	last := key[len(key)-1]
	for i, line := range strings.Split(string(raw), "\n") {
		word := strings.Trim(strings.TrimSpace(line), "[] ")
		name, _, _ := strings.Cut(word, "=")
		name = strings.Trim(strings.TrimSpace(name), `"'`)
		if name == last || strings.HasSuffix(name, "."+last) {
			return i + 1
		}
	}
	return 0
}
