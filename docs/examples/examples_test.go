// Package examples_test proves that the example settings beside it can be
// used as they are, name every key, and tell the true defaults.
package examples_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reprovision/reprovision/pkg/config"
)

func TestDeviceExampleHoldsTheDefaults(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.toml")
	if err := os.WriteFile(missing, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want, err := config.LoadDevice(missing)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range variants(t, "reprovisiond.toml") {
		got, err := config.LoadDevice(file)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if name == "uncommented" && (len(got.Roots) != 2 || len(got.Hooks) != 1) {
			t.Errorf("uncommented: %d roots and %d hooks, want 2 and 1", len(got.Roots), len(got.Hooks))
		}
		got.Name, got.Roots, got.Hooks = want.Name, want.Roots, want.Hooks
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: not the defaults (-want +got):\n%s", name, diff)
		}
	}
}

func TestReaderExampleHoldsTheDefaults(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.toml")
	if err := os.WriteFile(missing, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want, err := config.LoadReader(missing)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range variants(t, "scrd.toml") {
		got, err := config.LoadReader(file)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if name == "uncommented" && len(got.Devices) != 1 {
			t.Errorf("uncommented: %d devices, want 1", len(got.Devices))
		}
		got.Name, got.Devices = want.Name, want.Devices
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: not the defaults (-want +got):\n%s", name, diff)
		}
	}
}

func TestExamplesNameEveryKey(t *testing.T) {
	for file, settings := range map[string]any{"reprovisiond.toml": config.Device{}, "scrd.toml": config.Reader{}} {
		text := uncomment(t, file)
		for _, key := range keys(reflect.TypeOf(settings)) {
			if !regexp.MustCompile(`(?m)^(\[+([a-z]+\.)?` + key + `\]+|` + key + ` = .*)$`).MatchString(text) {
				t.Errorf("%s does not name the key %s", file, key)
			}
		}
	}
}

// variants gives the example as it is, and with every commented key in force.
func variants(t *testing.T, file string) map[string]string {
	t.Helper()
	changed := filepath.Join(t.TempDir(), file)
	if err := os.WriteFile(changed, []byte(uncomment(t, file)), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"as shipped": file, "uncommented": changed}
}

func uncomment(t *testing.T, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	setting := regexp.MustCompile(`^# ([a-z_-]+ = |\[\[)`)
	lines := strings.Split(string(raw), "\n")
	for i, line := range lines {
		if setting.MatchString(line) {
			lines[i] = strings.TrimPrefix(line, "# ")
		}
	}
	return strings.Join(lines, "\n")
}

// keys lists the names of the settings of a struct and of those it holds.
func keys(t reflect.Type) []string {
	var all []string
	for i := range t.NumField() {
		f := t.Field(i)
		tag, ok := f.Tag.Lookup("toml")
		if !ok {
			continue
		}
		all = append(all, tag)
		inner := f.Type
		if inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			all = append(all, keys(inner)...)
		}
	}
	return all
}
