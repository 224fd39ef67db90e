package main

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// kind is one way in which files come to harm: a row of the table.
type kind struct {
	name   string
	scene  string   // where it is tried alone; "": in the ordinary ones
	format string   // of the file that it is done to
	on     []string // the classes in which it can be told from what people do
	want   []string // the verdicts that are right
	root   bool     // only root can do it
	deep   bool     // found by reading every byte only: nobody is told of it
	left   bool     // not mended, for nobody can tell who did it; the last good state is kept
	fresh  bool     // done to what no snapshot has, and none may take up then
	when   moment   // the circumstances in which it happens
	inject func(ctx context.Context, v *victim) error
}

// everywhere are all four classes. critical are those that hold what is not
// deleted or replaced without a word (paragraph 30): with the others the owner does
// so every day, and nobody can tell.
func everywhere() []string { return []string{"service-books", "keys", "preferences", "user-data"} }
func critical() []string   { return []string{"service-books", "keys"} }

func (k kind) in(c userdata.Class) bool {
	for _, on := range k.on {
		if on == string(c) {
			return true
		}
	}
	return false
}

func corrupted() []string { return []string{"corrupted"} }
func erased() []string    { return []string{"erased"} }
func damaged() []string   { return []string{"erased", "corrupted"} }

// written is a kind of harm that comes through an ordinary write, as of a program
// that fails or a system that goes down: the times move.
func written(name, format string, change func(b []byte, rnd *rand.Rand) []byte) kind {
	return kind{
		name: name, format: format, on: everywhere(), want: corrupted(),
		inject: func(_ context.Context, v *victim) error { return v.write(change(bytes.Clone(v.data()), v.rnd)) },
	}
}

// doubtful is a kind of harm that people and programs do to their own files, too: it is found,
// kept out of the backups, and mended on the owner's word.
func doubtful(k kind) kind {
	k.left = true
	return k
}

func within(classes []string, k kind) kind {
	k.on = classes
	return k
}

// silent is a kind of harm under the file system: nobody wrote, no time moves.
func silent(name, format string, change func(b []byte, rnd *rand.Rand)) kind {
	return kind{
		name: name, format: format, on: everywhere(), want: corrupted(), root: true, deep: true, when: settled,
		inject: func(_ context.Context, v *victim) error {
			after := bytes.Clone(v.data())
			change(after, v.rnd)
			return v.silently(v.path, v.data(), after)
		},
	}
}

// lossKinds: something is gone, whether nothing has its place or something that
// cannot do its work.
func lossKinds() []kind {
	return []kind{
		loss("file deleted", "text", erased(), func(v *victim) error { return os.Remove(v.path) }),
		loss("directory deleted with all in it", "box", erased(), func(v *victim) error { return os.RemoveAll(v.path) }),
		loss("file became a directory", "text", damaged(), func(v *victim) error {
			return v.instead(func(p string) error { return os.Mkdir(p, 0o755) })
		}),
		loss("file became a symlink to nothing", "text", damaged(), func(v *victim) error {
			return v.instead(func(p string) error { return os.Symlink("\x13\x02gone", p) })
		}),
		loss("file became a pipe", "text", damaged(), func(v *victim) error {
			return v.instead(func(p string) error { return unix.Mkfifo(p, 0o600) })
		}),
		{name: "file became a device", format: "text", on: critical(), want: damaged(), root: true,
			inject: func(_ context.Context, v *victim) error {
				return v.instead(func(p string) error { return unix.Mknod(p, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))) })
			}},
		loss("directory became a file", "box", corrupted(), func(v *victim) error {
			return v.instead(func(p string) error { return os.WriteFile(p, garbage(v.rnd, 300), 0o644) })
		}),
		{name: "private key readable by all (0644)", format: "ssh", on: critical(), want: corrupted(),
			inject: func(_ context.Context, v *victim) error { return os.Chmod(v.path, 0o644) }},
		{name: "Wi-Fi password readable by all (0644)", format: "nm", on: critical(), want: corrupted(),
			inject: func(_ context.Context, v *victim) error { return os.Chmod(v.path, 0o644) }},
	}
}

// loss is a kind that takes a file or directory away from where it must be.
func loss(name, format string, want []string, harm func(v *victim) error) kind {
	return kind{
		name: name, format: format, on: critical(), want: want,
		inject: func(_ context.Context, v *victim) error { return harm(v) },
	}
}

// sizeKinds: cut short, filled with NULs or with what belongs elsewhere, by a
// program that fails or a system that goes down in the middle of a write.
func sizeKinds() []kind {
	return []kind{
		doubtful(written("cut to zero (text)", "text", func(b []byte, _ *rand.Rand) []byte { return nil })),
		written("cut at a block boundary", "long", func(b []byte, _ *rand.Rand) []byte { return b[:5*block] }),
		written("all NUL", "text", func(b []byte, _ *rand.Rand) []byte { return make([]byte, len(b)) }),
		written("NUL from a block boundary on", "long", func(b []byte, _ *rand.Rand) []byte { clear(b[6*block:]); return b }),
		written("NUL block in the middle", "long", func(b []byte, _ *rand.Rand) []byte { clear(b[3*block : 4*block]); return b }),
		written("NULs up to the end of the last block", "long", func(b []byte, _ *rand.Rand) []byte {
			return append(b, make([]byte, block-len(b)%block)...)
		}),
		written("garbage block in the middle", "long", func(b []byte, r *rand.Rand) []byte {
			copy(b[2*block:3*block], garbage(r, block))
			return b
		}),
		written("another file's block in the middle (zip)", "zip", func(b []byte, r *rand.Rand) []byte {
			copy(b[block:2*block], prose(r, block+100))
			return b
		}),
		written("garbage of the same size (JSON)", "json", func(b []byte, r *rand.Rand) []byte { return garbage(r, len(b)) }),
		written("garbage appended (JSON)", "json", func(b []byte, r *rand.Rand) []byte { return append(b, garbage(r, block)...) }),
		within(critical(), written("cut to zero (NetworkManager profile)", "nm", func(b []byte, _ *rand.Rand) []byte { return nil })),
		within(critical(), written("cut to zero (private key)", "ssh", func(b []byte, _ *rand.Rand) []byte { return nil })),
		doubtful(written("one control byte in a text", "text", func(b []byte, _ *rand.Rand) []byte { b[len(b)/2] = 3; return b })),
		doubtful(written("one NUL in a text", "text", func(b []byte, _ *rand.Rand) []byte { b[len(b)/3] = 0; return b })),
		doubtful(written("one control byte in JSON", "json", func(b []byte, _ *rand.Rand) []byte { b[len(b)/2] = 3; return b })),
		doubtful(written("garbage of the same size (text)", "text", func(b []byte, r *rand.Rand) []byte { return garbage(r, len(b)) })),
		{name: "encrypted in place, one file (PNG)", format: "png", on: everywhere(), want: corrupted(),
			inject: func(_ context.Context, v *victim) error { return v.write(garbage(v.rnd, len(v.data())+40)) }},
		{name: "encrypted and renamed over, one file (PDF)", format: "pdf", on: everywhere(), want: corrupted(),
			inject: func(_ context.Context, v *victim) error { return v.replace(garbage(v.rnd, len(v.data())+40)) }},
	}
}

// silentKinds: the medium gives other bytes than were written.
func silentKinds() []kind {
	return []kind{
		silent("silent: one bit", "text", func(b []byte, _ *rand.Rand) { b[len(b)/2] ^= 0x10 }),
		silent("silent: one byte zeroed", "long", func(b []byte, _ *rand.Rand) { b[3*block+17] = 0 }),
		silent("silent: last byte of the file", "long", func(b []byte, _ *rand.Rand) { b[len(b)-1] ^= 1 }),
		{name: "silent: blocks of two files exchanged", format: "long", on: everywhere(), want: corrupted(), root: true, deep: true, when: settled,
			inject: exchange},
		silent("silent: 512 bytes zeroed", "long", func(b []byte, _ *rand.Rand) { clear(b[2*block+512 : 2*block+1024]) }),
		silent("silent: block zeroed", "long", func(b []byte, _ *rand.Rand) { clear(b[4*block : 5*block]) }),
		silent("silent: block of garbage", "long", func(b []byte, r *rand.Rand) { copy(b[block:2*block], garbage(r, block)) }),
		silent("silent: all garbage", "json", func(b []byte, r *rand.Rand) { copy(b, garbage(r, len(b))) }),
		silent("silent: all NUL", "json", func(b []byte, _ *rand.Rand) { clear(b) }),
		{name: "silent: a file with two names", format: "twin", on: everywhere(), want: corrupted(), root: true, deep: true, when: settled,
			inject: twoNames},
		silent("silent: one byte of a format that nobody knows", "binary", func(b []byte, _ *rand.Rand) { b[len(b)/3]++ }),
		silent("silent: older contents, valid as well (write lost)", "json", func(b []byte, _ *rand.Rand) {
			copy(b, bytes.ReplaceAll(b, []byte("true"), []byte("null")))
		}),
	}
}

// exchange swaps a block of the file with one of another, under the file system.
func exchange(_ context.Context, v *victim) error {
	mine := v.data()
	other, err := v.another("long")
	if err != nil {
		return err
	}
	theirs := v.kept[len(v.kept)-1].data
	a, b := bytes.Clone(mine), bytes.Clone(theirs)
	copy(a[block:2*block], theirs[block:2*block])
	copy(b[block:2*block], mine[block:2*block])
	if err := v.silently(v.path, mine, a); err != nil {
		return err
	}
	return v.silently(other, theirs, b)
}

// twoNames harms a file with two names: it is two items.
func twoNames(_ context.Context, v *victim) error {
	if err := v.keep(twin(v.path)); err != nil {
		return err
	}
	after := bytes.Clone(v.data())
	after[block] ^= 0x80
	return v.silently(v.path, v.data(), after)
}

// lockAway encrypts a file under a new name and removes it, as ransomware does.
func lockAway(v *victim, path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	locked := path + ".locked"
	v.left = append(v.left, locked)
	if err := os.WriteFile(locked, garbage(v.rnd, int(st.Size())+40), 0o600); err != nil {
		return err
	}
	return os.Remove(path)
}
