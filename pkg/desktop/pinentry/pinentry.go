package pinentry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

var (
	// ErrCanceled says that the person did not want to answer.
	ErrCanceled = errors.New("canceled")
	// ErrUnavailable says that the program cannot ask: it is not there, or has neither a
	// display nor a terminal.
	ErrUnavailable = errors.New("pinentry cannot ask")
)

// endTime bounds how long a program that was told to end may take to.
const endTime = 2 * time.Second

// Question is one question. Texts may hold anything.
type Question struct {
	Program     string // name or path of the pinentry
	TTY         string // the terminal for one that needs one; empty for none
	Term        string // and its type, as in the variable TERM
	Title       string
	Description string
	Prompt      string
	Error       string // what was wrong with the answer before; empty for nothing
	Repeat      string // the prompt for the same once more; empty to ask once
}

// settings are the commands that come before the question.
func (q Question) settings() [][2]string {
	all := [][2]string{
		{"OPTION", "no-grab"}, {"OPTION", "ttyname=" + q.TTY}, {"OPTION", "ttytype=" + q.Term},
		{"SETTITLE", q.Title}, {"SETDESC", q.Description}, {"SETPROMPT", q.Prompt},
		{"SETERROR", q.Error}, {"SETREPEAT", q.Repeat}, {"SETREPEATERROR", "The two are not the same."},
	}
	if q.TTY == "" {
		all = append(all[:1], all[3:]...)
	}
	return all
}

// Ask asks for a text that nobody should see. ErrCanceled and ErrUnavailable; the
// context's cause when that ends first, and the window goes then.
func (q Question) Ask(ctx context.Context) (string, error) {
	return q.run(ctx, "GETPIN")
}

// Confirm asks whether to go on: nil is yes, ErrCanceled is no.
func (q Question) Confirm(ctx context.Context) error {
	_, err := q.run(ctx, "CONFIRM")
	return err
}

func (q Question) run(ctx context.Context, command string) (string, error) {
	run, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(run, q.Program)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it gives a terminal back
	cmd.WaitDelay = endTime
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", fmt.Errorf("cannot run %s: %w", q.Program, err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", fmt.Errorf("cannot run %s: %w", q.Program, err)
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	text, err := q.converse(newConn(in, out), command)
	_, _ = io.WriteString(in, "BYE\n") // it may have ended already
	_ = in.Close()
	defer time.AfterFunc(endTime, cancel).Stop()
	_ = cmd.Wait() // what it said counts, and not how it ended
	if err != nil && ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	return text, err
}

// converse sets the question up and asks it. A pinentry need not know every setting.
func (q Question) converse(c *conn, command string) (string, error) {
	if _, err := c.answer(); err != nil { // its greeting
		return "", fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for _, s := range q.settings() {
		if s[1] == "" || q.Repeat == "" && s[0] == "SETREPEATERROR" {
			continue
		}
		if _, err := c.say(s[0], s[1]); err != nil && !isRemote(err) {
			return "", fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	text, err := c.say(command, "")
	var e *remoteError
	switch {
	case err == nil:
		return text, nil
	case errors.As(err, &e) && e.canceled():
		return "", ErrCanceled
	}
	return "", fmt.Errorf("%w: %w", ErrUnavailable, err)
}
