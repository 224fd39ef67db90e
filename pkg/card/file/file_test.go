package file_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/cardtest"
	"github.com/reprovision/reprovision/pkg/card/file"
)

const capacity = 16 << 10

// borrow runs the test inside a transaction and hands out its medium.
func borrow(t *testing.T, r card.Reader) card.Medium {
	t.Helper()
	lent, back := make(chan card.Medium), make(chan struct{})
	failed := make(chan error, 1)
	go func() {
		failed <- r.WithCard(context.Background(), func(_ context.Context, m card.Medium) error {
			lent <- m
			<-back
			return nil
		})
	}()
	t.Cleanup(func() {
		close(back)
		if err := <-failed; err != nil {
			t.Error(err)
		}
	})
	select {
	case m := <-lent:
		return m
	case err := <-failed:
		failed <- nil
		t.Fatal(err)
		return nil
	}
}

func emptyImage(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "card.img")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMedium(t *testing.T) {
	cardtest.TestMedium(t, func(t *testing.T) card.Medium {
		return borrow(t, file.New(file.Config{Path: emptyImage(t), Capacity: capacity}))
	})
}

func TestReader(t *testing.T) {
	cardtest.TestReader(t, func(t *testing.T, notify func(card.Event)) cardtest.Fixture {
		path := emptyImage(t)
		move := func(from, to string) func() {
			return func() {
				if err := os.Rename(from, to); err != nil {
					t.Error(err)
				}
			}
		}
		return cardtest.Fixture{
			Reader: file.New(file.Config{Path: path, Capacity: capacity, Poll: 10 * time.Millisecond, Notify: notify}),
			Pull:   move(path, path+".pulled"),
			Insert: move(path+".pulled", path),
		}
	})
}

func format(ctx context.Context, m card.Medium) error { return m.Format(ctx, 0) }

func commit(ctx context.Context, m card.Medium) error {
	return card.NewStore(m).Commit(ctx, 1, []byte("one"))
}

// TestFormatCreates checks that nothing but Format makes an image, and how.
func TestFormatCreates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "card.img")
	r := file.New(file.Config{Path: path, Capacity: capacity})
	if err := r.WithCard(t.Context(), commit); !errors.Is(err, card.ErrNoCard) {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Fatal("a commit created the image")
	}
	if err := r.WithCard(t.Context(), format); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != 0o600 || info.Size() > capacity || info.Size() < capacity-8 {
		t.Fatalf("image is %v, %v", info, err)
	}
	if err := r.WithCard(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Fatalf("left over: %v, %v", entries, err)
	}
}

// TestForeign checks that what is not ours is neither used nor overwritten.
func TestForeign(t *testing.T) {
	content := bytes.Repeat([]byte("holiday photos\n"), 100)
	for name, place := range map[string]func(t *testing.T, path string){
		"file": func(t *testing.T, path string) {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"symlink": func(t *testing.T, path string) {
			target := filepath.Join(filepath.Dir(path), "target")
			if err := os.WriteFile(target, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(target, path); err != nil {
				t.Fatal(err)
			}
		},
		"directory": func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "card.img")
			place(t, path)
			r := file.New(file.Config{Path: path, Capacity: capacity})
			if err := r.WithCard(t.Context(), format); err == nil {
				t.Fatal("formatted")
			}
			if b, err := os.ReadFile(path); name == "file" && (err != nil || !bytes.Equal(b, content)) {
				t.Fatal("contents changed")
			}
		})
	}
}

// TestTruncated checks that an image that lost its end is reported, and that it
// can be formatted again.
func TestTruncated(t *testing.T) {
	path := emptyImage(t)
	r := file.New(file.Config{Path: path, Capacity: capacity})
	if err := r.WithCard(t.Context(), format); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, capacity/2); err != nil {
		t.Fatal(err)
	}
	if err := r.WithCard(t.Context(), commit); !errors.Is(err, card.ErrDamaged) {
		t.Fatalf("got %v", err)
	}
	if err := r.WithCard(t.Context(), format); err != nil {
		t.Fatal(err)
	}
	if err := r.WithCard(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
}

// TestTwoReaders checks that two readers of one image, as two processes have
// them, exclude each other.
func TestTwoReaders(t *testing.T) {
	path := emptyImage(t)
	first, second := file.New(file.Config{Path: path}), file.New(file.Config{Path: path})
	err := first.WithCard(t.Context(), func(ctx context.Context, m card.Medium) error {
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		if err := second.WithCard(short, format); !errors.Is(err, card.ErrBusy) {
			t.Errorf("got %v", err)
		}
		return m.Format(ctx, 0)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.WithCard(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
}

func TestFormatTooLarge(t *testing.T) {
	r := file.New(file.Config{Path: emptyImage(t), Capacity: capacity})
	err := r.WithCard(t.Context(), func(ctx context.Context, m card.Medium) error { return m.Format(ctx, capacity) })
	if !errors.Is(err, card.ErrFull) {
		t.Fatalf("got %v", err)
	}
}

func TestReadOnly(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write what is read-only")
	}
	path := emptyImage(t)
	r := file.New(file.Config{Path: path, Capacity: capacity})
	if err := r.WithCard(t.Context(), format); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(context.Context, card.Medium) error{commit, format} {
		if err := r.WithCard(t.Context(), change); !errors.Is(err, card.ErrReadOnly) {
			t.Fatalf("got %v", err)
		}
	}
}
