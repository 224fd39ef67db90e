package validate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"
)

const (
	// parsedMax is how large a text may be that a parser holds in memory as a tree.
	parsedMax = 256 << 10
	// yamlNodes is how many parts a document may have, of some hundred bytes each.
	yamlNodes = 40_000
)

// checkYAML looks at every document of the file. Aliases are not followed, so that
// one that stands for millions of values costs nothing.
func checkYAML(ctx context.Context, f File) error {
	t := f.text(ctx, "yaml")
	if f.Size > parsedMax {
		return t.verdict(notJudged("it is larger than %d bytes", parsedMax))
	}
	b, err := io.ReadAll(t)
	if err != nil {
		return t.verdict(err)
	}
	if bytes.Count(b, []byte{'\n'})+bytes.Count(b, []byte{','})+bytes.Count(b, []byte("- ")) > yamlNodes {
		return notJudged("it has more than %d parts", yamlNodes)
	}
	return t.verdict(parseYAML(bytes.NewReader(b)))
}

// parseYAML contains the parser's panics: it passes on as one whatever it did not
// foresee.
func parseYAML(r io.Reader) (err error) {
	defer func() {
		if recover() != nil {
			err = notJudged("its parser gave up")
		}
	}()
	for d := yaml.NewDecoder(r); ; {
		var document yaml.Node
		err := d.Decode(&document)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return yamlFault(err.Error())
		}
	}
}

// yamlFault words an error of the parser, whose own words may hold names out of
// the file.
func yamlFault(message string) error {
	where := ""
	if m := regexp.MustCompile(`line (\d{1,9})`).FindStringSubmatch(message); m != nil {
		where = "line " + m[1] + ": "
	}
	for _, known := range []string{
		"found unexpected end of stream", "did not find expected", "mapping values are not allowed",
		"could not find expected ':'", "cannot start any token", "found a tab character",
		"control characters are not allowed", "unknown anchor", "unknown escape character",
		"block sequence entries are not allowed", "exceeded max depth",
	} {
		if strings.Contains(message, known) {
			return broken("yaml", "%sits structure is broken (%s)", where, known)
		}
	}
	return broken("yaml", "%sits structure is broken", where)
}
