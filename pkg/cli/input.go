package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/busapi"
)

// maxLine is how many bytes an answer or the first line of a file may have.
const maxLine = 4096

// input reads lines from standard input: a terminal, a pipe, or in tests any
// reader.
type input struct {
	source   io.Reader
	file     *os.File // the source, if it is a file: then waiting for it can be canceled
	terminal bool
	buffer   []byte // read, and not asked for yet
	ended    error
}

func newInput(source io.Reader) *input {
	in := &input{source: source, terminal: isTerminal(source)}
	in.file, _ = source.(*os.File)
	return in
}

// line reads one line, without the blanks around it; a last line without an end
// counts. A terminal does not show a secret one. The error wraps ErrInputNeeded
// when there is nothing to read, and is the context's when that ends first.
func (in *input) line(ctx context.Context, secret bool) (string, error) {
	if secret && in.terminal {
		restore, err := hideInput(int(in.file.Fd()))
		if err != nil {
			return "", fmt.Errorf("cannot hide what is typed: %w", err)
		}
		defer restore()
	}
	for {
		if line, rest, found := bytes.Cut(in.buffer, []byte{'\n'}); found && len(line) < maxLine {
			in.buffer = rest
			return strings.TrimSpace(string(line)), nil
		}
		if len(in.buffer) >= maxLine {
			return "", fmt.Errorf("%w: a line of more than %d bytes", busapi.ErrInvalidArguments, maxLine)
		}
		if in.ended != nil {
			return in.last()
		}
		if err := in.fill(ctx); err != nil {
			return "", err
		}
	}
}

// last is what is left at the end of the input.
func (in *input) last() (string, error) {
	if !errors.Is(in.ended, io.EOF) {
		return "", fmt.Errorf("cannot read: %w", in.ended)
	}
	if len(in.buffer) == 0 {
		return "", fmt.Errorf("%w: the input is at its end", busapi.ErrInputNeeded)
	}
	line := strings.TrimSpace(string(in.buffer))
	in.buffer = nil
	return line, nil
}

// fill reads what is there, once something is.
func (in *input) fill(ctx context.Context) error {
	if in.file != nil {
		if err := readable(ctx, int(in.file.Fd())); err != nil {
			return err
		}
	}
	var chunk [maxLine]byte
	n, err := in.source.Read(chunk[:])
	in.buffer = append(in.buffer, chunk[:n]...)
	in.ended = err
	return nil
}

// readable waits until a read would not block. It looks up now and then, for a
// prompt must end when what it was for does.
func readable(ctx context.Context, fd int) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 50) // milliseconds
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("cannot wait for input: %w", err)
		}
		if n > 0 {
			return nil
		}
	}
}

// hideInput has a terminal show nothing of what is typed, until restore.
func hideInput(fd int) (restore func(), err error) {
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	hidden := *before
	hidden.Lflag &^= unix.ECHO
	hidden.Lflag |= unix.ICANON | unix.ISIG
	hidden.Iflag |= unix.ICRNL
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &hidden); err != nil {
		return nil, err
	}
	return func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, before) }, nil
}

// forget drops what was typed and not asked for: at a terminal it was meant for an
// earlier question.
func (in *input) forget() {
	if !in.terminal {
		return
	}
	in.buffer = nil
	_ = unix.IoctlSetInt(int(in.file.Fd()), unix.TCFLSH, unix.TCIFLUSH) // what cannot be dropped is read
}

// readSecretFile reads the first line of a file; what says what it holds.
func readSecretFile(ctx context.Context, name, what string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("cannot read the %s: %w", what, err)
	}
	defer f.Close()
	text, err := newInput(f).line(ctx, false)
	if err == nil && text == "" {
		err = fmt.Errorf("%w: it is empty", busapi.ErrInputNeeded)
	}
	if err != nil {
		return "", fmt.Errorf("cannot read a %s from the first line of %s: %w", what, printable(name), err)
	}
	return text, nil
}

// ask puts a question on standard error and reads the answer.
func (a *app) ask(ctx context.Context, question string, secret bool) (string, error) {
	if a.noInput {
		return "", fmt.Errorf("%w, and --no-input forbids to ask", busapi.ErrInputNeeded)
	}
	defer a.progress.pause()()
	fmt.Fprint(a.err, question)
	text, err := a.in.line(ctx, secret)
	if secret || !a.in.terminal || err != nil {
		fmt.Fprintln(a.err) // no terminal has echoed the line's end
	}
	return text, err
}

// yes asks a question whose answer is no unless it says yes.
func (a *app) yes(ctx context.Context, question string) (bool, error) {
	text, err := a.ask(ctx, question+" [y/N] ", false)
	switch strings.ToLower(text) {
	case "y", "yes":
		return err == nil, err
	}
	return false, err
}
