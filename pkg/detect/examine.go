package detect

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/validate"
)

// Examiner returns the scan.Examiner that knows the formats of pkg/validate. What it
// cannot judge it leaves open.
func Examiner() scan.Examiner {
	formats := validate.New()
	return func(ctx context.Context, c scan.Contents, n *scan.Nature) { look(ctx, formats, c, n) }
}

func look(ctx context.Context, formats validate.Formats, c scan.Contents, n *scan.Nature) {
	var opened []func()
	defer func() {
		for _, done := range opened {
			done()
		}
	}()
	f := validate.File{Name: path.Base(string(c.Name)), Size: c.Size, Data: c.Data}
	f.Beside = func(name string) (validate.File, error) {
		if name == "" || strings.ContainsAny(name, "/\x00") || name == "." || name == ".." {
			return validate.File{}, fs.ErrNotExist
		}
		data, size, done, err := c.Beside(name)
		if err != nil {
			return validate.File{}, err
		}
		opened = append(opened, done)
		return validate.File{Name: name, Size: size, Data: data}, nil
	}
	examine(ctx, formats, f, n)
}

func examine(ctx context.Context, formats validate.Formats, f validate.File, n *scan.Nature) {
	format, err := formats.Recognise(f)
	if err != nil || format == "" {
		return
	}
	err = formats.Check(ctx, format, f)
	var bad *validate.Invalid
	switch {
	case err == nil:
		n.Kind = string(format)
		if id := validate.Identity(format, f); id != "" {
			n.Kind += ":" + id
		}
	case errors.As(err, &bad):
		n.Kind, n.Broken, n.Odd = string(format), bad.Reason, bad.Beside
	case errors.Is(err, validate.ErrInUse):
		n.Open = true
	default:
		n.Unsure = true
	}
}

// formatOf is the format that a kind names; "" for text and for what is not known.
func formatOf(kind string) validate.Format {
	name, _, _ := strings.Cut(kind, ":")
	if name == scan.KindText {
		return ""
	}
	return validate.Format(name)
}

// textual tells whether contents of a kind hold nothing but text.
func textual(kind string) bool {
	return kind == scan.KindText || kind != "" && formatOf(kind).ByHand()
}
