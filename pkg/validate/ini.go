package validate

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"regexp"
)

// recogniseINI asks more than a name, since most .conf files are of a kind of their
// own: the first line that says something has to be the name of a section.
func recogniseINI(name string, head []byte) bool {
	if !hasSuffix(name, ".ini", ".cfg", ".conf") || bytes.IndexByte(head, 0) >= 0 {
		return false
	}
	for line := range bytes.Lines(bytes.TrimPrefix(head, []byte(bom))) {
		if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '#' || line[0] == ';' {
			continue
		}
		return regexp.MustCompile(`^\[[\pL_][^\]]*\]\s*([#;].*)?$`).Match(line)
	}
	return false
}

// checkINI is lenient, as the programs are: each has its own idea of keys, values
// and continued lines. It finds section names cut off and bytes that are no text.
func checkINI(ctx context.Context, f File) error {
	t := f.text(ctx, "ini")
	t.utf8 = false // older programs write what their locale says
	return t.verdict(eachLine(t, func(n int, line []byte, first bool) error {
		if i := bytes.IndexFunc(line, isControl); i >= 0 {
			return broken("ini", "line %d: control characters", n)
		}
		if first && line[0] == '[' && bytes.IndexByte(line, ']') < 0 {
			return broken("ini", "line %d: the name of a section without its closing bracket", n)
		}
		return nil
	}))
}

// isControl leaves out those that people's programs do write: spaces of all kinds,
// escape sequences, and the end mark of DOS.
func isControl(r rune) bool {
	return r < ' ' && !(r >= '\b' && r <= '\r') && r != 0x1a && r != 0x1b || r == 0x7f
}

// eachLine calls look for every line that is not blank, without the spaces at its
// end, from 1 on. Of a line over 64 KiB it gets each such part; first tells the first.
func eachLine(r io.Reader, look func(n int, line []byte, first bool) error) error {
	b := bufio.NewReaderSize(r, 64<<10)
	for n, first := 1, true; ; {
		part, err := b.ReadSlice('\n')
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if n == 1 {
			part = bytes.TrimPrefix(part, []byte(bom))
		}
		if line := bytes.TrimRight(part, " \t\r\n"); len(line) > 0 {
			if err := look(n, line, first); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if first = err == nil; first {
			n++
		}
	}
}
