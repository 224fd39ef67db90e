package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/reprovision/reprovision/scripts/bench/meter"
)

// The environment of a pipe.
const (
	pipeCount = "BENCH_PIPE_COUNT" // the file that takes what has passed
	pipeRate  = "BENCH_PIPE_RATE"
	pipeTrip  = "BENCH_PIPE_TRIP"
)

// pipeChild stands where borg and rsync call a remote shell: pipe [OPTION...] HOST
// COMMAND. It runs the command here, with a meter on its standard input and output.
func pipeChild(ctx context.Context, args []string) error {
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		takes := args[0] == "-p" || args[0] == "-l" || args[0] == "-o"
		if args = args[1:]; takes && len(args) > 0 {
			args = args[1:]
		}
	}
	if len(args) < 2 {
		return errUsage
	}
	m := meter.New()
	m.SetShape(shapeOf(os.Getenv(pipeRate), os.Getenv(pipeTrip)))
	cmd := exec.CommandContext(ctx, "sh", "-c", strings.Join(args[1:], " "))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("cannot start a peer: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("cannot start a peer: %w", err)
	}
	go func() {
		_ = m.Copy(in, os.Stdin, true)
		_ = in.Close()
	}()
	err = m.Copy(os.Stdout, out, false)
	return errors.Join(err, cmd.Wait(), keepCount(os.Getenv(pipeCount), m.Take()))
}

func shapeOf(rate, trip string) meter.Shape {
	r, _ := strconv.Atoi(rate) // none is no limit
	t, _ := time.ParseDuration(trip)
	return meter.Shape{Rate: r, Trip: t}
}

// keepCount adds a line to the file.
func keepCount(file string, c meter.Count) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot keep the count: %w", err)
	}
	return errors.Join(json.NewEncoder(f).Encode(c), f.Close())
}

// takeCount adds the lines up and removes the file.
func takeCount(file string) (meter.Count, error) {
	var sum meter.Count
	f, err := os.Open(file)
	if err != nil {
		return sum, fmt.Errorf("cannot read the count: %w", err)
	}
	defer f.Close()
	for d := json.NewDecoder(f); ; {
		var c meter.Count
		switch err := d.Decode(&c); {
		case errors.Is(err, io.EOF):
			return sum, os.Remove(file)
		case err != nil:
			return sum, fmt.Errorf("cannot read the count: %w", err)
		}
		sum.Up, sum.Down = sum.Up+c.Up, sum.Down+c.Down
	}
}
