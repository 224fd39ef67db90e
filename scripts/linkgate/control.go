package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

const (
	maxLine     = 4096 // bytes of a request or an answer
	lineTimeout = 15 * time.Second
)

// serveControl answers one-line requests on a unix socket until the context
// ends. An answer that starts with "error:" tells of a failure.
func serveControl(ctx context.Context, path string, obey func(word string) (string, error)) error {
	ln, err := listenUnix(path)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // out of descriptors: they come back
			continue
		}
		wg.Go(func() { answer(c, obey) })
	}
}

func answer(c net.Conn, obey func(word string) (string, error)) {
	defer c.Close()
	if c.SetDeadline(time.Now().Add(lineTimeout)) != nil {
		return
	}
	word, err := readLine(c)
	if err != nil {
		return
	}
	line, err := obey(word)
	if err != nil {
		line = "error: " + err.Error()
	}
	_, _ = fmt.Fprintln(c, line) // a client that has left needs no answer
}

// say sends one word to a control socket and returns the answer.
func say(ctx context.Context, path, word string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, lineTimeout)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return "", fmt.Errorf("cannot reach the control socket: %w", err)
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if _, err := fmt.Fprintln(c, word); err != nil {
		return "", fmt.Errorf("cannot say %s: %w", word, err)
	}
	line, err := readLine(c)
	if err != nil {
		return "", fmt.Errorf("cannot hear the answer to %s: %w", word, err)
	}
	if why, failed := strings.CutPrefix(line, "error:"); failed {
		return "", fmt.Errorf("cannot %s: %s", word, strings.TrimSpace(why))
	}
	return line, nil
}

// readLine reads one line of at most maxLine bytes, without its end.
func readLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxLine)).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("cannot read a whole line: %w", err)
	}
	return strings.TrimSpace(line), nil
}
