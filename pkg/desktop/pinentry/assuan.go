package pinentry

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Limits of what is said. The protocol's own is 1000 bytes a line without its end.
const (
	maxLine  = 1000
	maxLines = 256  // in one answer, comments and status lines included
	maxData  = 4096 // bytes of an answer
)

// remoteError is an ERR line.
type remoteError struct {
	code uint32 // of libgpg-error: the low 16 bits say what, the others who
	text string
}

// Error says what the program said.
func (e *remoteError) Error() string { return fmt.Sprintf("it says %d %q", e.code, e.text) }

// canceled tells whether the person ended it, or let its time pass.
func (e *remoteError) canceled() bool {
	switch e.code & 0xffff {
	case 99, 198, 114, 62: // CANCELED, FULLY_CANCELED, NOT_CONFIRMED, TIMEOUT
		return true
	}
	return false
}

func isRemote(err error) bool {
	var e *remoteError
	return errors.As(err, &e)
}

// conn is the client's side of an Assuan conversation.
type conn struct {
	w io.Writer
	r *bufio.Reader
}

func newConn(w io.Writer, r io.Reader) *conn {
	return &conn{w: w, r: bufio.NewReaderSize(r, maxLine+2)}
}

// say sends a command and returns the data of the answer.
func (c *conn) say(command, argument string) (string, error) {
	line := command
	if argument != "" {
		line = fit(command + " " + escape(argument))
	}
	if _, err := io.WriteString(c.w, line+"\n"); err != nil {
		return "", fmt.Errorf("cannot speak to it: %w", err)
	}
	return c.answer()
}

// answer reads up to OK or ERR.
func (c *conn) answer() (string, error) {
	var data []byte
	for range maxLines {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return "", fmt.Errorf("cannot read what it says: %w", err)
		}
		word, rest, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte{' '})
		switch string(word) {
		case "OK":
			return string(data), nil
		case "ERR":
			return "", parseError(string(rest))
		case "D":
			if data, err = unescape(data, rest); err != nil {
				return "", err
			}
		case "S", "#", "":
		case "INQUIRE":
			return "", errors.New("it asks us, who have no answers")
		default:
			if !bytes.HasPrefix(word, []byte{'#'}) {
				return "", fmt.Errorf("it says %.40q", line)
			}
		}
	}
	return "", fmt.Errorf("it says more than %d lines", maxLines)
}

func parseError(rest string) error {
	number, text, _ := strings.Cut(rest, " ")
	code, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return fmt.Errorf("it says an error without a number: %.40q", rest)
	}
	return &remoteError{code: uint32(code), text: text}
}

// escape keeps an argument on one line.
func escape(s string) string {
	return strings.NewReplacer("%", "%25", "\n", "%0A", "\r", "%0D", "\x00", "%00").Replace(s)
}

// fit cuts a line to what the protocol allows, not within an escape or a rune.
func fit(line string) string {
	if len(line) <= maxLine {
		return line
	}
	line = line[:maxLine-3]
	if i := strings.LastIndexByte(line, '%'); i > len(line)-3 {
		line = line[:i]
	}
	return strings.ToValidUTF8(line, "") + "..."
}

// unescape appends what a D line holds.
func unescape(to, line []byte) ([]byte, error) {
	for i := 0; i < len(line); i++ {
		b := line[i]
		if b == '%' {
			if i+2 >= len(line) {
				return nil, errors.New("an escape in what it says is cut off")
			}
			n, err := strconv.ParseUint(string(line[i+1:i+3]), 16, 8)
			if err != nil {
				return nil, errors.New("an escape in what it says is no number")
			}
			b = byte(n)
			i += 2
		}
		if len(to) == maxData {
			return nil, fmt.Errorf("it says more than %d bytes", maxData)
		}
		to = append(to, b)
	}
	return to, nil
}
